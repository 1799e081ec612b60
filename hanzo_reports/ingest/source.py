"""A source: how a foreign log's rows become events, written as data in a TOML file."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from hanzo_reports.errors import MappingError, UnknownNameError, nearest
from hanzo_reports.events import COLUMNS, REQUIRED
from hanzo_reports.ingest.constants import constant
from hanzo_reports.window import zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = Path(__file__).parent / "sources"
MAPPABLE: dict[str, str] = {column.name: column.dtype for column in COLUMNS if column.name != "ingested_at"}
NEEDED: tuple[str, ...] = tuple(name for name in REQUIRED if name in MAPPABLE)
WAYS = ("from", "value", "join", "sum", "between", "hash")
TIMES = ("iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "offset_s", "offset_ms")


def segments(path: str) -> tuple[str, ...]:
    """The keys of a path, outermost first; a key that has dots itself stands in double quotes.

    >>> segments('attributes."gen_ai.usage.input_tokens"')
    ('attributes', 'gen_ai.usage.input_tokens')
    """
    keys = [""]
    quoted = False
    for character in path:
        if character == '"':
            quoted = not quoted
        elif character == "." and not quoted:
            keys.append("")
        else:
            keys[-1] += character
    if quoted or not all(keys):
        msg = f"{path!r} is not a path; write keys joined by dots, and a key that has dots in double quotes"
        raise ValueError(msg)
    return tuple(keys)


def _path(text: str) -> str:
    segments(text)
    return text


def _time(text: str) -> str:
    if text not in TIMES and "%" not in text:
        msg = f"{text!r} is not a time format; use {', '.join(TIMES)} or a strptime pattern"
        raise ValueError(msg)
    return text


def _zone(name: str) -> str:
    zone(name)
    return name


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        msg = f"{text!r} is not a regular expression: {error}"
        raise ValueError(msg) from error
    if not groups:
        msg = f"{text!r} has no named groups, and those are the columns; write (?P<status>...)"
        raise ValueError(msg)
    return text


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _listed(given: object) -> object:
    return given if isinstance(given, (list, tuple)) else (given,)


Path_ = Annotated[str, AfterValidator(_path)]
Paths = Annotated[tuple[Path_, ...], BeforeValidator(_listed), Field(min_length=1)]
Scalar = bool | int | Decimal | str


class Strict(BaseModel):
    """A part of a source's TOML; keys it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Way(Strict):
    """One way to find a column's value: exactly one of from, value, join, sum, between, hash; the rest shapes it.

    Args:
        from_: paths, of which the first that has a value is taken.
        value: the same for every row.
        join: paths whose texts are joined by "-"; all must have a value.
        sum: numbers added; each a path or a list of paths like `from`; those without a value count nothing.
        between: two paths to instants; milliseconds from the first to the second.
        hash: paths whose texts are hashed, with a number for repeated rows of a file: ids for sources without any.
        map: what is put in the place of a value; values that are not in it stay as they are, unless `other` is given.
        other: what is put in the place of values that are not in `map`; "" is NULL.
        default: what stands where nothing was found.
        null: texts that mean that there is no value; the empty text always does.
        scale: numbers are multiplied by it.
        time: how an instant is written.
        zone: the IANA zone of instants that name no offset.
        part: of "anthropic/claude", "prefix" is what stands before the first slash (NULL without one), "rest" what
            stands after it (all without one).
    """

    from_: Paths | None = Field(None, alias="from")
    value: Scalar | None = None
    join: Paths | None = None
    sum: tuple[Paths, ...] | None = None
    between: tuple[Paths, Paths] | None = None
    hash: Paths | None = None
    map: dict[str, Scalar] | None = None
    other: Scalar | None = None
    default: Scalar | None = None
    null: tuple[str, ...] = ()
    scale: Decimal | None = None
    time: Annotated[str, AfterValidator(_time)] = "iso"
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    part: Literal["prefix", "rest"] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Way:
        given = [name for name in WAYS if getattr(self, "from_" if name == "from" else name) is not None]
        if len(given) != 1:
            msg = f"give exactly one of {', '.join(WAYS)}; this has {' and '.join(given) or 'none'}"
            raise ValueError(msg)
        if self.other is not None and self.map is None:
            msg = "'other' is for values that are not in 'map'; give 'map' too"
            raise ValueError(msg)
        return self

    def paths(self) -> Iterator[str]:
        """Every path it reads."""
        yield from (*(self.from_ or ()), *(self.join or ()), *(self.hash or ()))
        for group in (*(self.sum or ()), *(self.between or ())):
            yield from group


Ways = Annotated[tuple[Way, ...], BeforeValidator(_listed), Field(min_length=1)]


class Only(Strict):
    """A condition that a row has to meet to be a request; other rows are no events and are not counted.

    Args:
        from_: paths; one of them has a value, or the first value found is tested.
        values: texts of which it is one; without them any value will do.
        not_: texts of which it is none; a row without a value passes.
    """

    from_: Paths = Field(alias="from")
    values: tuple[str, ...] = ()
    not_: tuple[str, ...] = Field((), alias="not")


