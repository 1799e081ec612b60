"""Verdicts: what the guard found, as data that reports read without importing what judged."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from hanzo_reports.errors import StoreError
from hanzo_reports.window import iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    import ibis

FORMAT = 1


class State(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class Status(StrEnum):
    """Whether a table can be trusted, from best to worst; `skipped` says nothing about it."""

    SKIPPED = "skipped"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One expectation and what became of it.

    Args:
        id: its name in the suite.
        type: the expectation's type.
        severity: ``critical``, ``warning`` or ``info``.
        description: one line in plain words.
        level: ``row``: it names rows; ``table``: it is about the table as a whole.
        state: ``passed``, ``failed``, ``error`` (could not be evaluated, which is no pass) or ``skipped``.
        seen: what was seen, in words.
        unexpected: rows that it does not expect; None: it names no rows.
        rows: rows that it looked at; None: it names no rows.
        at_stake: US dollars of the unexpected rows, where the suite asks for them.
        groups: the unexpected rows counted by a column: `value`, `rows`, `at_stake`; the most rows first.
        examples: some unexpected rows.
        sample: how many rows were looked at, when not all of them; None: all.
    """

    id: str
    type: str
    severity: str
    description: str
    level: str
    state: State
    seen: str = ""
    unexpected: int | None = None
    rows: int | None = None
    at_stake: Decimal | None = None
    groups: tuple[Mapping[str, Any], ...] = ()
    examples: tuple[Mapping[str, Any], ...] = ()
    sample: int | None = None

    @property
    def blocks(self) -> bool:
        """Whether nothing of a load may be accepted: critical, and no rows can be told apart."""
        unclear = self.state is State.ERROR or (self.state is State.FAILED and self.level == "table")
        return self.severity == "critical" and unclear


@dataclass(frozen=True)
class Verdict:
    """What the guard says about a table.

    Args:
        suite: the suite's name.
        title: what it is about.
        at: when, as ISO 8601 in UTC.
        scope: ``store``: a look at what is stored; ``load``: a load, before its commit.
        reason: why it was skipped; empty: it was not.
        rows: rows of the table; None: not counted.
        quarantined: rows that fail a critical expectation.
        checks: one for each expectation.
        judge: what judged: ``great_expectations`` and its version, or ``counts``, where no row was unexpected.
        about: what was looked at: range, load, file, version of the store.
        clean: the rows without a critical fault, lazily; None when the verdict was read from a file.
        quarantine: the other rows, with `_reasons`, lazily.
    """

    suite: str
    title: str
    at: str
    scope: str
    reason: str
    rows: int | None
    quarantined: int
    checks: tuple[Check, ...]
    judge: str
    about: Mapping[str, Any] = field(default_factory=dict)
    clean: ibis.Table | None = field(default=None, repr=False, compare=False)
    quarantine: ibis.Table | None = field(default=None, repr=False, compare=False)

    @property
    def summary(self) -> str:
        """One line: the suite, how it went, how many rows were bad."""
        return f"{self.suite}: {self.status.value}, {self.rows or 0:,} rows, {self.quarantined:,} bad"

    @property
    def status(self) -> Status:
        """``failed``: something critical failed, or anything could not be evaluated; ``warned``: something less.

        Of a load that put its bad rows into quarantine, what is left can be trusted: that is ``warned``.
        """
        if self.reason:
            return Status.SKIPPED
        failed = [check for check in self.checks if check.state in {State.FAILED, State.ERROR}]
        if self.scope == "load":
            worst = any(check.blocks for check in failed)
        else:
            worst = any(check.severity == "critical" or check.state is State.ERROR for check in failed)
        told = [check for check in failed if check.severity != "info" or check.state is State.ERROR]
        return Status.FAILED if worst else Status.WARNED if told else Status.PASSED

    @property
    def blocking(self) -> list[Check]:
        """The checks because of which a load is accepted not at all."""
        return [check for check in self.checks if check.blocks]

    def text(self) -> str:
        """The verdict as JSON, money as texts with all digits."""
        told = {name: value for name, value in vars(self).items() if name not in {"clean", "quarantine"}}
        told |= {"format": FORMAT, "status": self.status.value, "checks": [asdict(check) for check in self.checks]}
        return json.dumps(_finite(told), indent=1, default=_said, ensure_ascii=False, allow_nan=False)

    @classmethod
    def read(cls, text: str, where: str) -> Verdict:
        """The verdict that a text holds.

        Raises:
            StoreError: it is none, or a newer version of the package wrote it.
        """
        try:
            told = json.loads(text)
            made = told.pop("format")
            told.pop("status")
            checks = tuple(_check(one) for one in told.pop("checks"))
            if made == FORMAT:
                return cls(**told, checks=checks)
            msg = f"{where} has verdict format {made}, this package knows {FORMAT}; upgrade hanzo-reports to read it"
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            msg = f"{where} is no verdict: {error}; remove it, and run `hanzo-reports guard` again"
        raise StoreError(msg)


def _check(told: dict[str, Any]) -> Check:
    told |= {"state": State(told["state"]), "groups": tuple(told["groups"]), "examples": tuple(told["examples"])}
    if told["at_stake"] is not None:
        told["at_stake"] = Decimal(told["at_stake"])
    return Check(**told)


def _finite(value: Any) -> Any:  # noqa: ANN401  # whatever a verdict holds
    """The same with texts for the numbers that JSON has no way to write."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _said(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
