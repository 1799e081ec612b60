"""The command line: it parses, calls and prints; what it says is on stderr, what it answers on stdout."""

from __future__ import annotations

import gc
import sys

from hanzo_reports.errors import LockedError, QualityError, ReportsError, UsageError

EXIT_CODES: tuple[tuple[type[ReportsError], int], ...] = (
    (UsageError, 2), (QualityError, 3), (LockedError, 4), (ReportsError, 1),
)  # fmt: skip


def main() -> None:
    """The `hanzo-reports` command: an error raised on purpose is one line on stderr and its exit code."""
    from hanzo_reports.cli.app import app

    try:
        app()
    except ReportsError as error:
        sys.stderr.write(f"hanzo-reports: {error}\n")
        sys.exit(next(code for kind, code in EXIT_CODES if isinstance(error, kind)))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        said = (str(error).splitlines() or ["no reason given"])[0]
        if isinstance(error, RuntimeError) and said == "Query interrupted":  # Ctrl-C, where DuckDB was at work
            sys.stderr.write("Aborted.\n")
            sys.exit(130)
        if _is(error, "duckdb", "DataError") or _is(error, "pyarrow", "ArrowInvalid"):
            told = f"a number is too large for this question: {said}; leave its events out (--where, --range)"
        elif _is(error, "duckdb", "Error"):
            told = f"a file cannot be read: {said}; if it is of the store, restore it from a backup"
        else:
            raise
        sys.stderr.write(f"hanzo-reports: {told}\n")
        sys.exit(1)
    finally:
        gc.freeze()  # the process ends: a search of all libraries for garbage would cost it a third of a second


def _is(error: Exception, module: str, name: str) -> bool:
    """Whether it is of that class of a module that is slow to load: what was not loaded has raised nothing."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(error, getattr(loaded, name))
