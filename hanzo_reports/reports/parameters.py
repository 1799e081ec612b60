"""A notebook's parameters: parsed from its tagged cell without running it, and checked before a kernel starts."""

from __future__ import annotations

import ast
import io
import math
import re
import tokenize
from dataclasses import dataclass
from datetime import datetime
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, TypeAlias

from hanzo_reports.errors import ParameterError, UnknownNameError, UnreadableError
from hanzo_reports.store.address import redact_password
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value: TypeAlias = str | int | float | bool
OUT_DIR = "out_dir"  # set by the run: the folder in which it is built
STORE = "store"  # a password in it is passed to the kernel and written nowhere
_TYPES = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_PRIVATE = {"credential", "credentials", "passphrase", "passwd", "password", "secret", "secrets", "token"}
_LOGIN = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_ISSUED = re.compile(
    r"\b(?:sk|rk|gsk|hf|ghp|gho|xai|pplx|glpat|nvapi|xox[abp])[-_][\w\-]{8,}|\bgithub_pat_\w{8,}|\bAKIA\w{8,}"
    r"|\bAIza[\w\-]{8,}|\bya29\.[\w\-]{8,}|\beyJ[\w\-]{8,}\.[\w\-]+|-----BEGIN |(?i:\bbearer )\S{8,}"
)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a report.

    Args:
        name: its name.
        type: ``str``, ``int``, ``float`` or ``bool``.
        default: its value when none is passed.
        help: the comment beside it.
    """

    name: str
    type: str
    default: Value
    help: str


def parse_parameters(source: str, where: str) -> list[Parameter]:
    """The parameters that a cell declares: annotated literals, with a comment on the line as help.

    >>> parse_parameters("top: int = 5  # how many", "x.ipynb")
    [Parameter(name='top', type='int', default=5, help='how many')]

    Args:
        source: the text of the cell tagged `parameters`.
        where: the notebook, for the error.

    Raises:
        UnreadableError: the cell is not valid Python.
    """
    try:
        steps = ast.parse(source).body
    except SyntaxError as error:
        msg = f"{where}: the cell tagged `parameters` is not valid Python: {error.msg}, line {error.lineno}"
        raise UnreadableError(msg) from None
    comments = {
        token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    return [
        Parameter(name, kind, default, comments.get(line, ""))
        for name, kind, default, line in (entry for step in steps for entry in _literals(step))
    ]


def _literals(step: ast.stmt) -> Iterator[tuple[str, str, Value, int]]:
    """Name, type, value and line of an assignment of a plain literal to a name."""
    targets = [step.target] if isinstance(step, ast.AnnAssign) else getattr(step, "targets", [])
    value = getattr(step, "value", None)
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or value is None:
        return
    try:
        default = ast.literal_eval(value)
    except ValueError:
        return
    if isinstance(step, ast.AnnAssign) and ast.unparse(step.annotation) == "float" and type(default) is int:
        default = float(default)
    if (kind := type(default).__name__) in _TYPES:
        yield targets[0].id, kind, default, step.end_lineno or step.lineno


def check_parameters(parameters: Sequence[Parameter], overrides: Mapping[str, Any], where: str) -> dict[str, Value]:
    """Returns the value of each parameter in its type; text is converted, as on a command line.

    Args:
        parameters: the parameters of the notebook.
        overrides: the values that differ from the defaults.
        where: the report, for the error.

    Raises:
        UnknownNameError: the notebook has no such parameter.
        ParameterError: a value is not of its parameter's type, or looks like a secret.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for name in overrides:
        if name not in known:
            raise UnknownNameError("parameter", name, known, f"the report {where!r}")
    if overrides.get(OUT_DIR):
        msg = f"{OUT_DIR} is the folder of the run, which the run chooses; pass --out to choose where runs go"
        raise ParameterError(msg)
    values = {
        name: convert_value(parameter, overrides.get(name, parameter.default)) for name, parameter in known.items()
    }
    for name, value in values.items():
        if isinstance(value, str) and value:
            _refuse_secret(name, redact_password(value) if name == STORE else value)
    return values


def convert_value(parameter: Parameter, value: object) -> Value:
    """Converts a value to its parameter's type.

    Raises:
        ParameterError: the value cannot be converted.
    """
    try:
        return _read(parameter.type, value)
    except (KeyError, TypeError, ValueError):
        wanted = f"{_TYPES[parameter.type]}, for example {parameter.default!r}"
        msg = f"the parameter {parameter.name!r} is {wanted}; {value!r} is not"
        raise ParameterError(msg) from None


def _read(kind: str, value: object) -> Value:
    if kind == "str":
        return iso(value) if isinstance(value, datetime) and value.tzinfo else _text(value)
    if kind == "bool":
        return value if isinstance(value, bool) else _WORDS[_text(value).strip().lower()]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    if kind == "int":
        if isinstance(value, float):
            raise TypeError
        return int(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _text(value: object) -> str:
    if not isinstance(value, str | PathLike):
        raise TypeError
    return str(fspath(value))


def _refuse_secret(name: str, value: str) -> None:
    """Raises for a value that looks like a secret: everyone who reads the report would see it."""
    if _LOGIN.search(value):
        msg = f"the parameter {name!r} holds a password, which the report would show; leave it out"
        raise ParameterError(msg)
    if _ISSUED.search(value) or _PRIVATE & set(name.lower().split("_")):
        msg = (
            f"the parameter {name!r} looks like a secret, which the report would show; "
            "let the notebook read it from the environment"
        )
        raise ParameterError(msg)
