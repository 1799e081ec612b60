"""Suites of expectations: YAML files in Great Expectations' vocabulary, read without importing it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
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
_EXPECTATION_META = ("needs", "otherwise", "at_stake", "by")
_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")


@dataclass(frozen=True)
class Expectation:
    """One expectation of a suite, with its parameters filled in.

    Args:
        id: its name in the suite; the reasons of quarantined rows begin with it.
        type: its type in Great Expectations, for example ``expect_column_values_to_be_between``.
        kwargs: its arguments.
        severity: ``critical``, ``warning`` or ``info``.
        description: one line in plain words.
        meta: `needs` (columns without which it is skipped), `otherwise` (the reason given then), `at_stake` (a column
            of US dollars added up over the unexpected rows), `by` (a column by which they are counted).
    """

    id: str
    type: str
    kwargs: Mapping[str, Any]
    severity: str
    description: str
    meta: Mapping[str, Any]

    @property
    def columns(self) -> list[str]:
        """The columns that its arguments name."""
        if query := self.kwargs.get("unexpected_rows_query"):
            return queries.query_columns(query)
        arguments = (self.kwargs[key] for key in _COLUMNS if key in self.kwargs)
        return [name for names in arguments for name in ([names] if isinstance(names, str) else names)]


@dataclass(frozen=True)
class Suite:
    """A file of expectations about one table.

    Args:
        name: the file's name without its ending, with a hash if a suite of the package has that name.
        path: the file.
        title: what it checks, in one line.
        table: the table that it checks: ``events``, ``daily``, ``rollup`` or ``bill``.
        skip: why it is skipped as a whole; empty: it is not.
        expectations: in the file's order.
        digest: SHA-256 of the file.
        shipped: whether it comes with the package.
        parameters: the names of its parameters.
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


def suite_names() -> list[str]:
    """The suites that come with the package, in the order of the tables that they check."""
    stems = [path.stem for path in suites_folder().glob("*.yaml")]
    return sorted(stems, key=lambda name: (TABLES.index(name) if name in TABLES else len(TABLES), name))


def suites_folder() -> Path:
    """Where the suites are: inside the package where it is installed, beside it in a checkout."""
    inside = PACKAGE / "expectations"
    return inside if inside.is_dir() else PACKAGE.parent / "expectations"


def load_suite(name: str, params: Mapping[str, Any]) -> Suite:
    """A suite with its parameters filled in.

    Args:
        name: a suite of the package, or the path of a YAML file.
        params: the values of ``$name``; a text that is only ``$name`` becomes the value itself, ``$$`` is a dollar.

    Raises:
        UnknownNameError: there is no such suite, or it names an unknown table or severity.
        SuiteError: the file is missing, is not YAML or not a suite, or a parameter has no value.
    """
    path = Path(name).expanduser()
    if not name.endswith(SUFFIXES):
        if name not in suite_names():
            raise UnknownNameError("suite", name, suite_names(), "the expectations; a path must end in .yaml")
        path = suites_folder() / f"{name}.yaml"
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"cannot read the suite {path}: {error.strerror or error}"
        raise SuiteError(msg) from None
    fields = _check_mapping(path, _parse(path, content), "the file", _SUITE_KEYS)
    meta = _fill_in(path, "meta", _check_mapping(path, fields.get("meta") or {}, "meta", _META), params)
    if not isinstance(fields.get("expectations"), list) or not fields["expectations"]:
        msg = f"{path}: `expectations` must be a list of at least one; see {suites_folder() / 'events.yaml'}"
        raise SuiteError(msg)
    table = meta.get("table", "events")
    if table not in TABLES:
        raise UnknownNameError("table", str(table), TABLES, f"{path}, meta")
    expectations = tuple(
        _expectation(path, number, one, params) for number, one in enumerate(fields["expectations"], 1)
    )
    ids = [one.id for one in expectations]
    if repeated := next((name for name in ids if ids.count(name) > 1), None):
        msg = f"{path}: two expectations have the id {repeated!r}; give one of them another `id`"
        raise SuiteError(msg)
    digest, path = hashlib.sha256(content).hexdigest(), path.resolve()
    shipped = path.parent == suites_folder().resolve()
    own_name = path.stem
    if not shipped and own_name in suite_names():
        own_name += f"-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    return Suite(
        own_name, path, str(meta.get("title", "")), table, str(meta.get("skip", "")), expectations, digest, shipped,
        frozenset(_identifiers(Template(content.decode(errors="replace")))),
    )  # fmt: skip


def _parse(path: Path, content: bytes) -> object:
    try:
        return yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        msg = f"{path}:{where} this is not YAML: {getattr(error, 'problem', None) or error}"
        raise SuiteError(msg) from None


def _expectation(path: Path, number: int, value: object, params: Mapping[str, Any]) -> Expectation:
    where = f"expectation {number}"
    fields = _check_mapping(path, value, where, _KEYS)
    kind, kwargs = fields.get("type"), _check_mapping(path, fields.get("kwargs") or {}, f"{where}, kwargs", None)
    if not isinstance(kind, str):
        msg = f"{path}: {where} has no `type`, for example expect_column_values_to_not_be_null"
        raise SuiteError(msg)
    arguments = _fill_in(path, f"{where} ({kind})", kwargs, params)
    if isinstance(arguments.get("row_condition"), str):
        arguments["row_condition"] = conditions.parse_condition(arguments["row_condition"], f"{path}: {where}")
        arguments.pop("condition_parser", None)
    severity = str(fields.get("severity", "critical"))
    if severity not in SEVERITIES:
        raise UnknownNameError("severity", severity, SEVERITIES, f"{path}, {where}")
    meta = _check_mapping(path, fields.get("meta") or {}, f"{where}, meta", _EXPECTATION_META)
    meta, text = _fill_in(path, f"{where} ({kind})", [meta, str(fields.get("description", ""))], params)
    one = Expectation(str(fields.get("id", "")), kind, arguments, severity, str(text), meta)
    id_ = one.id or "_".join([kind.removeprefix("expect_"), *one.columns])
    return replace(one, id=id_, description=one.description or kind.replace("_", " "))


def _check_mapping(path: Path, value: object, where: str, known: Iterable[str] | None) -> dict[str, Any]:
    """A mapping of the file, checked for unknown keys; None: any key is known."""
    if not isinstance(value, dict):
        msg = f"{path}: {where} must be a mapping of names to values, not {type(value).__name__}"
        raise SuiteError(msg)
    for key in () if known is None else value:
        if known is not None and key not in known:
            close = nearest(str(key), known)
            hint = f"did you mean {close!r}?" if close else f"known: {', '.join(known)}"
            msg = f"{path}: {where} has the unknown key {key!r}; {hint}"
            raise SuiteError(msg)
    return value


def _fill_in(path: Path, where: str, value: Any, params: Mapping[str, Any]) -> Any:  # noqa: ANN401  # any YAML value
    """A value with its parameters filled in."""
    if isinstance(value, dict):
        return {key: _fill_in(path, where, item, params) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill_in(path, where, item, params) for item in value]
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
                f"{path}: {where} needs the parameter ${name}, which has no value; "
                f"{hint}give it with --set {name}=VALUE, or write $$ for a dollar"
            )
            raise SuiteError(msg)
        if value in {f"${name}", f"${{{name}}}"}:
            return params[name]
    return template.safe_substitute(params)


def _identifiers(template: Template) -> Iterator[str]:
    for match in template.pattern.finditer(template.template):
        name = match["named"] or match["braced"]
        if name:
            yield name
