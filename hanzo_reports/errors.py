"""Every error the package raises on purpose.

ReportsError
├── UsageError               the request is invalid                                  (exit 2, HTTP 400)
│   ├── UnknownNameError     no metric, dimension, source, report or parameter has that name
│   ├── WindowError          an invalid range, instant, grain or time zone
│   ├── MappingError         a source's TOML does not describe an event
│   ├── SuiteError           an invalid suite of expectations
│   ├── ParameterError       a report parameter has the wrong type or looks like a secret
│   ├── RuleError            an alert rule can never work
│   └── ChannelError         a channel's address, secret or key cannot be used
├── InputError               a file cannot be used                                   (exit 1, HTTP 422)
│   ├── UnreadableError      it is missing, empty or not in its format
│   └── ColumnError          a required column is missing or has the wrong type
├── StoreError               the store cannot be opened, read or written             (exit 1, HTTP 503)
│   ├── StoreVersionError    a newer version of the package created it
│   └── StoreBusyError       another process is writing to it
├── ReportFailedError        a notebook stopped before its end                       (exit 1)
├── QualityError             the guard does not trust the data                       (exit 3)
└── LockedError              another process is running the same report              (exit 4)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_LISTED_NAMES = 60  # in a message


class ReportsError(Exception):
    """Base of all errors raised on purpose; its message says what is wrong, where, and what to do."""


class UsageError(ReportsError):
    """The request is invalid."""


class UnknownNameError(UsageError):
    """A name that is not in the list it should come from.

    Args:
        kind: what the name should be, for example "metric".
        name: the unknown name.
        known: the names that exist.
        where: where the unknown name occurs, for example a file; empty if that is obvious.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], where: str = "") -> None:
        self.kind, self.name, self.known, self.where = kind, name, tuple(known), where
        self.nearest = nearest(name, self.known)
        hint = f"did you mean {self.nearest!r}?" if self.nearest else f"known: {_list_names(self.known)}"
        super().__init__(f"unknown {kind} {name!r}{f' in {where}' if where else ''}; {hint}")


class WindowError(UsageError):
    """An invalid range, instant, grain or time zone."""


class MappingError(UsageError):
    """A source's TOML that does not describe an event."""


class SuiteError(UsageError):
    """An invalid suite of expectations: not YAML, an unknown type, or a missing parameter."""


class ParameterError(UsageError):
    """A report parameter of the wrong type, or one that looks like a secret."""


class RuleError(UsageError):
    """An alert rule that can never work, because of its threshold, unit, window or name."""


class ChannelError(UsageError):
    """A channel's address, secret or key that cannot be used; the message never contains the secret."""


class InputError(ReportsError):
    """A file that cannot be used."""


class UnreadableError(InputError):
    """A file that is missing, empty or not in its format."""


class ColumnError(InputError):
    """A required column is missing or has the wrong type."""


class StoreError(ReportsError):
    """The store cannot be opened, read or written."""


class StoreVersionError(StoreError):
    """A newer version of the package created the store."""


class StoreBusyError(StoreError):
    """Another process is writing to the store."""


class ReportFailedError(ReportsError):
    """A notebook stopped before its end; the message names the cell, the line and the folder with its output."""


class QualityError(ReportsError):
    """The guard does not trust the data."""


class LockedError(ReportsError):
    """Another process is running the same report."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to a name, or None if none is similar.

    >>> nearest("latencyp99", ["latency_p99", "cost"])
    'latency_p99'
    """
    import difflib  # noqa: PLC0415  # only a mistake needs it

    candidates = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def _list_names(names: tuple[str, ...]) -> str:
    """Names as a message lists them; a name with a character that does not print is quoted as Python writes it."""
    first = ", ".join(name if name.isprintable() else repr(name) for name in names[:MAX_LISTED_NAMES])
    more = f", ... ({len(names)} in all)" if len(names) > MAX_LISTED_NAMES else ""
    return f"{first}{more}" or "none"
