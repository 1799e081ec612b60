"""The files of a load: listed once, and opened far enough to know what they are."""

from __future__ import annotations

import gzip
import json
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hanzo_reports.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hanzo_reports.ingest.source import Source

HEAD_BYTES = 1 << 20
Kind = Literal["csv", "jsonl", "array", "document", "parquet", "log"]
SUFFIXES: dict[str, tuple[str, ...]] = {
    "csv": (".csv", ".tsv"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet",),
    "log": (".log", ".txt"),
    "otlp": (".json", ".jsonl"),
}
_SPECIAL = {
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
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


@dataclass(frozen=True)
class FileList:
    """The files of a load.

    Args:
        files: in the order in which they are read.
        skipped: what folders hold beside them that is not read, and why, a line each.
    """

    files: tuple[File, ...]
    skipped: tuple[str, ...] = ()


def list_files(source: Source, paths: Sequence[Path]) -> FileList:
    """List the files of a load; a folder stands for all files in it, at any depth, of the source's formats.

    In a folder, a link that leads out of it is not followed, and pipes, sockets and devices are not opened.

    Raises:
        UnreadableError: a file is missing, empty, not a regular file or not of the source's formats, or a folder has
            none of them.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        msg = f"no such file or folder: {', '.join(missing)}"
        raise UnreadableError(msg)
    suffixes = tuple(dict.fromkeys(suffix for name in source.formats for suffix in SUFFIXES[name]))
    files: list[File] = []
    skipped: list[str] = []
    for path in paths:
        if not path.is_dir():
            files.append(_open_file(source, path))
            continue
        inside: list[Path] = []
        for each in _walk(path, suffixes):
            why = _why_skipped(each, path)
            if why:
                skipped.append(f"{each}: skipped; {why}")
            elif each.is_file():
                inside.append(each)
        if not inside:
            others = f"; {len(skipped):,} skipped, as {skipped[0]}" if skipped else ""
            msg = f"{path}: no files in it that end in {', '.join(suffixes)} (or .gz after that){others}"
            raise UnreadableError(msg)
        files += [_open_file(source, each) for each in sorted(inside)]
    unique = {file.path.resolve(): file for file in files}
    return FileList(tuple(unique.values()), tuple(skipped))


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """What a folder holds that ends in one of the suffixes, and links to folders; hidden names are left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        yield from (Path(root, name) for name in folders if Path(root, name).is_symlink())
        for name in names:
            if not name.startswith((".", "_")) and name.removesuffix(".gz").endswith(suffixes):
                yield Path(root, name)


def _why_skipped(path: Path, folder: Path) -> str:
    """Why a member of a folder is not read; empty: it is, or it is a link to a folder that is listed anyway."""
    if path.is_symlink():
        if not path.resolve().is_relative_to(folder.resolve()):
            return "it is a link out of the folder; give its target by name to load it"
        if not path.exists():
            return "it is a link to nothing"
    kind = _special_kind(path.stat().st_mode)
    return f"it is {kind}" if kind else ""


def _special_kind(mode: int) -> str:
    return next((kind for is_kind, kind in _SPECIAL.items() if is_kind(mode)), "")


def _open_file(source: Source, path: Path) -> File:
    try:
        kind = _special_kind(path.stat().st_mode)  # opening a pipe would wait for its writer
        if kind:
            msg = f"{path}: it is {kind}, and only regular files can be loaded; write its content into a file first"
            raise UnreadableError(msg)
        with path.open("rb") as stream:
            gzipped = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if gzipped else path.open("rb") as stream:
            start = stream.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read; {error}"
        raise UnreadableError(msg) from error
    if not start.strip():
        msg = f"{path}: the file is empty"
        raise UnreadableError(msg)
    head = "" if start.startswith(b"PAR1") else start.decode("utf-8-sig", errors="replace")
    return File(path, _detect_kind(source, path, start, head, gzipped=gzipped), gzipped, head)


def _detect_kind(source: Source, path: Path, start: bytes, head: str, *, gzipped: bool) -> Kind:
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
            return _detect_json(head, complete=len(start) < HEAD_BYTES)
        if lines and suffix in SUFFIXES["jsonl"]:
            return "jsonl"
        for kind in ("log", "csv"):
            if kind in formats and suffix not in {".json", ".jsonl", ".ndjson"}:
                return kind
    msg = f"{path}: not {' or '.join(formats)}, which this source reads"
    raise UnreadableError(msg)


def _detect_json(head: str, *, complete: bool) -> Kind:
    """Whether text that starts like JSON has an object per line, or one array, or objects that span lines."""
    text = head.lstrip()
    if text.startswith("["):
        return "array"
    first, _, rest = text.partition("\n")
    object_per_line = rest.lstrip().startswith("{") or (complete and not rest.strip())
    return "jsonl" if object_per_line or _is_json(first) else "document"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
