"""The command line: it parses arguments, calls the package and prints the answer; no SQL, no arithmetic."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, NoReturn

from hanzo_reports.errors import LockedError, QualityError, ReportsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_CODES: tuple[tuple[type[ReportsError], int], ...] = (
    (UsageError, 2), (QualityError, 3), (LockedError, 4), (ReportsError, 1),
)  # fmt: skip
INTERRUPTED, BROKEN_PIPE = 130, 141  # exit codes of a shell for SIGINT and SIGPIPE


def main() -> NoReturn:
    """Runs the `hanzo-reports` command; an error raised on purpose is one line on stderr and its exit code."""
    from hanzo_reports.cli.app import app

    sys.exit(run(app))


def run(app: Callable[..., object]) -> int:
    """Runs a command line application, reports its errors, and returns the exit code."""
    from hanzo_reports.cli.output import print_error, print_traceback, print_usage_error

    try:
        code = app(standalone_mode=False)
    except ReportsError as error:
        print_error(error)
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except BrokenPipeError:
        sys.stderr.close()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  # whatever a library raises ends in a message that a terminal can show
        if hasattr(error, "exit_code") and hasattr(error, "show"):  # Typer's own errors, whose class is private
            return print_usage_error(error)
        if isinstance(error, RuntimeError) and str(error) == "Query interrupted":  # Ctrl-C while DuckDB computes
            sys.stderr.write("Aborted.\n")
            return INTERRUPTED
        message = describe_library_error(error)
        if message:
            print_error(message)
        else:
            print_traceback(error)
        return 1
    finally:
        gc.freeze()  # the process ends: a search of all libraries for garbage would cost it a third of a second
    return code if isinstance(code, int) else 0


def describe_library_error(error: Exception) -> str:
    """What a user can do about an error of DuckDB or Arrow; empty for other errors."""
    reason = (str(error).splitlines() or ["no reason given"])[0]
    if _is_instance(error, "duckdb", "DataError") or _is_instance(error, "pyarrow", "ArrowInvalid"):
        return f"Numeric overflow; narrow the query with --where or --range ({reason})"
    if _is_instance(error, "duckdb", "Error"):
        return f"A file cannot be read: {reason}. If it belongs to the store, restore it from a backup"
    return ""


def _is_instance(error: Exception, module: str, name: str) -> bool:
    """Whether an error is of a class of a module that is slow to import; if it is not loaded, it raised nothing."""
    loaded_module = sys.modules.get(module)
    return loaded_module is not None and isinstance(error, getattr(loaded_module, name))
