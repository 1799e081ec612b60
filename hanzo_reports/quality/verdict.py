"""Verdicts of the guard, as data that reports read without importing Great Expectations."""

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
    """The outcome of a check."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    ACCEPTED = "accepted"
    SKIPPED = "skipped"


class Status(StrEnum):
    """Whether a table can be trusted, from best to worst; ``skipped`` says nothing about it."""

    SKIPPED = "skipped"
    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One expectation and its outcome.

    Args:
        id: its name in the suite.
        type: the expectation's type.
        severity: ``critical``, ``warning`` or ``info``.
        description: one line in plain words.
        level: ``row``: it tests each row; ``table``: it is about the table as a whole.
        state: ``passed``, ``failed``, ``error`` (it could not be evaluated, which never passes), ``accepted`` (every
            row that violates it is accepted) or ``skipped``.
        observed: what was observed, in words; `seen` in JSON.
        unexpected: rows that violate it and are not accepted; None: it does not test rows.
        rows: rows that it tested; None: it does not test rows.
        at_stake: US dollars of the unexpected rows, where the suite asks for them.
        groups: the unexpected rows counted by a column: `value`, `rows`, `at_stake`; the most rows first.
        examples: some unexpected rows.
        sample: how many rows were tested, where not all were; None: all.
        accepted: acceptances of rows that violate it: `rows`, `because`, `by` and `at`.
    """

    id: str
    type: str
    severity: str
    description: str
    level: str
    state: State
    observed: str = ""
    unexpected: int | None = None
    rows: int | None = None
    at_stake: Decimal | None = None
    groups: tuple[Mapping[str, Any], ...] = ()
    examples: tuple[Mapping[str, Any], ...] = ()
    sample: int | None = None
    accepted: tuple[Mapping[str, Any], ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether a load must be refused as a whole: a critical fault that cannot be put down to single rows."""
        whole = self.state is State.ERROR or (self.state is State.FAILED and self.level == "table")
        return self.severity == "critical" and whole


@dataclass(frozen=True)
class Verdict:
    """What the guard says about a table.

    Args:
        suite: the suite's name.
        title: the suite's title.
        at: when, as ISO 8601 in UTC.
        scope: ``store``: about stored events; ``load``: about a load, before its commit.
        reason: why it was skipped; empty: it was not.
        rows: rows of the table; None: not counted.
        quarantined: rows that fail a critical expectation and are not accepted.
        checks: one for each expectation.
        judge: ``great_expectations`` and its version, or ``counts`` where no row was unexpected.
        about: what was checked: range, load, file, version of the store.
        clean: the rows without a critical fault, as an expression; None when the verdict was read from a file.
        quarantine: the other rows, with `_reasons`, as an expression.
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
        """One line: the suite, its status, and how many rows are bad or accepted."""
        accepted = sum(one["rows"] for check in self.checks for one in check.accepted)
        more = f", {accepted:,} accepted" if accepted else ""
        return f"{self.suite}: {self.status.value}, {self.rows or 0:,} rows, {self.quarantined:,} bad{more}"

    @property
    def status(self) -> Status:
        """``failed``: something critical failed, or anything could not be evaluated; ``warned``: something less failed.

        A load whose bad rows went to the quarantine is ``warned``, since its other rows can be trusted.
        """
        if self.reason:
            return Status.SKIPPED
        failed = [check for check in self.checks if check.state in {State.FAILED, State.ERROR}]
        if self.scope == "load":
            worst = any(check.blocks for check in failed)
        else:
            worst = any(check.severity == "critical" or check.state is State.ERROR for check in failed)
        reported = any(check.severity != "info" or check.state is State.ERROR for check in failed)
        return Status.FAILED if worst else Status.WARNED if reported else Status.PASSED

    @property
    def blocking(self) -> list[Check]:
        """The checks because of which a load is refused as a whole."""
        return [check for check in self.checks if check.blocks]

    def text(self) -> str:
        """The verdict as JSON, money as text with all digits."""
        fields = {name: value for name, value in vars(self).items() if name not in {"clean", "quarantine"}}
        fields |= {"format": FORMAT, "status": self.status.value, "checks": [_to_json(check) for check in self.checks]}
        return json.dumps(_finite(fields), indent=1, default=_text, ensure_ascii=False, allow_nan=False)

    @classmethod
    def read(cls, text: str, where: str) -> Verdict:
        """The verdict in a JSON text.

        Raises:
            StoreError: the text is not a verdict, or a newer version of the package wrote it.
        """
        try:
            fields = json.loads(text)
            version = fields.pop("format")
            fields.pop("status")
            checks = tuple(_from_json(check) for check in fields.pop("checks"))
            if version == FORMAT:
                return cls(**fields, checks=checks)
            msg = f"{where} has verdict format {version}, this package knows {FORMAT}; upgrade hanzo-reports to read it"
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            msg = f"{where} is not a verdict: {error}; remove it, and run `hanzo-reports guard` again"
        raise StoreError(msg)


def _to_json(check: Check) -> dict[str, Any]:
    return {"seen" if name == "observed" else name: value for name, value in asdict(check).items()}


def _from_json(fields: dict[str, Any]) -> Check:
    fields["observed"] = fields.pop("seen")
    fields["state"] = State(fields["state"])
    for name in ("groups", "examples", "accepted"):
        fields[name] = tuple(fields.get(name, ()))
    if fields["at_stake"] is not None:
        fields["at_stake"] = Decimal(fields["at_stake"])
    return Check(**fields)


def _finite(value: Any) -> Any:  # noqa: ANN401  # whatever a verdict holds
    """The same value with text in place of NaN and infinities, which JSON cannot write."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
