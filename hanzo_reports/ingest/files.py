"""Files of a load: found, opened far enough to know what they are, and named when they cannot be used."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hanzo_reports.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hanzo_reports.ingest.source import Source

HEAD = 1 << 20
Kind = Literal["csv", "jsonl", "array", "document", "parquet", "log"]
SUFFIXES: dict[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet",),
    "log": (".log", ".txt"),
    "otlp": (".json", ".jsonl"),
}


@dataclass(frozen=True)
class File:
    """A file of a load.

    Args:
        path: where it is.
        kind: how it is read; "array" is one JSON array of rows, "document" JSON objects that span lines.
        gzipped: whether it is compressed.
        head: its first MiB as text; empty for Parquet.
    """

    path: Path
    kind: Kind
    gzipped: bool
    head: str


def files(source: Source, paths: Sequence[Path]) -> list[File]:
    """The files of a load, in order; a folder stands for all files in it, at any depth, of the source's formats.

    Raises:
        UnreadableError: one is missing, empty or not of the source's formats, or a folder has none.
    """
    found: list[File] = []
    for path in paths:
        if not path.is_dir():
            found.append(_file(source, path))
            continue
        inside = [_file(source, each) for each in _inside(path, _suffixes(source))]
        if not inside:
            msg = f"{path}: no files in it that end in {', '.join(_suffixes(source))} (or .gz after that)"
            raise UnreadableError(msg)
        found += inside
    unique = {file.path.resolve(): file for file in found}
    return list(unique.values())


def _suffixes(source: Source) -> list[str]:
    return list(dict.fromkeys(suffix for name in source.formats for suffix in SUFFIXES[name]))


def _inside(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """A folder's files that end as they should; hidden ones, and those of a table's own log, are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        and path.name.removesuffix(".gz").endswith(tuple(suffixes))
    )


def _file(source: Source, path: Path) -> File:
    try:
        with path.open("rb") as stream:
            gzipped = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if gzipped else path.open("rb") as stream:
            start = stream.read(HEAD)
    except FileNotFoundError as error:
        msg = f"{path}: there is no such file or folder"
        raise UnreadableError(msg) from error
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read; {error}"
        raise UnreadableError(msg) from error
    if not start.strip():
        msg = f"{path}: the file is empty"
        raise UnreadableError(msg)
    head = "" if start.startswith(b"PAR1") else start.decode("utf-8-sig", errors="replace")
    return File(path, _kind(source, path, start, head, gzipped=gzipped), gzipped, head)


def _kind(source: Source, path: Path, start: bytes, head: str, *, gzipped: bool) -> Kind:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    formats = source.formats
    if "parquet" in formats and start.startswith(b"PAR1"):
        if gzipped:
            msg = f"{path}: Parquet inside gzip; unpack it first"
            raise UnreadableError(msg)
        return "parquet"
    lines = {"jsonl", "otlp"} & set(formats)
    if suffix != ".parquet" and b"\x00" not in start:
        if "csv" in formats and suffix in SUFFIXES["csv"]:
            return "csv"
        if "log" in formats and suffix in SUFFIXES["log"]:
            return "log"
        if (lines or "json" in formats) and head.lstrip()[:1] in {"{", "["}:
            return _json(head, complete=len(start) < HEAD)
        if lines and suffix in SUFFIXES["jsonl"]:
            return "jsonl"
        for kind in ("log", "csv"):
            if kind in formats and suffix not in {".json", ".jsonl", ".ndjson"}:
                return kind
    msg = f"{path}: not {' or '.join(formats)}, which this source reads"
    raise UnreadableError(msg)


def _json(head: str, *, complete: bool) -> Kind:
    """Whether text that starts like JSON has an object a line, or one array, or objects that span lines."""
    text = head.lstrip()
    if text.startswith("["):
        return "array"
    first, _, rest = text.partition("\n")
    broken = rest.lstrip().startswith("{") or (complete and not rest.strip())
    return "jsonl" if broken or _parses(first) else "document"


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
