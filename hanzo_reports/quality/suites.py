"""Suites of expectations: YAML files in the words of Great Expectations, read and filled without importing it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from hanzo_reports.errors import SuiteError, UnknownNameError, nearest
from hanzo_reports.quality import conditions, queries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PACKAGE = Path(__file__).parents[1]
SUFFIXES = (".yaml", ".yml")
SEVERITIES = ("critical", "warning", "info")
TABLES = ("events", "daily", "rollup", "bill")
_SUITE_KEYS = ("name", "expectations", "meta", "notes", "id")
_KEYS = ("type", "kwargs", "id", "severity", "description", "meta", "notes")
_META = ("title", "table", "skip")
_ONE_META = ("needs", "otherwise", "at_stake", "by")
_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")


@dataclass(frozen=True)
class Expectation:
    """One expectation of a suite, its parameters filled in.

    Args:
        id: its name in the suite; rows in quarantine carry it.
        type: as Great Expectations calls it, for example ``expect_column_values_to_be_between``.
        kwargs: its arguments.
        severity: ``critical``, ``warning`` or ``info``.
        description: one line in plain words.
        meta: `needs` (columns without which it is skipped), `otherwise` (why, in words), `at_stake` (a column of money
            that is added up over the unexpected rows), `by` (a column that they are counted by).
    """

    id: str
    type: str
    kwargs: Mapping[str, Any]
    severity: str
    description: str
    meta: Mapping[str, Any]

    @property
    def columns(self) -> list[str]:
        """The columns that it looks at, as far as its arguments name them."""
        if query := self.kwargs.get("unexpected_rows_query"):
            return queries.columns(query)
        named = (self.kwargs[key] for key in _COLUMNS if key in self.kwargs)
        return [name for names in named for name in ([names] if isinstance(names, str) else names)]


@dataclass(frozen=True)
class Suite:
    """A file of expectations about one table.

    Args:
        name: the file's name without its ending; another than that of a suite of the package.
        path: the file.
        title: what it is about, in a line.
        table: the table that it judges: ``events``, ``daily``, ``rollup`` or ``bill``.
        skip: why it is not judged at all; empty: it is.
        expectations: in the file's order.
        digest: SHA-256 of the file.
        shipped: whether it comes with the package.
        parameters: the names that it has a value given for.
    """

    name: str
    path: Path
    title: str
    table: str
    skip: str
    expectations: tuple[Expectation, ...]
    digest: str
    shipped: bool = True
    parameters: frozenset[str] = frozenset()


def names() -> list[str]:
    """The suites that come with the package, in the order of the tables that they judge."""
    found = [path.stem for path in folder().glob("*.yaml")]
    return sorted(found, key=lambda name: (TABLES.index(name) if name in TABLES else len(TABLES), name))


def folder() -> Path:
    """Where the suites are: inside the package where it was installed, beside it where it is worked on."""
    inside = PACKAGE / "expectations"
    return inside if inside.is_dir() else PACKAGE.parent / "expectations"


def suite(name: str, params: Mapping[str, Any]) -> Suite:
    """The suite of a name, with its parameters filled in.

    Args:
        name: a suite of the package, or the path of a YAML file.
        params: what ``$name`` stands for; a text that is just ``$name`` becomes the value itself, ``$$`` is a dollar.

    Raises:
        UnknownNameError: there is no such suite.
        SuiteError: the file is not there, is no YAML, does not describe a suite, or a parameter is not given.
    """
    path = Path(name).expanduser()
    if not name.endswith(SUFFIXES):
        if name not in names():
            raise UnknownNameError("suite", name, names(), "the expectations; a path must end in .yaml")
        path = folder() / f"{name}.yaml"
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"the suite {path} cannot be read: {error.strerror or error}"
        raise SuiteError(msg) from None
    given = _mapping(path, _parsed(path, content), "the file", _SUITE_KEYS)
    meta = _filled(path, "meta", _mapping(path, given.get("meta") or {}, "meta", _META), params)
    if not isinstance(given.get("expectations"), list) or not given["expectations"]:
        msg = f"{path}: `expectations` must be a list of at least one; see {folder() / 'events.yaml'}"
        raise SuiteError(msg)
    table = meta.get("table", "events")
    if table not in TABLES:
        raise UnknownNameError("table", str(table), TABLES, f"{path}, meta")
    expectations = tuple(_expectation(path, number, one, params) for number, one in enumerate(given["expectations"], 1))
    ids = [one.id for one in expectations]
    if twice := next((name for name in ids if ids.count(name) > 1), None):
        msg = f"{path}: two expectations are called {twice!r}; give one of them another `id`"
        raise SuiteError(msg)
    digest, path = hashlib.sha256(content).hexdigest(), path.resolve()
    shipped = path.parent == folder().resolve()
    called = path.stem
    if not shipped and called in names():
        called += f"-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    return Suite(
        called, path, str(meta.get("title", "")), table, str(meta.get("skip", "")), expectations, digest, shipped,
        frozenset(_identifiers(Template(content.decode(errors="replace")))),
    )  # fmt: skip


def _parsed(path: Path, content: bytes) -> object:
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        msg = f"{path}:{where} this is no YAML: {getattr(error, 'problem', None) or error}"
        raise SuiteError(msg) from None


def _expectation(path: Path, number: int, given: object, params: Mapping[str, Any]) -> Expectation:
    where = f"expectation {number}"
    found = _mapping(path, given, where, _KEYS)
    kind, kwargs = found.get("type"), _mapping(path, found.get("kwargs") or {}, f"{where}, kwargs", None)
    if not isinstance(kind, str):
        msg = f"{path}: {where} has no `type`, for example expect_column_values_to_not_be_null"
        raise SuiteError(msg)
    filled = _filled(path, f"{where} ({kind})", kwargs, params)
    if isinstance(filled.get("row_condition"), str):
        filled["row_condition"] = conditions.mapping(filled["row_condition"], f"{path}: {where}")
        filled.pop("condition_parser", None)
    severity = str(found.get("severity", "critical"))
    if severity not in SEVERITIES:
        raise UnknownNameError("severity", severity, SEVERITIES, f"{path}, {where}")
    meta = _mapping(path, found.get("meta") or {}, f"{where}, meta", _ONE_META)
    meta, told = _filled(path, f"{where} ({kind})", [meta, str(found.get("description", ""))], params)
    one = Expectation(str(found.get("id", "")), kind, filled, severity, str(told), meta)
    id_ = one.id or "_".join([kind.removeprefix("expect_"), *one.columns])
    return Expectation(id_, kind, filled, severity, one.description or kind.replace("_", " "), meta)


def _mapping(path: Path, given: object, where: str, known: Iterable[str] | None) -> dict[str, Any]:
    """A mapping of the file; a key that it should not have is named with the one that was probably meant."""
    if not isinstance(given, dict):
        msg = f"{path}: {where} must be a mapping of names to values, not {type(given).__name__}"
        raise SuiteError(msg)
    for key in () if known is None else given:
        if known is not None and key not in known:
            close = nearest(str(key), known)
            hint = f"did you mean {close!r}?" if close else f"known: {', '.join(known)}"
            msg = f"{path}: {where} has the unknown key {key!r}; {hint}"
            raise SuiteError(msg)
    return given


def _filled(path: Path, where: str, value: Any, params: Mapping[str, Any]) -> Any:  # noqa: ANN401  # whatever YAML holds
    """A value with its parameters."""
    if isinstance(value, dict):
        return {key: _filled(path, where, item, params) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(path, where, item, params) for item in value]
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if not isinstance(value, str) or "$" not in value:
        return value
    template = Template(value)
    for name in _identifiers(template):
        if name not in params:
            close = nearest(name, params)
            hint = f"did you mean ${close}? " if close else ""
            msg = (
                f"{path}: {where} needs the parameter ${name}, which is not given; "
                f"{hint}give it with --set {name}=VALUE, or write $$ for a dollar"
            )
            raise SuiteError(msg)
        if value in {f"${name}", f"${{{name}}}"}:
            return params[name]
    return template.safe_substitute(params)


def _identifiers(template: Template) -> Iterator[str]:
    for found in template.pattern.finditer(template.template):
        name = found["named"] or found["braced"]
        if name:
            yield name
