"""Commands whose modules are imported when one of them is called: help for all of them costs no more than Typer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = {
    "usage": ("ask", "How much: requests, tokens, cost, or any metrics."),
    "costs": ("ask", "What it cost: in all, by request, by token."),
    "health": ("ask", "How well: errors, availability, latency, saturation."),
    "metrics": ("ask", "Every metric: unit, meaning, usual limit."),
    "forecast": ("money", "How the month's spend will end: p10, p50, p90, and when a limit is reached."),
    "backtest": ("money", "How good forecasts would have been, against simpler ones, in the past of your own data."),
    "anomalies": ("money", "Days on which spend was out of line, the money at stake, and which group moved it."),
    "budgets": ("budgets", "What projects may cost in a month."),
    "ingest": ("files", "Load logs, each event once."),
    "export": ("files", "Write events, or metrics by group, to a file."),
    "doctor": ("files", "The store's rows and their age; versions."),
    "init": ("stores", "Make an empty store, or bring the tables of an older version up to date."),
    "copy": ("stores", "Copy a store's events and quarantine into another, and compare both sides."),
    "guard": ("quality", "Check what is stored; exit code 3 if it cannot be trusted."),
    "bill": ("quality", "Compare computed spend with what a provider billed; exit code 3 if it is off."),
    "quarantine": ("quarantine", "Rows that no load accepted, and why: list, show, export, release."),
    "report": ("report", "Run notebooks into reports."),
    "alerts": ("alerts", "Alert rules, channels, silences."),
    "check": ("outbox", "Evaluate every rule, and send what there is to tell."),
    "deliver": ("outbox", "Send what is due in the outbox."),
    "outbox": ("outbox", "What was and is to be sent."),
    "demo": ("demo", "A made-up platform and its dashboard."),
}


class Loaded(Mapping[str, Any]):
    """The commands by name; each is made of its module's `register` when it is asked for."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # Typer keeps the type of its commands to itself
        module, _ = COMMANDS[name]
        app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
        import_module(f"hanzo_reports.cli.{module}").register(app)
        return typer.main.get_group(app).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """A group of the commands above."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  # as Typer makes it
        super().__init__(**attributes)
        self.commands = Loaded()  # type: ignore[assignment]  # it is only read

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002  # as Typer calls it
        """The commands' lines of the help, without making one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])
