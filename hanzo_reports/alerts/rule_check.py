"""One check of all rules: observe, step, and write states and outbox in one transaction.

Queries run outside of the transaction. All states share one version, which every writer raises: a check that finds it
raised in the meantime reads the states again and steps anew, so two checks at once send each message once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from hanzo_reports.alerts.contributors import find_contributors
from hanzo_reports.alerts.evaluation import Evaluation, Snapshot
from hanzo_reports.alerts.messages import MessageContext
from hanzo_reports.alerts.query import QueryFailure, collect_queries, run_queries
from hanzo_reports.alerts.rule import MINUTE
from hanzo_reports.alerts.rule_store import list_rules
from hanzo_reports.alerts.silences import list_silences
from hanzo_reports.alerts.state_machine import MIN_GAP
from hanzo_reports.alerts.state_store import load_states, raise_version, read_version, save_states
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.errors import StoreBusyError

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.alerts.contributors import Contributor
    from hanzo_reports.alerts.query import Events, Query, QueryResult

RETRY_LIMIT = 50  # checks that may come in between


@dataclass(frozen=True)
class RuleCheck:
    """What one check of all rules did.

    Args:
        rules: how many rules were evaluated.
        queries: how many queries that took.
        firing: how many alerts fire now.
        messages: how many messages are new in the outbox.
        failures: why queries failed, each reason once.
        skipped: whether a check at this instant or a later one has already run, so that nothing was done.
        gap: the time since the last check, if it is so long that pending alerts started over; None: it is not.
        ahead: how long after this instant the later check ran.
    """

    rules: int = 0
    queries: int = 0
    firing: int = 0
    messages: int = 0
    failures: tuple[str, ...] = ()
    skipped: bool = False
    gap: timedelta | None = None
    ahead: timedelta = timedelta()


def check_rules(
    engine: sqlalchemy.Engine,
    events: Events,
    now: datetime,
    *,
    context: MessageContext | None = None,
    interval: timedelta = MINUTE,
) -> RuleCheck:
    """Evaluates every enabled rule once and puts the messages into the outbox.

    Args:
        engine: of the state database.
        events: reads the events of a range of time, as `Store.events` does.
        now: the instant of evaluation; nothing happens unless it is after the last check.
        context: what the messages of the deployment share.
        interval: the intended time between checks.

    Raises:
        StoreBusyError: other checks kept coming in between; nothing was written.
    """
    context = context or MessageContext()
    snapshot = _read_snapshot(engine, now)
    results: dict[Query, QueryResult] | None = None
    contributors: dict[tuple[str, str], Contributor] = {}
    for _ in range(RETRY_LIMIT):
        if snapshot.last_check is not None and now <= snapshot.last_check:
            return RuleCheck(skipped=True, ahead=snapshot.last_check - now)
        is_first = results is None
        if results is None:
            queries = collect_queries(stored.rule for stored in snapshot.rules)
            results = run_queries(events, queries, now, context.delay, context.timezone)
        evaluation = Evaluation(now, interval, results, snapshot)
        if is_first:
            contributors = find_contributors(events, evaluation.new_firings, now, context.delay, context.timezone)
        notices = evaluation.build_notices(context, contributors)
        with engine.begin() as connection:
            if raise_version(connection, expected=snapshot.version, pass_at=now):
                save_states(connection, evaluation.changed_alerts, evaluation.changed_health)
                return _summarize(evaluation, enqueue(connection, notices, now))
        snapshot = _read_snapshot(engine, now)
    msg = f"{RETRY_LIMIT} other checks came in between and nothing was evaluated; run fewer checks at the same time"
    raise StoreBusyError(msg)


def _read_snapshot(engine: sqlalchemy.Engine, now: datetime) -> Snapshot:
    """What is stored; the version is read first, so that later changes are noticed."""
    with engine.connect() as connection:
        version, last_check = read_version(connection)
        rules = [stored for stored in list_rules(connection) if stored.enabled]
        silences = list_silences(connection, now)
        return Snapshot(version, last_check, rules, silences, load_states(connection, last_check))


def _summarize(evaluation: Evaluation, messages: int) -> RuleCheck:
    snapshot, results = evaluation.snapshot, evaluation.results
    failures = dict.fromkeys(result.error for result in results.values() if isinstance(result, QueryFailure))
    passed = evaluation.now - snapshot.last_check if snapshot.last_check else timedelta()
    gap = passed if passed > max(2 * evaluation.interval, MIN_GAP) else None
    return RuleCheck(len(snapshot.rules), len(results), evaluation.firing_count, messages, tuple(failures), gap=gap)
