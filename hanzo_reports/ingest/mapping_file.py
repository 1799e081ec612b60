"""The TOML file of a source, read and checked; a mistake in it is named with its file and key."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hanzo_reports.errors import MappingError, UnknownNameError, nearest
from hanzo_reports.ingest.constants import parse_constant
from hanzo_reports.ingest.source import MAPPED_COLUMNS, ColumnRule, RowFilter, Source, SourceRules, StrictModel

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES_FOLDER = Path(__file__).parent / "sources"


def source_names() -> list[str]:
    """The sources that come with the package."""
    return sorted(path.stem for path in SOURCES_FOLDER.glob("*.toml"))


def load_source(name: str, mapping_file: Path | None, constants: Mapping[str, str]) -> Source:
    """Load a source by name, or from a user's own mapping file.

    Args:
        name: one of `source_names()`; with a mapping file, any name.
        mapping_file: a user's TOML, or None.
        constants: event columns, or "base", set to one value for all rows.

    Raises:
        UnknownNameError: there is no such source, or a constant is not a column of the event.
        MappingError: the TOML does not describe an event, or a constant is not of its column's type.
    """
    if mapping_file is None and name not in source_names():
        raise UnknownNameError("source", name, source_names())
    path = mapping_file or SOURCES_FOLDER / f"{name}.toml"
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: not a mapping that can be read; {error}"
        raise MappingError(msg) from error
    columns = document.get("columns", {})
    for column in columns if isinstance(columns, dict) else ():
        if column not in MAPPED_COLUMNS:
            raise MappingError(str(UnknownNameError("event column", column, MAPPED_COLUMNS, f"{path} [columns]")))
    for column, text in constants.items():
        settable = [name for name in MAPPED_COLUMNS if name != "event_id"] + ["base"] * ("base" in document)
        if column not in settable:
            raise UnknownNameError("column", column, settable, "--set")
        if column == "base":
            document["base"] = _check_constant(column, "timestamp", text)
        elif isinstance(columns, dict):
            columns[column] = {"value": _check_constant(column, MAPPED_COLUMNS[column], text)}
    try:
        return Source.model_validate(document)
    except ValidationError as error:
        raise MappingError(_describe_mistake(path, error)) from error


def _check_constant(column: str, dtype: str, text: str) -> str:
    try:
        parse_constant(dtype, text)
    except ValueError as error:
        msg = f"--set {column}={text}: {error}"
        raise MappingError(msg) from error
    return text


def _describe_mistake(path: Path, error: ValidationError) -> str:
    """What is wrong with a TOML: the file, the key, and the key that was probably meant."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int) or part)
    if first["type"] != "extra_forbidden":
        message = first["msg"].removeprefix("Value error, ")
        return f"{path}: {key}: {message}".replace(": : ", ": ")
    kind: type[StrictModel] = Source
    if first["loc"][0] == "columns" or "newest" in first["loc"]:
        kind = ColumnRule
    elif len(first["loc"]) > 1:
        kinds: dict[str, type[StrictModel]] = {"only": RowFilter, "rules": SourceRules}
        kind = kinds.get(str(first["loc"][0]), Source)
    known = [field.alias or name for name, field in kind.model_fields.items()]
    close = nearest(str(first["loc"][-1]), known)
    return f"{path}: unknown key {key}; " + (f"did you mean {close!r}?" if close else f"known: {', '.join(known)}")
