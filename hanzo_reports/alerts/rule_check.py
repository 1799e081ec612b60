"""One pass: observe, step, and write states and outbox in one transaction.

Queries run outside the transaction. States carry one version, which whoever writes them raises: a pass that finds it
raised meanwhile reads the states again and steps anew, so two passes at once tell everything once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from hanzo_reports.alerts import rule_store, state_store
from hanzo_reports.alerts.alert_state import FIRING_PHASES, Kind, Message, Observation, Phase, State
from hanzo_reports.alerts.messages import MessageContext, build_notice
from hanzo_reports.alerts.query import Failure, answers, find_contributors, missed, nothing, questions, seen
from hanzo_reports.alerts.rule import HOUR, Condition, Rule
from hanzo_reports.alerts.state_machine import MIN_GAP, close, is_quiet, step
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.errors import StoreBusyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import sqlalchemy

    from hanzo_reports.alerts.query import Answer, Contributor, Events, Question
    from hanzo_reports.alerts.rule_store import Silence, StoredRule
    from hanzo_reports.alerts.state_store import Key
    from hanzo_reports.delivery.notice import Notice

MEMORY = timedelta(days=7)  # after which a group that is away and does not fire is forgotten
MOST = 1000  # groups of a rule that are remembered only to be missed
PATIENCE = 50  # passes that may come in between
_QUERY = Rule("query", "requests", Condition.LTE, Decimal(0))  # the state of whether something can be asked at all
_WELL = Observation(1, 1, 1)
_STORE = "all-rules"  # in place of a rule's id: all of them, when none can be asked

Kept = dict["Key", tuple[State, tuple[str, ...]]]


@dataclass(frozen=True)
class RuleCheck:
    """What one pass did.

    Args:
        rules: how many were evaluated.
        queries: how many queries that took.
        firing: how many alerts fire now.
        messages: how many messages are new in the outbox.
        failures: why queries failed, each reason once.
        skipped: whether a pass at this instant or a later one was there already, so that nothing was done.
        gap: the time since the last pass, where it was so long that pending alerts began anew.
        ahead: how long after this instant the later pass was.
    """

    rules: int = 0
    queries: int = 0
    firing: int = 0
    messages: int = 0
    failures: tuple[str, ...] = ()
    skipped: bool = False
    gap: timedelta | None = None
    ahead: timedelta = timedelta()


@dataclass(frozen=True)
class _Told:
    """A message, with whom it is about and who is to be told."""

    key: Key
    rule: Rule
    message: Message
    endpoints: tuple[str, ...]
    samples: int | None


@dataclass(frozen=True)
class _View:
    """What was kept at one version."""

    version: int
    last: datetime | None
    held: list[StoredRule]
    silences: list[Silence]
    kept: Kept


class _Pass:
    """What one pass makes of what it saw and of what was kept.

    Args:
        now: the instant of evaluation.
        interval: how often passes are meant to be.
        found: what the queries gave.
        view: what was kept.
    """

    def __init__(self, now: datetime, interval: timedelta, found: Mapping[Question, Answer], view: _View) -> None:
        self.now, self.interval, self.found, self.view = now, interval, found, view
        self.changed: Kept = {}
        self.told: list[_Told] = []
        known: dict[str, set[str]] = {}
        for rule_id, group in view.kept:
            known.setdefault(rule_id, set()).add(group)
        failed = [answer for answer in found.values() if isinstance(answer, Failure)]
        self.blind = bool(failed) and len(failed) == len(found)
        if self.blind or _STORE in known:
            everyone = tuple(sorted({endpoint for held in view.held for endpoint in held.endpoints}))
            about = Observation(error=failed[0].error) if self.blind else _WELL
            self._step((_STORE, ""), replace(_QUERY, name=_STORE), about, everyone)
        for one in view.held:
            self._rule(one, known.get(one.rule_id, set()))

    def _rule(self, one: StoredRule, known: set[str]) -> None:
        """A rule as a whole, the groups that have events, and those that had some before."""
        if any(question not in self.found for question in questions([one.rule])):
            return  # made or changed since the queries ran; the next pass sees it
        answer = seen(one.rule, self.found)
        failed = isinstance(answer, Failure)
        if failed or "" in known:
            about = Observation(error=answer.error) if isinstance(answer, Failure) else _WELL
            query = replace(_QUERY, name=one.rule.name)
            self._step((one.rule_id, ""), query, about, one.endpoints, silenced=self.blind)
        groups: dict[str, Observation] = {} if isinstance(answer, Failure) else answer
        misses = missed(one.rule)
        room = MOST - len(known) if misses else 0  # for groups that are known only to be missed one day
        for group, observation in groups.items():
            new = group not in known and is_quiet(one.rule, observation)
            if not new or room > 0:
                room -= new
                self._step((one.rule_id, group), one.rule, observation, one.endpoints, present=misses)
        absent = Observation(error="the query failed") if failed else nothing(one.rule)
        for group in sorted(known - groups.keys() - {""}):
            if json.loads(group).keys() != set(one.rule.by):
                self._drop((one.rule_id, group), one, "rule_changed")
            elif not failed and self._forgotten(self.view.kept[one.rule_id, group][0]):
                self._drop((one.rule_id, group), one, "gone")
            else:
                self._step((one.rule_id, group), one.rule, absent, one.endpoints, silenced=failed)

    def _forgotten(self, state: State) -> bool:
        """Whether a group has been away for so long that nobody waits for it; one that fires is not forgotten."""
        return state.phase is Phase.INACTIVE and state.seen_at is not None and self.now - state.seen_at > MEMORY

    def _drop(self, key: Key, one: StoredRule, reason: str) -> None:
        """A group that is not looked at any more; what was told is closed, and its episodes stay counted."""
        before, knowing = self.view.kept[key]
        after, messages = close(before, self.now, reason)
        self.told += [_Told(key, one.rule, message, knowing or one.endpoints, None) for message in messages]
        counted = after.episode or after.notices
        self.changed[key] = (replace(after, seen_at=before.seen_at if counted else None), ())

    def _silenced(self, rule: Rule, group: str) -> bool:
        return any(silence.mutes(rule, json.loads(group or "{}"), self.now) for silence in self.view.silences)

    def _step(  # noqa: PLR0913  # two of them are switches
        self,
        key: Key,
        rule: Rule,
        observation: Observation,
        endpoints: tuple[str, ...],
        *,
        silenced: bool = False,
        present: bool = False,
    ) -> None:
        before, knowing = self.view.kept.get(key) or (State(last_evaluated=self.view.last), ())
        silenced = silenced or self._silenced(rule, key[1])
        after, messages = step(rule, before, self.now, observation, interval=self.interval, silenced=silenced)
        for message in messages:
            to = endpoints
            if message.kind in {Kind.FIRING, Kind.REMINDER}:
                knowing = tuple(sorted({*knowing, *endpoints}))
            elif message.kind is Kind.RESOLVED:
                to, knowing = knowing, ()
            self.told.append(_Told(key, rule, message, to, observation.samples))
        if present and (after.seen_at is None or self.now - after.seen_at >= HOUR):
            after = replace(after, seen_at=self.now)
        if state_store.needed(before) or state_store.needed(after):
            self.changed[key] = (after, knowing)

    @property
    def firing(self) -> int:
        """How many alerts fire now."""
        after = self.view.kept | self.changed
        return sum(state.phase in FIRING_PHASES for state, _ in after.values())

    def differing(self) -> list[tuple[Key, State, tuple[str, ...]]]:
        """The states that are not as they were kept."""
        return [
            (key, state, knowing)
            for key, (state, knowing) in self.changed.items()
            if self.view.kept.get(key) != (replace(state, last_evaluated=self.view.last), knowing)
        ]


def check_rules(
    engine: sqlalchemy.Engine,
    events: Events,
    now: datetime,
    *,
    context: MessageContext | None = None,
    interval: timedelta = timedelta(minutes=1),
) -> RuleCheck:
    """Every enabled rule evaluated once, and what there is to tell put into the outbox.

    Args:
        engine: of the state database.
        events: gives the events of a span, as a store does.
        now: the instant of evaluation; not after the last pass: nothing happens.
        context: how the deployment speaks, and how late events may be.
        interval: how often passes are meant to be.

    Raises:
        StoreBusyError: other passes kept coming in between; nothing was written.
    """
    context = context or MessageContext()
    view = _read(engine, now)
    found: dict[Question, Answer] | None = None
    who: dict[tuple[str, str], Contributor] = {}
    for _ in range(PATIENCE):
        if view.last is not None and now <= view.last:
            return RuleCheck(skipped=True, ahead=view.last - now)
        first = found is None
        if found is None:
            found = answers(events, questions(one.rule for one in view.held), now, context.delay, context.timezone)
        made = _Pass(now, interval, found, view)
        if first:
            new = [(told.rule, told.key[1]) for told in made.told if told.message.kind is Kind.FIRING]
            who = find_contributors(events, new, now, context.delay, context.timezone)
        notices = [(_notice(told, context, who), told.endpoints) for told in made.told]
        with engine.begin() as connection:
            if state_store.raise_version(connection, seen=view.version, at=now):
                state_store.save_states(connection, made.differing())
                messages = enqueue(connection, notices, now)
                return _checked(made, messages)
        view = _read(engine, now)
    msg = f"{PATIENCE} other passes came in between; check that not too many of them run at once"
    raise StoreBusyError(msg)


def _checked(made: _Pass, messages: int) -> RuleCheck:
    failures = dict.fromkeys(answer.error for answer in made.found.values() if isinstance(answer, Failure))
    passed = made.now - made.view.last if made.view.last else timedelta()
    gap = passed if passed > max(2 * made.interval, MIN_GAP) else None
    return RuleCheck(len(made.view.held), len(made.found), made.firing, messages, tuple(failures), gap=gap)


def _notice(told: _Told, context: MessageContext, who: Mapping[tuple[str, str], Contributor]) -> Notice:
    rule_id, group = told.key
    suspect = who.get((told.rule.name, group)) if told.message.kind is Kind.FIRING else None
    return build_notice(rule_id, told.rule, group, told.message, context, samples=told.samples, suspect=suspect)


def _read(engine: sqlalchemy.Engine, now: datetime) -> _View:
    """What is kept; the version is read first, so that what changes meanwhile is noticed."""
    with engine.connect() as connection:
        version, last = state_store.version(connection)
        held = [one for one in rule_store.list_rules(connection) if one.enabled]
        return _View(
            version, last, held, rule_store.list_silences(connection, now), state_store.load_states(connection, last)
        )
