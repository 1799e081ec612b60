"""Data in and out: ingest, export, doctor."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hanzo_reports.cli.ask import By, Every, Metrics, Range, Top, Where, emptiness
from hanzo_reports.cli.options import Options, check_format, parse_pairs, parse_unique_pairs, split_words
from hanzo_reports.cli.output import print_note, print_rows
from hanzo_reports.errors import UnreadableError
from hanzo_reports.formats import format_value
from hanzo_reports.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hanzo_reports.ingest.load import Loaded

DELAY = 1.0  # seconds before a progress bar shows


def register(app: typer.Typer) -> None:
    """The commands of this file."""
    for command in (ingest, export, doctor):
        app.command()(command)


def ingest(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="litellm, otel, langfuse, ...; any name with --map.")],
    paths: Annotated[list[Path], typer.Argument(help="Files or folders: CSV, JSON lines, Parquet, also gzipped.")],
    map_: Annotated[Path | None, typer.Option("--map", metavar="FILE", help="A mapping of your own, as TOML.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="COLUMN=VALUE", help="One value for all rows.", show_default=False),
    ] = None,
    guard: Annotated[
        str, typer.Option(metavar="SUITE", help="The expectations that rows must meet: events, or a YAML file.")
    ] = "events",
    no_guard: Annotated[  # noqa: FBT002  # Typer reads it so
        bool, typer.Option("--no-guard", help="Accept every row that is an event.")
    ] = False,
    format_: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")] = "table",
) -> None:
    """Load logs, each event once.

    Rows that are no events, or that the guard does not let pass, go to the quarantine with their reason and their text.
    A load that was stopped can just be done again.
    """
    options: Options = context.obj
    check_format(format_, ("table", "json"))
    constants = parse_unique_pairs(set_ or (), "--set")
    from hanzo_reports.ingest.mapping import load_source

    load_source(source, map_, constants)
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        msg = f"no such file or folder: {', '.join(missing)}"
        raise UnreadableError(msg)
    workspace = options.workspace(create=True)
    with progress("loading") as moved:
        suite = "" if no_guard else guard
        loaded = workspace.ingest(source, paths, mapping_file=map_, constants=constants, progress=moved, suite=suite)
    report_load(loaded, format_)
    if loaded.quarantined == loaded.read:
        held = loaded.verdict.quarantined if loaded.verdict else 0
        why = f"is an event of {source!r}" if not held else f"is accepted, of which the guard holds {held:,} back"
        msg = f"none of the {loaded.read:,} rows {why}; see `hanzo-reports quarantine list`"
        raise UnreadableError(msg)


def report_load(loaded: "Loaded", fmt: str) -> None:
    """What a load did: its counts on stdout, the reasons for rejected rows on stderr."""
    counted = ("read", "accepted", "duplicates", "quarantined", "unpriced", "price_differences")
    row: dict[str, Any] = {name: getattr(loaded, name) for name in counted}
    if fmt == "json":
        print_rows(
            [row | {"load_id": loaded.load_id, "source": loaded.source, "reasons": loaded.reasons}], "json", counted
        )
    else:
        print_rows([{name: f"{value:,}" for name, value in row.items()}], "table", counted)
    checks = loaded.verdict.checks if loaded.verdict else ()
    stakes = {
        f"guard {check.id}": f"; {format_value(check.at_stake, Unit.USD, 'terminal')} at stake"
        for check in checks
        if check.at_stake
    }
    for reason, rows in list(loaded.reasons.items())[:10]:
        print_note(f"quarantined: {rows:,} x {reason}{stakes.get(reason.partition(':')[0], '')}")
    for check in checks:
        if check.state == "error" or (check.state == "failed" and check.severity == "warning"):
            print_note(f"{check.severity}: {check.description}: {check.observed}")


def export(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.", show_default=False)
    ],
    range_: Range = "mtd",
    format_: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="csv, json, jsonl, parquet, or focus.")
    ] = "csv",
    by: By = None,
    metrics: Metrics = None,
    every: Every = "",
    where: Where = None,
    top: Top = None,
) -> None:
    """Write events, or metrics by group, to a file.

    Without --by, --every, --metrics and --top it is the events themselves. focus: charges by day, as FOCUS 1.2.
    """
    options: Options = context.obj
    from hanzo_reports.export.tables import FORMATS

    check_format(format_, (*FORMATS, "focus"))
    workspace = options.workspace()
    kept = parse_pairs(where or (), "--where")
    window = workspace.window(range_)
    rows = workspace.export(
        output,
        format_,
        window,
        metrics=split_words(metrics or ()),
        by=split_words(by or ()),
        every=every or None,
        where=kept,
        top=top,
    )
    print_note(f"{output}: {rows:,} rows")
    if format_ == "focus":
        missing = workspace.usage(window, ["unpriced_requests"], where=kept).rows()[0]["unpriced_requests"]
        print_note(f"{missing:,} requests without a price are in no charge") if missing else None
    if not rows:
        print_note(emptiness(workspace, window))


def doctor(
    context: typer.Context,
    format_: Annotated[str, typer.Option("--format", "-f", metavar="FORMAT", help="table or json.")] = "table",
) -> None:
    """The store's rows and their age; versions."""
    options: Options = context.obj
    check_format(format_, ("table", "json"))
    found = versions()
    try:
        found = options.workspace().condition() | found
    finally:
        if format_ == "json":
            print_rows([found], "json", tuple(found))
        else:
            print_rows([{"what": name, "found": value} for name, value in found.items()], "table", ("what", "found"))


def versions() -> dict[str, Any]:
    """The versions of this package, of Python and of the packages that answers depend on."""
    from importlib.metadata import version

    packages = ("hanzo-reports", "ibis-framework", "duckdb", "deltalake", "pyarrow", "genai-prices")
    return {"python": sys.version.split()[0], **{name: version(name) for name in packages}}


@contextmanager
def progress(what: str) -> "Iterator[Callable[[float], None]]":
    """A function that moves a progress bar to a share of 0 to 1; the bar shows on a terminal, after a second."""
    from tqdm import tqdm

    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}"
    with tqdm(desc=what, total=1.0, bar_format=form, delay=DELAY, leave=False, disable=None, file=sys.stderr) as bar:
        yield lambda share: bar.update(share - bar.n)