class Rules(Strict):
    """What holds for all rows of a source.

    Args:
        failed_latency_zero_is_null: a failed request that logs latency 0 has no latency.
        newest: where the version of a row stands, an instant; of rows with one id the newest is taken.
    """

    failed_latency_zero_is_null: bool = False
    newest: Way | None = None


class Source(Strict):
    """A source, as its TOML file describes it.

    Args:
        about: one line: whose log it is.
        formats: what its files may be.
        pattern: for format "log": a regular expression with named groups; the groups are the columns.
        base: the instant that times of format "offset_s" and "offset_ms" count from; without an offset it is UTC.
        columns: event column -> ways to find its value; the first that finds one is taken.
        only: conditions that make a row a request.
        rules: what holds for all rows.
    """

    about: str = ""
    formats: tuple[Literal["csv", "jsonl", "json", "parquet", "log", "otlp"], ...] = ("csv", "jsonl", "json", "parquet")
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None
    base: Annotated[datetime, AfterValidator(_utc)] | None = None
    columns: dict[str, Ways]
    only: tuple[Only, ...] = ()
    rules: Rules = Rules()

    @model_validator(mode="after")
    def _whole(self) -> Source:
        for name in NEEDED:
            if name not in self.columns:
                msg = f"[columns] lacks {name}, which every event has"
                raise ValueError(msg)
        for name, ways in self.columns.items():
            for given in (each for way in ways for each in (way.value, way.default) if each is not None):
                try:
                    constant(MAPPABLE[name], given)
                except ValueError as error:
                    msg = f"[columns] {name}: {error}"
                    raise ValueError(msg) from error
        if "log" in self.formats and not self.pattern:
            msg = "format 'log' needs a pattern"
            raise ValueError(msg)
        if self.base is None and any(way.time.startswith("offset") for ways in self.columns.values() for way in ways):
            msg = "a time of format 'offset' needs a base"
            raise ValueError(msg)
        return self

    @property
    def newest(self) -> str | None:
        """The projected column that ranks rows with one id, or None."""
        return "_version" if self.rules.newest else None

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every path that is read, each once."""
        found = [path for ways in self.columns.values() for way in ways for path in way.paths()]
        found += [path for only in self.only for path in only.from_]
        found += self.rules.newest.paths() if self.rules.newest else ()
        return tuple(dict.fromkeys(found))

    def needs(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The columns that every row must find in the file, each with the paths of which one must be there."""
        for name in NEEDED:
            ways = self.columns[name]
            if not any(way.value is not None or way.default is not None for way in ways):
                yield name, tuple(path for way in ways for path in way.paths())


def names() -> list[str]:
    """The sources that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_source(name: str, mapping_file: Path | None, constants: Mapping[str, str]) -> Source:
    """A source by name, or from a user's own mapping file.

    Args:
        name: one of `names()`; with a mapping file, any name.
        mapping_file: a user's TOML, or None.
        constants: event columns, or "base", set to one value for all rows.

    Raises:
        UnknownNameError: there is no such source, or a constant is no column of the event.
        MappingError: the TOML does not describe an event, or a constant is not of its column's type.
    """
    if mapping_file is None and name not in names():
        raise UnknownNameError("source", name, names())
    path = mapping_file or FOLDER / f"{name}.toml"
    try:
        described: dict[str, Any] = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: not a mapping that can be read; {error}"
        raise MappingError(msg) from error
    columns = described.get("columns", {})
    for column in columns if isinstance(columns, dict) else ():
        if column not in MAPPABLE:
            raise MappingError(str(UnknownNameError("event column", column, MAPPABLE, f"{path} [columns]")))
    for column, text in constants.items():
        settable = [name for name in MAPPABLE if name != "event_id"] + ["base"] * ("base" in described)
        if column not in settable:
            raise UnknownNameError("column", column, settable, "--set")
        if column == "base":
            described["base"] = _set(column, "timestamp", text)
        elif isinstance(columns, dict):
            columns[column] = {"value": _set(column, MAPPABLE[column], text)}
    try:
        return Source.model_validate(described)
    except ValidationError as error:
        raise MappingError(_complaint(path, error)) from error


def _set(column: str, dtype: str, text: str) -> str:
    """A constant's text, after a look at whether it is of its column's type."""
    try:
        constant(dtype, text)
    except ValueError as error:
        msg = f"--set {column}={text}: {error}"
        raise MappingError(msg) from error
    return text


def _complaint(path: Path, error: ValidationError) -> str:
    """What is wrong with a TOML: the file, the key, and the key that was probably meant."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int) or part)
    if first["type"] != "extra_forbidden":
        return f"{path}: {key}: {first['msg']}".replace(": : ", ": ")
    kind: type[Strict] = Source
    if first["loc"][0] == "columns" or "newest" in first["loc"]:
        kind = Way
    elif len(first["loc"]) > 1:
        kinds: dict[str, type[Strict]] = {"only": Only, "rules": Rules}
        kind = kinds.get(str(first["loc"][0]), Source)
    known = [field.alias or name for name, field in kind.model_fields.items()]
    close = nearest(str(first["loc"][-1]), known)
    return f"{path}: unknown key {key}; " + (f"did you mean {close!r}?" if close else f"known: {', '.join(known)}")
