"""The tables of the docs pages that are generated; `make docs` writes them into the pages with cog."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer

from hanzo_reports.cli.app import app
from hanzo_reports.events import DIMENSIONS
from hanzo_reports.metrics.catalog import CATALOG
from hanzo_reports.settings import PREFIX, Settings
from hanzo_reports.units import Grain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def metrics() -> str:
    """Every metric of the catalogue."""
    rows = [
        (f"`{m.name}`", m.unit.value, m.meaning, "" if m.default_threshold is None else f"{m.default_threshold:g}")
        for m in CATALOG.values()
    ]
    return table(("metric", "unit", "meaning", "default threshold"), rows)


def dimensions() -> str:
    """The dimensions that answers can be grouped and filtered by."""
    return names(DIMENSIONS)


def grains() -> str:
    """The lengths of time buckets."""
    return names(grain.value for grain in Grain)


def settings() -> str:
    """Every setting of a deployment."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = getattr(field.default, "get_secret_value", lambda value=field.default: value)()
        rows.append((f"`{PREFIX}{name.upper()}`", f"`{default}`" if default else "", field.description))
    return table(("variable", "default", "meaning"), rows)


def commands() -> str:
    """Every command with its help, its arguments and its options."""
    return "\n\n".join(_describe_command(name, command) for name, command in walk(typer.main.get_command(app)))


def walk(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # Typer's own copy of Click
    """The full name of every command below a group, and the command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows as a Markdown table."""
    head = list(columns)
    lines = [head, ["---"] * len(head), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def names(words: Iterable[str]) -> str:
    """Names as code, on one line."""
    return ", ".join(f"`{word}`" for word in words)


def _describe_command(name: str, command: Any) -> str:  # noqa: ANN401  # as `walk`
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter not in arguments]
    usage = " ".join(["hanzo-reports", name, *map(_placeholder, arguments)])
    rows = [(f"`{parameter.name.rstrip('_').upper()}`", "", parameter.help) for parameter in arguments]
    rows += [(f"`{_flags(parameter)}`", _default(parameter), parameter.help) for parameter in options]
    parts = [f"### {name}", f"`{usage}`", inspect.cleandoc(command.help)]
    return "\n\n".join([*parts, table(("option", "default", "meaning"), rows)] if rows else parts)


def _placeholder(argument: Any) -> str:  # noqa: ANN401  # as `walk`
    word = argument.name.rstrip("_").upper() + ("..." if argument.nargs < 0 else "")
    return word if argument.required else f"[{word}]"


def _flags(option: Any) -> str:  # noqa: ANN401  # as `walk`
    flags = ", ".join(option.opts)
    return flags if option.is_flag else f"{flags} {option.metavar or ''}".strip()


def _default(option: Any) -> str:  # noqa: ANN401  # as `walk`
    has_value = not option.is_flag and not option.multiple and option.default not in {None, ""}
    return f"`{option.default}`" if has_value else ""
