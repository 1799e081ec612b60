"""Questions: usage, costs, health, and what can be asked."""

from typing import TYPE_CHECKING, Annotated

import typer

from hanzo_reports.cli.options import Options, check_format, parse_pairs, split_words
from hanzo_reports.cli.output import print_note, print_result, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from hanzo_reports.result import Result
    from hanzo_reports.window import Window
    from hanzo_reports.workspace import Workspace

Range = Annotated[
    str,
    typer.Option(
        "--range", "-r", metavar="RANGE", help="24h, 7d, 90m, today, mtd, last_month, 2025-06-01..2025-06-07, all, ..."
    ),
]
By = Annotated[
    list[str] | None,
    typer.Option("--by", "-b", metavar="NAMES", help="Dimensions to group by: model,project", show_default=False),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metrics", "-m", metavar="NAMES", help="As `hanzo-reports metrics` lists them.", show_default=False),
]
Every = Annotated[
    str, typer.Option(metavar="GRAIN", help="minute, 5m, 15m, hour, day, week or month.", show_default=False)
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where", "-w", metavar="NAME=VALUE", help="Keep these; repeat for more; empty: unknown.", show_default=False
    ),
]
Top = Annotated[int | None, typer.Option(metavar="N", help="Keep the N largest groups; the rest becomes 'other'.")]
Format = Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table, json or csv.")]

UNPRICED = "unpriced_requests"
QUESTIONS = {
    "usage": "How much: requests, tokens, cost, or any metrics.",
    "costs": "What it cost: in all, by request, by token.",
    "health": "How well: errors, availability, latency, saturation.",
}


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    for noun, sentence in QUESTIONS.items():
        app.command(noun, help=sentence)(question(noun))
    app.command()(metrics)


def question(noun: str) -> "Callable[..., None]":
    """The command that asks a workspace for one of its nouns."""

    def ask(
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
        workspace = options.workspace()
        chosen = {"metrics": split_words(metrics)} if metrics else {}
        if noun == "costs":
            from hanzo_reports.metrics.cost import BY_MODEL, SETS

            if metrics:
                chosen = {"metrics": [each for name in split_words(metrics) for each in SETS.get(name, (name,))]}
            elif "model" in split_words(by or ()):
                chosen = {"metrics": list(BY_MODEL)}
        filters = parse_pairs(where or (), "--where")
        result: Result = getattr(workspace, noun)(
            range_, **chosen, by=split_words(by or ()), every=every or None, where=filters, top=top
        )
        print_result(result, format_)
        if not result.summary["total_requests"]:
            print_note(emptiness(workspace, result.window))
        unpriced = result.summary[UNPRICED]
        if unpriced and any("cost" in column for column in result.table.columns):
            print_note(
                f"Cost excludes {unpriced:,} requests with no known price. List them with `-m {UNPRICED} --by model`"
            )

    return ask


def metrics(format_: Format = "table") -> None:
    """Every metric: unit, meaning, usual limit."""
    check_format(format_)
    from hanzo_reports.metrics.catalog import CATALOG

    columns = ("name", "unit", "good", "limit", "meaning")
    rows = [
        {
            "name": m.name,
            "unit": m.unit.value,
            "good": m.direction.value,
            "limit": m.default_threshold,
            "meaning": m.meaning,
        }
        for m in CATALOG.values()
    ]
    print_rows(rows, format_, columns)


def emptiness(workspace: "Workspace", window: "Window") -> str:
    """Why an answer may be empty, and what to ask instead."""
    everything = workspace.window("all")
    if everything.start == everything.end:
        return "the store holds no events yet; load some with `hanzo-reports ingest`"
    asked, held = window.as_json(), everything.as_json()
    return (
        f"no events match from {asked['start']} to {asked['end']}; "
        f"the store holds {held['start']} to {held['end']}: try --range all"
    )
