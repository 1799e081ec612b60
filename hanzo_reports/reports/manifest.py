"""The manifest of a run: parameters, data, files and versions; enough to repeat and to verify it."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hanzo_reports.window import Window

PACKAGES = (
    "hanzo-reports", "deltalake", "duckdb", "ibis-framework", "ipykernel", "jinja2", "papermill", "pyarrow",
)  # fmt: skip
PRICES = "genai-prices"
DATA = {".csv", ".json", ".jsonl", ".parquet"}


def fingerprint(*parts: object) -> str:
    """The SHA-256 of what a run depends on, which is the key of the run."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def window_json(window: Window | None) -> dict[str, Any] | None:
    """A window and its previous period, as JSON."""
    if window is None:
        return None
    previous = window.previous()
    return {
        "name": window.name,
        **window.as_json(),
        "previous": {"start": iso(previous.start), "end": iso(previous.end)},
    }


def collect_kpis(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The key figures of all parts, merged."""
    kpis: dict[str, Any] = {}
    for part in parts:
        kpis |= part.get("kpis") or {}
    return kpis


def describe_files(folder: Path) -> list[dict[str, Any]]:
    """Name, size in bytes and SHA-256 of each file in a folder."""
    return [
        {
            "name": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def describe_exports(folder: Path, parts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The data files in a folder; rows and columns as reported by the parts that wrote them, else None."""
    reported: dict[str, Mapping[str, Any]] = {file["name"]: file for part in parts for file in part.get("files") or ()}
    names: Sequence[str] = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in DATA
    )
    return [
        {"name": name, "rows": reported.get(name, {}).get("rows"), "columns": reported.get(name, {}).get("columns")}
        for name in names
    ]


def package_versions() -> dict[str, str | None]:
    """The versions of Python, of the packages that a report depends on, and of the price data."""
    return {
        "python": sys.version.split()[0],
        **{name: _package_version(name) for name in PACKAGES},
        "prices": _package_version(PRICES),
    }


def _package_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
