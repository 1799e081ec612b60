"""Commands whose modules are imported when one of them is called: the help of all commands stays fast."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMANDS = {  # the module and the summary of each command
    "usage": ("queries", "Requests, tokens, cost, or any other metrics."),
    "costs": ("queries", "Cost: total, per request, per token."),
    "health": ("queries", "Errors, availability, latency, saturation."),
    "metrics": ("queries", "List every metric with its unit, its meaning and its default threshold."),
    "forecast": ("forecast", "Forecast the month's spend: p10, p50, p90, and when it reaches a limit."),
    "backtest": ("forecast", "Compare past forecasts with what was spent, and with simpler methods."),
    "anomalies": ("forecast", "List the days with unusual spend, the amount, and the group that caused it."),
    "budgets": ("budgets", "Monthly budgets of projects."),
    "ingest": ("ingest", "Load logs, each event once."),
    "export": ("export", "Write events, or metrics by group, to a file."),
    "doctor": ("doctor", "Show what the store holds, how recent it is, and versions."),
    "init": ("stores", "Create an empty store, or migrate the tables of an older version."),
    "copy": ("stores", "Copy the events and the quarantine of a store into another, and compare both."),
    "guard": ("guard", "Check the stored events; exit code 3 if they cannot be trusted."),
    "bill": ("bill", "Compare computed cost with the provider's bill; exit code 3 if they differ."),
    "quarantine": ("quarantine", "Rows that no load accepted, and why: list, show, export, release."),
    "report": ("report", "Run notebooks into reports."),
    "alerts": ("alerts", "Alert rules, channels, silences."),
    "check": ("check", "Evaluate every rule and budget, and deliver the messages."),
    "deliver": ("check", "Deliver the messages of the outbox that are due."),
    "outbox": ("outbox", "Messages that were sent or are waiting."),
    "demo": ("demo", "Create a synthetic platform and its dashboard."),
}


class LazyCommands(Mapping[str, Any]):
    """The commands by name; the module of a command is imported when the command is looked up."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401  # Typer keeps the type of its commands private
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

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  # as Typer calls it
        super().__init__(**attributes)
        self.commands = LazyCommands()  # type: ignore[assignment]  # nothing writes to it

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002  # as Typer calls it
        """Writes the commands' lines of the help, without importing their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
