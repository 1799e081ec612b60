"""Every error the package raises on purpose.

ReportsError
├── UsageError               the caller asked for something that cannot be          (exit 2, HTTP 400)
│   ├── UnknownNameError     a metric, dimension, source, report or parameter that is not there
│   ├── WindowError          a range, instant, grain or time zone that cannot be read
│   ├── MappingError         a source's TOML that does not describe an event
│   ├── SuiteError           a suite of expectations that cannot be read
│   ├── ParameterError       a report parameter of the wrong type, or one that looks like a secret
│   ├── RuleError            an alert rule that could never work
│   └── ChannelError         a channel's address, secret or key that cannot be used
├── InputError               a file that cannot be used                              (exit 1, HTTP 422)
│   ├── UnreadableError      missing, empty, not of its format
│   └── ColumnError          a required column is missing or has the wrong type
├── StoreError               the store cannot be opened, read or written             (exit 1, HTTP 503)
│   ├── StoreVersionError    made by a newer version of the package
│   └── StoreBusyError       another process is writing
├── ReportFailedError        a notebook stopped before its end                       (exit 1)
├── QualityError             the guard says the data cannot be trusted               (exit 3)
└── LockedError              the same report is already being made                   (exit 4)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


SHOWN = 60  # names that a message lists


class ReportsError(Exception):
    """Base of all errors raised on purpose; its text is written for the person who reads it."""


class UsageError(ReportsError):
    """The caller asked for something that cannot be done."""


class UnknownNameError(UsageError):
    """A name that is not in the list it should come from.

    Args:
        kind: what was asked for, for example "metric".
        name: the name as it was given.
        known: the names that exist.
        where: where the name stood, for example a file; empty when that is plain.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known, self.where = kind, name, tuple(known), where
        self.nearest = nearest(name, self.known)
        some = ", ".join(self.known[:SHOWN]) + (f", ... ({len(self.known)} in all)" if len(self.known) > SHOWN else "")
        hint = f"did you mean {self.nearest!r}?" if self.nearest else f"known: {some or 'none'}"
        super().__init__(f"unknown {kind} {name!r}{f' in {where}' if where else ''}; {hint}")


class WindowError(UsageError):
    """A range, instant, grain or time zone that cannot be read."""


class MappingError(UsageError):
    """A source's TOML that does not describe an event."""


class SuiteError(UsageError):
    """A suite of expectations that cannot be read: no YAML, an unknown type, a parameter that is not given."""


class ParameterError(UsageError):
    """A report parameter of the wrong type, or one that looks like a secret."""


class RuleError(UsageError):
    """An alert rule that could never work: a threshold, a unit, a window or a name."""


class ChannelError(UsageError):
    """A channel's address, secret or key that cannot be used; its text never holds the secret."""


class InputError(ReportsError):
    """A file that cannot be used."""


class UnreadableError(InputError):
    """A file that is missing, empty or not of its format."""


class ColumnError(InputError):
    """A required column is missing or has the wrong type."""


class StoreError(ReportsError):
    """The store cannot be opened, read or written."""


class StoreVersionError(StoreError):
    """The store was made by a newer version of the package."""


class StoreBusyError(StoreError):
    """Another process is writing to the store."""


class ReportFailedError(ReportsError):
    """A notebook stopped before its end; the message names the cell, the line and the kept folder."""


class QualityError(ReportsError):
    """The guard says the data cannot be trusted."""


class LockedError(ReportsError):
    """The same report is already being made."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like the given one, or None when nothing is close.

    >>> nearest("latencyp99", ["latency_p99", "cost"])
    'latency_p99'
    """
    import difflib  # noqa: PLC0415  # only a mistake needs it

    folded = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None
