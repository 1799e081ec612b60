"""Queries: usage, costs, health, and the list of metrics."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from hanzo_reports.cli.options import (
    By,
    Every,
    Format,
    Metrics,
    Options,
    Range,
    Top,
    Where,
    check_format,
    parse_pairs,
    split_words,
)
from hanzo_reports.cli.output import print_note, print_result, print_rows

if TYPE_CHECKING:
    from hanzo_reports.result import Result
    from hanzo_reports.window import Window
    from hanzo_reports.workspace import Workspace

UNPRICED = "unpriced_requests"
QUERIES = {
    "usage": "Requests, tokens, cost, or any other metrics.",
    "costs": "Cost: total, per request, per token.",
    "health": "Errors, availability, latency, saturation.",
}


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    for name, summary in QUERIES.items():
        app.command(name, help=summary)(create_query(name))
    app.command()(metrics)


def create_query(name: str) -> Callable[..., None]:
    """The command that calls the method of that name on a workspace."""

    def query(
        context: typer.Context,
        range_: Range = "mtd",
        by: By = None,
        metrics: Metrics = None,
        every: Every = "",
        where: Where = None,
        top: Top = None,
        format_: Format = "table",
    ) -> None:
        options: Options = context.obj
        check_format(format_)
        workspace, dimensions = options.workspace(), split_words(by or ())
        names = select_metric_names(name, split_words(metrics or ()), dimensions)
        arguments = {"metrics": names} if names else {}
        result: Result = getattr(workspace, name)(
            range_, **arguments, by=dimensions, every=every or None, where=parse_pairs(where or (), "--where"), top=top
        )
        print_result(result, format_)
        if not result.summary["total_requests"]:
            print_note(describe_empty_answer(workspace, result.window))
        unpriced = result.summary[UNPRICED]
        if unpriced and any("cost" in column for column in result.table.columns):
            print_note(
                f"Cost excludes {unpriced:,} requests with no known price. List them with `-m {UNPRICED} --by model`"
            )

    return query


def select_metric_names(query: str, metrics: list[str], dimensions: list[str]) -> list[str]:
    """The metrics of a query, with the names that stand for several; empty: those that the query has by default."""
    if query != "costs":
        return metrics
    from hanzo_reports.metrics.cost import BY_MODEL, SETS

    if not metrics and "model" in dimensions:
        return list(BY_MODEL)
    return [name for metric in metrics for name in SETS.get(metric, (metric,))]


def metrics(format_: Format = "table") -> None:
    """List every metric with its unit, its meaning and its default threshold."""
    check_format(format_)
    from hanzo_reports.metrics.catalog import CATALOG

    columns = ("name", "unit", "good", "limit", "meaning")
    rows = [
        {
            "name": metric.name, "unit": metric.unit.value, "good": metric.direction.value,
            "limit": metric.default_threshold, "meaning": metric.meaning,
        }
        for metric in CATALOG.values()
    ]  # fmt: skip
    print_rows(rows, format_, columns)


def describe_empty_answer(workspace: "Workspace", window: "Window") -> str:
    """Why an answer has no events, and which range to query instead."""
    everything = workspace.window("all")
    if everything.start == everything.end:
        return "The store has no events. Load some with `hanzo-reports ingest`"
    queried, stored = window.as_json(), everything.as_json()
    return (
        f"No events match from {queried['start']} to {queried['end']}; "
        f"the store holds {stored['start']} to {stored['end']}. Try --range all"
    )
