"""A source: how the rows of a foreign log become events, written as data in a TOML file."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from hanzo_reports.errors import UsageError
from hanzo_reports.events import COLUMNS, REQUIRED
from hanzo_reports.ingest.constants import parse_constant
from hanzo_reports.window import zone

if TYPE_CHECKING:
    from collections.abc import Iterator

MAPPED_COLUMNS: dict[str, str] = {column.name: column.dtype for column in COLUMNS if column.name != "ingested_at"}
REQUIRED_COLUMNS: tuple[str, ...] = tuple(name for name in REQUIRED if name in MAPPED_COLUMNS)
VERSION_COLUMN = "_version"  # of a mapped row: what ranks rows that share an id
RULE_KINDS = ("from", "value", "join", "sum", "between", "hash")
TIME_FORMATS = ("iso", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "offset_s", "offset_ms")
MAX_SCALE_DIGITS = 10  # with them, a scaled number still fits into DuckDB's widest decimal


def split_path(path: str) -> tuple[str, ...]:
    """The keys of a path, outermost first; a key that has dots itself stands in double quotes.

    >>> split_path('attributes."gen_ai.usage.input_tokens"')
    ('attributes', 'gen_ai.usage.input_tokens')

    Raises:
        ValueError: a key is empty, or a quote is not closed.
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


def scale_digits(scale: Decimal) -> tuple[int, int]:
    """The digits of a factor, and how many of them stand after the point."""
    exponent = scale.as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    return max(len(f"{abs(scale):f}".replace(".", "").lstrip("0")), places) or 1, places


def _check_path(text: str) -> str:
    split_path(text)
    return text


def _check_time_format(text: str) -> str:
    if text not in TIME_FORMATS and "%" not in text:
        msg = f"{text!r} is not a time format; use {', '.join(TIME_FORMATS)} or a strptime pattern"
        raise ValueError(msg)
    _check_in_engine("SELECT try_strptime('', $1)" if "%" in text else "", text, "a strptime pattern")
    return text


def _check_zone(name: str) -> str:
    try:
        zone(name)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return name


def _check_pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        msg = f"{text!r} is not a regular expression: {error}"
        raise ValueError(msg) from error
    if not groups:
        msg = f"{text!r} has no named groups, and those are the columns; write (?P<status>...)"
        raise ValueError(msg)
    _check_in_engine("SELECT regexp_matches('', $1)", text, "a regular expression that the engine (RE2) knows")
    return text


def _check_in_engine(query: str, text: str, what: str) -> None:
    """Try a pattern in the engine that will use it, so that a mistake is not taken for one of a file."""
    import duckdb  # noqa: PLC0415  # few mappings have a pattern

    if not query:
        return
    try:
        duckdb.connect().execute(query, [text]).fetchall()
    except duckdb.Error as error:
        msg = f"{text!r} is not {what}: {str(error).splitlines()[0]}"
        raise ValueError(msg) from error


def _check_scale(scale: Decimal) -> Decimal:
    if scale_digits(scale)[0] > MAX_SCALE_DIGITS:
        msg = f"{scale} has {scale_digits(scale)[0]} digits; give one with at most {MAX_SCALE_DIGITS}"
        raise ValueError(msg)
    return scale


def _check_scalar(value: object) -> object:
    if not isinstance(value, (bool, int, Decimal, str)):
        msg = f"give a text, a number, true or false, not {_describe_type(value)}"
        raise ValueError(msg)  # noqa: TRY004  # pydantic reports ValueErrors
    return value


def _check_rule(value: object) -> object:
    if not isinstance(value, (dict, ColumnRule)):
        msg = f'write it as a table like {{ from = "path" }}, not as {_describe_type(value)}'
        raise ValueError(msg)  # noqa: TRY004  # pydantic reports ValueErrors
    return value


def _check_instant(value: object) -> object:
    if not isinstance(value, (str, date)):
        msg = f"give an instant like 2025-06-01T12:00:00Z, not {_describe_type(value)}"
        raise ValueError(msg)  # noqa: TRY004  # pydantic reports ValueErrors
    return parse_constant("timestamp", value) if isinstance(value, str) else value


def _describe_type(value: object) -> str:
    names = {
        dict: "a table",
        list: "a list",
        bool: "true or false",
        int: "a number",
        Decimal: "a number",
        str: "a text",
    }
    return names.get(type(value), "a date or time")


