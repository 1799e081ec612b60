"""The evaluation of all rules at one instant: new states and messages from query results and stored states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hanzo_reports.alerts.alert_state import (
    FIRING_PHASES,
    AlertState,
    Health,
    HealthState,
    MessageKind,
    Observation,
    Phase,
)
from hanzo_reports.alerts.health import step_health
from hanzo_reports.alerts.message_text import parse_group
from hanzo_reports.alerts.messages import build_health_notice, build_notice
from hanzo_reports.alerts.query import QueryFailure, collect_queries, observe, observe_absence, reports_absence
from hanzo_reports.alerts.rule import HOUR
from hanzo_reports.alerts.state_machine import close, is_quiet, step
from hanzo_reports.alerts.state_store import AlertKey, StoredAlert, is_worth_storing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hanzo_reports.alerts.alert_state import HealthMessage, Message
    from hanzo_reports.alerts.contributors import Contributor
    from hanzo_reports.alerts.messages import MessageContext
    from hanzo_reports.alerts.query import Query, QueryResult
    from hanzo_reports.alerts.rule import Rule
    from hanzo_reports.alerts.rule_store import StoredRule
    from hanzo_reports.alerts.silences import Silence
    from hanzo_reports.alerts.state_store import StoredStates
    from hanzo_reports.delivery.notice import Notice

FORGET_AFTER = timedelta(days=7)  # without events, after which an inactive group is no longer tracked
MAX_IDLE_GROUPS = 1000  # groups of a rule that are tracked only so that their absence is noticed
ALL_RULES = "all-rules"  # the id and name of the health of all rules, for when no query succeeds


@dataclass(frozen=True)
class Snapshot:
    """What was stored at one version.

    Args:
        version: the version that all rules, silences and states share.
        last_check: the instant of the last check; None: there was none.
        rules: the enabled rules.
        silences: the silences that have not ended.
        states: the states of alerts and of health.
    """

    version: int
    last_check: datetime | None
    rules: list[StoredRule]
    silences: list[Silence]
    states: StoredStates


@dataclass(frozen=True)
class _AlertMessage:
    """A message about a group of a rule, and the endpoints that get it."""

    key: AlertKey
    rule: Rule
    message: Message
    endpoints: tuple[str, ...]
    samples: int | None


@dataclass(frozen=True)
class _HealthNotification:
    """A message about the health of something as a whole, and the endpoints that get it."""

    source: str
    name: str
    message: HealthMessage
    endpoints: tuple[str, ...]


class Evaluation:
    """The evaluation of all rules at one instant.

    Args:
        now: the instant of evaluation.
        interval: the intended time between checks.
        results: the result of each query.
        snapshot: what was stored.
    """

    def __init__(
        self, now: datetime, interval: timedelta, results: Mapping[Query, QueryResult], snapshot: Snapshot
    ) -> None:
        self.now, self.interval, self.results, self.snapshot = now, interval, results, snapshot
        self._alerts: dict[AlertKey, StoredAlert] = {}
        self._health: dict[str, HealthState] = {}
        self._messages: list[_AlertMessage | _HealthNotification] = []
        tracked: dict[str, set[str]] = {}
        for key in snapshot.states.alerts:
            tracked.setdefault(key.rule_id, set()).add(key.group)
        failures = [result.error for result in results.values() if isinstance(result, QueryFailure)]
        self._all_failed = bool(failures) and len(failures) == len(results)
        everyone = tuple(sorted({endpoint for stored in snapshot.rules for endpoint in stored.endpoints}))
        self._step_health(ALL_RULES, ALL_RULES, failures[0] if self._all_failed else "", everyone)
        for stored in snapshot.rules:
            self._evaluate_rule(stored, tracked.get(stored.rule_id, set()))

    @property
    def firing_count(self) -> int:
        """How many alerts fire now."""
        alerts = self.snapshot.states.alerts | self._alerts
        return sum(alert.state.phase in FIRING_PHASES for alert in alerts.values())

    @property
    def new_firings(self) -> list[tuple[Rule, str]]:
        """The rules and groups that are reported to fire."""
        return [
            (each.rule, each.key.group)
            for each in self._messages
            if isinstance(each, _AlertMessage) and each.message.kind is MessageKind.FIRING
        ]

    @property
    def changed_alerts(self) -> dict[AlertKey, StoredAlert]:
        """The alerts that differ from the stored ones."""
        stored, last = self.snapshot.states.alerts, self.snapshot.last_check
        return {
            key: alert
            for key, alert in self._alerts.items()
            if stored.get(key) != (replace(alert.state, last_evaluated=last), alert.endpoints)
        }

    @property
    def changed_health(self) -> dict[str, HealthState]:
        """The health of what is evaluated as a whole, where it differs from the stored one."""
        stored = self.snapshot.states.health
        return {source: state for source, state in self._health.items() if stored.get(source, HealthState()) != state}

    def build_notices(
        self, context: MessageContext, contributors: Mapping[tuple[str, str], Contributor]
    ) -> list[tuple[Notice, tuple[str, ...]]]:
        """The notices of all messages with the endpoints that get them, in order.

        Args:
            context: what the messages of the deployment share.
            contributors: the top contributors, by the rule's name and the group's key.
        """
        notices = []
        for each in self._messages:
            if isinstance(each, _HealthNotification):
                notice = build_health_notice(each.source, each.name, each.message, context)
            else:
                is_firing = each.message.kind is MessageKind.FIRING
                notice = build_notice(
                    each.key.rule_id, each.rule, each.key.group, each.message, context, samples=each.samples,
                    contributor=contributors.get((each.rule.name, each.key.group)) if is_firing else None,
                )  # fmt: skip
            notices.append((notice, each.endpoints))
        return notices

    def _evaluate_rule(self, stored: StoredRule, tracked: set[str]) -> None:
        """Evaluates a rule as a whole, the groups that have events, and those that had events before."""
        rule = stored.rule
        if any(query not in self.results for query in collect_queries([rule])):
            return  # the rule was added or changed since the queries ran; the next check evaluates it
        observations = observe(rule, self.results)
        error = observations.error if isinstance(observations, QueryFailure) else ""
        self._step_health(stored.rule_id, rule.name, error, stored.endpoints, silenced=self._all_failed)
        if isinstance(observations, QueryFailure):
            observations, absence = {}, Observation(error="the query failed")
        else:
            absence = observe_absence(rule)
        tracks_absence = reports_absence(rule)
        room = MAX_IDLE_GROUPS - len(tracked) if tracks_absence else 0
        for group, observation in observations.items():
            is_idle = group not in tracked and is_quiet(rule, observation)
            if not is_idle or room > 0:
                room -= is_idle
                self._step_alert(stored, group, observation, has_data=tracks_absence)
        for group in sorted(tracked - observations.keys()):
            key = AlertKey(stored.rule_id, group)
            if parse_group(group).keys() != set(rule.by):
                self._close_alert(stored, key, "rule_changed")
            elif not error and self._is_forgotten(self.snapshot.states.alerts[key].state):
                self._close_alert(stored, key, "gone")
            else:
                self._step_alert(stored, group, absence, silenced=bool(error))

    def _is_forgotten(self, state: AlertState) -> bool:
        """Whether a group has been without events for too long to be tracked; a firing alert is never forgotten."""
        last = state.last_data_at
        return state.phase is Phase.INACTIVE and last is not None and self.now - last > FORGET_AFTER

    def _close_alert(self, stored: StoredRule, key: AlertKey, reason: str) -> None:
        """Closes an alert that is not evaluated any more; its episodes stay counted."""
        before = self.snapshot.states.alerts[key]
        after, messages = close(before.state, self.now, reason)
        endpoints = before.endpoints or stored.endpoints
        self._messages += [_AlertMessage(key, stored.rule, message, endpoints, None) for message in messages]
        is_counted = after.episode or after.health.notice_count
        last_data_at = before.state.last_data_at if is_counted else None
        self._alerts[key] = StoredAlert(replace(after, last_data_at=last_data_at))

    def _step_alert(
        self,
        stored: StoredRule,
        group: str,
        observation: Observation,
        *,
        silenced: bool = False,
        has_data: bool = False,
    ) -> None:
        key, rule = AlertKey(stored.rule_id, group), stored.rule
        before = self.snapshot.states.alerts.get(key) or StoredAlert(
            AlertState(last_evaluated=self.snapshot.last_check)
        )
        silenced = silenced or any(silence.mutes(rule, group, self.now) for silence in self.snapshot.silences)
        after, messages = step(rule, before.state, self.now, observation, interval=self.interval, silenced=silenced)
        informed = before.endpoints
        for message in messages:
            receivers = stored.endpoints
            if message.kind in {MessageKind.FIRING, MessageKind.REMINDER}:
                informed = tuple(sorted({*informed, *stored.endpoints}))
            elif message.kind is MessageKind.RESOLVED:
                receivers, informed = informed, ()
            self._messages.append(_AlertMessage(key, rule, message, receivers, observation.samples))
        if has_data and (after.last_data_at is None or self.now - after.last_data_at >= HOUR):
            after = replace(after, last_data_at=self.now)
        if is_worth_storing(before.state) or is_worth_storing(after):
            self._alerts[key] = StoredAlert(after, informed)

    def _step_health(
        self, source: str, name: str, error: str, endpoints: tuple[str, ...], *, silenced: bool = False
    ) -> None:
        """Steps the health of a rule as a whole, or of all rules."""
        silenced = silenced or any(silence.mutes_health(name, self.now) for silence in self.snapshot.silences)
        before = self.snapshot.states.health.get(source, HealthState())
        health = Health.ERROR if error else Health.OK
        after, message = step_health(before, self.now, health, reason=error, silenced=silenced)
        self._health[source] = after
        if message:
            self._messages.append(_HealthNotification(source, name, message, endpoints))
