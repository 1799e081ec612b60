"""Arguments of a question, checked before any work: an argument of the wrong type says what to write instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import ibis

from hanzo_reports.errors import UnknownNameError, UsageError, WindowError
from hanzo_reports.events import DIMENSIONS
from hanzo_reports.units import Grain
from hanzo_reports.window import Window

if TYPE_CHECKING:
    import ibis.expr.types as ir

Where: TypeAlias = "Mapping[str, Sequence[str | int | None] | str | int | None]"


def check_events(events: ir.Table) -> None:
    """Raises a UsageError for events that are not an Ibis table."""
    if not isinstance(events, ibis.Table):
        msg = f"events must be an Ibis table, not {type(events).__name__}; write ibis.memtable(events)"
        raise UsageError(msg)


def check_window(window: Window) -> None:
    """Raises a WindowError for a window that is not a Window."""
    if not isinstance(window, Window):
        msg = f"window must be a Window, not {window!r}; write hr.Window.parse({str(window)!r}, now=...)"
        raise WindowError(msg)


def check_metric(metric: str) -> None:
    """Raises a UsageError for a metric that is not one name."""
    if not isinstance(metric, str):
        msg = f"metric takes one name, not {metric!r}; write for example metric='cost'"
        raise UsageError(msg)


def check_top(top: int | None) -> None:
    """Raises a UsageError for a `top` that is not a whole number."""
    if top is not None and not hasattr(top, "__index__"):
        msg = f"top must be a whole number, not {top!r}; write for example top=10"
        raise UsageError(msg)


def parse_names(names: Iterable[str], argument: str, example: str) -> list[str]:
    """Names, each once, in order; a single name may stand without its list.

    Args:
        names: the argument's value.
        argument: its name, for the error.
        example: what to write instead, for the error.

    Raises:
        UsageError: the value is not a name or a collection of names.
    """
    if isinstance(names, str):
        return [names]
    texts = list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(name, str) for name in texts):
        msg = f"{argument} takes names, not {names!r}; write for example {argument}={example}"
        raise UsageError(msg)
    return list(dict.fromkeys(texts))


def select_dimensions(names: Iterable[str], argument: str = "by") -> list[str]:
    """The dimensions of those names, each once, in order.

    Args:
        names: dimensions of the event.
        argument: the name of the argument that they come from, for the error.

    Raises:
        UnknownNameError: a name is not a dimension; the error names the nearest one.
        UsageError: a name is a grain, or not a name at all.
    """
    dimensions = parse_names(names, argument, "['model']" if argument == "by" else "{'model': 'gpt-4o'}")
    for name in dimensions:
        if name in set(Grain):
            msg = f"{name!r} is a grain, not a dimension; ask for time buckets with every={name!r}"
            raise UsageError(msg)
        if name not in DIMENSIONS:
            raise UnknownNameError("dimension", name, DIMENSIONS)
    return dimensions


def parse_grain(every: Grain | str | None) -> Grain | None:
    """The grain of that name; None for none.

    Raises:
        UnknownNameError: the name is not a grain; the error names the nearest one.
    """
    if every is None:
        return None
    if not isinstance(every, str) or every not in set(Grain):
        raise UnknownNameError("grain", str(every), [grain.value for grain in Grain])
    return Grain(every)


def parse_where(where: Where | None) -> dict[str, list[str | int | None]]:
    """The values to keep of each dimension; None stands for "unknown".

    Raises:
        UnknownNameError: a name is not a dimension.
        UsageError: the filter is not a mapping, or one of its values is neither text, number nor None.
    """
    if where is not None and not isinstance(where, Mapping):
        msg = f"where maps dimensions to values; {where!r} does not; write for example where={{'model': 'gpt-4o'}}"
        raise UsageError(msg)
    select_dimensions(where or (), "where")
    return {name: _filter_values(name, values) for name, values in (where or {}).items()}


def _filter_values(name: str, values: Sequence[str | int | None] | str | int | None) -> list[str | int | None]:
    if values is None or isinstance(values, str | int):
        return [values]
    listed = list(values) if isinstance(values, Collection) and not isinstance(values, Mapping) else [values]
    for value in listed:
        if isinstance(value, Collection) and not isinstance(value, str):
            msg = f"where {name}={value!r}: give text, a whole number, None, or a list of these"
            raise UsageError(msg)
    return [value if value is None or isinstance(value, str | int) else str(value) for value in listed]