def _assume_utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _as_tuple(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


Path_ = Annotated[str, AfterValidator(_check_path)]
Paths = Annotated[tuple[Path_, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Scalar = bool | int | Decimal | str
CheckedScalar = Annotated[Scalar, BeforeValidator(_check_scalar)]
Texts = Annotated[tuple[str, ...], Field(min_length=1)]


class StrictModel(BaseModel):
    """A part of a source's TOML; keys it does not know are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnRule(StrictModel):
    """One rule for a column's value: exactly one of from, value, join, sum, between, hash; the rest shapes it.

    Args:
        from_: paths, of which the first that has a value is taken.
        value: the same for every row.
        join: paths whose texts are joined by "-"; all must have a value.
        sum: numbers added; each a path or a list of paths like `from`; those without a value count nothing.
        between: two paths to instants; milliseconds from the first to the second.
        hash: paths whose texts are hashed into an id, for sources without ids; equal rows of a file are numbered.
        map: replacements of values; values that are not in it stay as they are, unless `other` is given.
        other: the replacement of values that are not in `map`; "" is NULL.
        default: the value of rows in which no value is found.
        null: texts that mean that there is no value; the empty text always does.
        scale: numbers are multiplied by it.
        time: how an instant is written.
        zone: the IANA zone of instants that name no offset.
        part: of "anthropic/claude", "prefix" is what stands before the first slash (NULL without one), "rest" what
            stands after it (all without one).
    """

    from_: Paths | None = Field(None, alias="from")
    value: CheckedScalar | None = None
    join: Paths | None = None
    sum: Annotated[tuple[Paths, ...], Field(min_length=1)] | None = None
    between: tuple[Paths, Paths] | None = None
    hash: Paths | None = None
    map: Annotated[dict[str, CheckedScalar], Field(min_length=1)] | None = None
    other: CheckedScalar | None = None
    default: CheckedScalar | None = None
    null: tuple[str, ...] = ()
    scale: Annotated[Decimal, AfterValidator(_check_scale)] | None = None
    time: Annotated[str, AfterValidator(_check_time_format)] = "iso"
    zone: Annotated[str, AfterValidator(_check_zone)] = "UTC"
    part: Literal["prefix", "rest"] | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> ColumnRule:
        kinds = [kind for kind in RULE_KINDS if getattr(self, "from_" if kind == "from" else kind) is not None]
        if len(kinds) != 1:
            msg = f"give exactly one of {', '.join(RULE_KINDS)}; this has {' and '.join(kinds) or 'none'}"
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


CheckedRule = Annotated[ColumnRule, BeforeValidator(_check_rule)]
ColumnRules = Annotated[tuple[CheckedRule, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class RowFilter(StrictModel):
    """A condition that a row has to meet to be a request; other rows are not events and are not counted.

    Args:
        from_: paths; the first one that has a value is tested.
        values: texts of which it is one; without them any value will do.
        not_: texts of which it is none; a row without a value passes.
    """

    from_: Paths = Field(alias="from")
    values: Texts = ()
    not_: Texts = Field((), alias="not")


class SourceRules(StrictModel):
    """What holds for all rows of a source.

    Args:
        failed_latency_zero_is_null: a failed request that logs latency 0 has no latency.
        newest: where the version of a row stands, an instant; of rows with one id the newest is taken.
    """

    failed_latency_zero_is_null: bool = False
    newest: CheckedRule | None = None


class Source(StrictModel):
    """A source, as its TOML file describes it.

    Args:
        about: one line: whose log it is.
        formats: what its files may be.
        pattern: for format "log": a regular expression with named groups; the groups are the columns.
        base: the instant that times of format "offset_s" and "offset_ms" count from; without an offset it is UTC.
        columns: event column -> rules for its value; the first that finds a value is taken.
        only: conditions that make a row a request.
        rules: what holds for all rows.
    """

    about: str = ""
    formats: Annotated[
        tuple[Literal["csv", "jsonl", "json", "parquet", "log", "otlp"], ...], Field(min_length=1)
    ] = ("csv", "jsonl", "json", "parquet")  # fmt: skip
    pattern: Annotated[str, AfterValidator(_check_pattern)] | None = None
    base: Annotated[datetime, BeforeValidator(_check_instant), AfterValidator(_assume_utc)] | None = None
    columns: dict[str, ColumnRules]
    only: tuple[RowFilter, ...] = ()
    rules: SourceRules = SourceRules()

    @model_validator(mode="after")
    def _check_whole(self) -> Source:
        for name in REQUIRED_COLUMNS:
            if name not in self.columns:
                msg = f"[columns] lacks {name}, which every event has"
                raise ValueError(msg)
        for name, rules in self.columns.items():
            for value in (each for rule in rules for each in (rule.value, rule.default) if each is not None):
                try:
                    parse_constant(MAPPED_COLUMNS[name], value)
                except ValueError as error:
                    msg = f"[columns] {name}: {error}"
                    raise ValueError(msg) from error
        if "log" in self.formats and not self.pattern:
            msg = "format 'log' needs a pattern"
            raise ValueError(msg)
        newest = (self.rules.newest,) if self.rules.newest else ()
        if self.base is None and any(
            rule.time.startswith("offset") for rules in (*self.columns.values(), newest) for rule in rules
        ):
            msg = "a time of format 'offset' needs a base; write base = 2025-06-01T00:00:00Z above [columns]"
            raise ValueError(msg)
        return self

    @property
    def version_column(self) -> str | None:
        """The mapped column that ranks rows with one id, or None."""
        return VERSION_COLUMN if self.rules.newest else None

    @property
    def hashes_rows(self) -> bool:
        """Whether a column is a hash of the row, which is dear to compute."""
        return any(rule.hash for rules in self.columns.values() for rule in rules)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every path that is read, each once."""
        paths = [path for rules in self.columns.values() for rule in rules for path in rule.paths()]
        paths += [path for condition in self.only for path in condition.from_]
        paths += self.rules.newest.paths() if self.rules.newest else ()
        return tuple(dict.fromkeys(paths))

    def required_paths(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The columns that every row must find in the file, each with the paths of which one must exist."""
        for name in REQUIRED_COLUMNS:
            rules = self.columns[name]
            if not any(rule.value is not None or rule.default is not None for rule in rules):
                yield name, tuple(path for rule in rules for path in rule.paths())
