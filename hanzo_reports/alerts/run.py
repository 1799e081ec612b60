"""One evaluation pass: check rules, budgets and anomalies, then deliver what is due.

The command line, the API and the scheduler all call `run_pass`; none of them evaluates or delivers on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from hanzo_reports.alerts.rule_check import RuleCheck, check_rules
from hanzo_reports.alerts.spend_check import check_spend
from hanzo_reports.errors import ReportsError, UsageError
from hanzo_reports.formats import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.alerts.query import Events
    from hanzo_reports.budgets.budget_store import Budgets
    from hanzo_reports.delivery.worker import DeliveryResult

MIN_DELIVERY_TIME = timedelta(seconds=10)  # a pass spends half of its interval on delivery, but at least this
CLOCK_TOLERANCE = timedelta(minutes=2)  # by which the clocks of two machines may differ


@dataclass(frozen=True)
class PassResult:
    """What one pass did.

    Args:
        rules: the evaluation of the rules; None: it failed as a whole.
        messages: how many messages are new in the outbox.
        delivery: what was delivered; None: nothing was to be delivered.
        notes: what an operator should know, although nothing failed.
        failures: why something could not be evaluated, each reason once.
    """

    rules: RuleCheck | None
    messages: int
    delivery: DeliveryResult | None
    notes: tuple[str, ...]
    failures: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of the pass by name; those of a step that did not happen are left out."""
        counts: dict[str, int] = {}
        if self.rules is not None:
            counts |= {name: getattr(self.rules, name) for name in ("rules", "queries", "firing")}
            counts["messages"] = self.messages
        if self.delivery is not None:
            counts |= {name: getattr(self.delivery, name) for name in ("sent", "retried", "dead")}
        return counts


def run_pass(  # noqa: PLR0913  # what a pass reads, the instant, and how it reports
    budgets: Budgets,
    events: Events,
    now: datetime,
    *,
    context: MessageContext,
    interval: timedelta,
    deliver: Callable[[timedelta], DeliveryResult] | None,
) -> PassResult:
    """Evaluates rules, budgets and anomalies once, and delivers what is due.

    A failure of one step stops no other: messages of earlier passes are delivered even if nothing can be evaluated.

    Args:
        budgets: the budgets, and with them the state database.
        events: gives the events of a range of time, as `Store.events` does.
        now: the instant of evaluation.
        context: the time zone, the link and the delay of messages.
        interval: the time between two passes.
        deliver: delivers what is due within a time limit; None: the messages stay in the outbox.

    Raises:
        UsageError: a setting or argument of the caller's is wrong; nothing is delivered.
    """
    rules, messages = None, 0
    notes: list[str] = []
    failures: list[str] = []
    try:
        rules = check_rules(budgets.state, events, now, context=context, interval=interval)
        failures += rules.failures
        messages = rules.messages
        _describe_timing(rules, now, notes, failures)
        if not rules.skipped:
            spend = check_spend(budgets, events, now, context)
            failures += spend.failures
            messages += spend.messages
    except UsageError:
        raise
    except ReportsError as error:
        failures.append(str(error))
    delivery = deliver(max(interval / 2, MIN_DELIVERY_TIME)) if deliver else None
    return PassResult(rules, messages, delivery, tuple(notes), tuple(failures))


def _describe_timing(rules: RuleCheck, now: datetime, notes: list[str], failures: list[str]) -> None:
    """Reports a clock that lies behind the last pass, a pass that was skipped, and a long gap between passes."""
    if rules.ahead > CLOCK_TOLERANCE:
        failures.append(
            f"the last check ran at {(now + rules.ahead).isoformat()}, {format_duration(rules.ahead)} after the "
            f"current time {now.isoformat()}, so nothing is evaluated until then. Correct the clock; if it is correct, "
            "run: hanzo-reports check --reset-clock"
        )
    elif rules.skipped:
        notes.append("nothing was evaluated: a check at this instant or a later one has already run")
    if rules.gap:
        notes.append(
            f"{format_duration(rules.gap)} since the last check: pending alerts start over. If checks run less often "
            "than once a minute, pass --interval"
        )
