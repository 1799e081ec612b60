"""Runs that stop: what is kept of them, and that nothing else is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

from hanzo_reports.errors import LockedError, ReportFailedError
from hanzo_reports.reports.kernel import stoppable

PART = """from IPython.display import publish_display_data
publish_display_data({"application/vnd.hanzo.part+json": {"kind": "text", "title": "", "text": "the first part"}})"""
BROKEN = """def share(part, whole):
    return part / whole

share(1, 0)"""
RUN = """import sys
from datetime import UTC, datetime
from pathlib import Path
from hanzo_reports.reports.run import run_report
notebook, out, store = sys.argv[1:]
print(run_report(notebook, {"store": store}, now=datetime.now(UTC), out=Path(out)).folder)"""


def failed(run, notebook, out):
    """The message and the folder of a run that fails."""
    with pytest.raises(ReportFailedError) as caught:
        run(notebook, out)
    (folder,) = [path for path in (out / notebook.stem).iterdir() if path.name != ".lock"]
    assert folder.name.endswith(".failed")
    assert str(folder) in str(caught.value)
    return str(caught.value), folder


def said(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def test_a_failed_run_is_kept_with_what_there_is_of_it(run, notebook, tmp_path):
    text, folder = failed(run, notebook("broken", PART, BROKEN, "1 + 1"), tmp_path)
    where = "cell 4, line 4 `share(1, 0)`: ZeroDivisionError: division by zero"
    assert text == f"the report 'broken' failed in {where}; what there is of it is in {folder}"
    assert {path.name for path in folder.iterdir()} == {"report.html", "notebook.ipynb", "manifest.json"}
    found = said(folder)
    assert found["status"] == "failed"
    assert found["run"] == folder.name
    assert found["error"] == {
        "cell": 4, "line": 4, "code": "share(1, 0)", "error": "ZeroDivisionError: division by zero",
    }  # fmt: skip
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "This run failed" in page
    assert "the first part" in page
    assert "return part / whole" in page
    assert "\x1b" not in page
    cells = nbformat.read(folder / "notebook.ipynb", as_version=4).cells
    assert cells[-1].execution_count is None


def test_a_good_run_stays_the_latest_and_is_not_found_in_a_failed_one(run, notebook, tmp_path):
    text = 'import pathlib\nassert pathlib.Path(project or ".").exists(), "gone"'
    sometimes = notebook("sometimes", text)
    good = run(sometimes, tmp_path)
    latest = tmp_path / "sometimes" / "latest"
    assert latest.resolve() == good.folder
    assert str(latest.readlink()) == good.id
    with pytest.raises(ReportFailedError, match="AssertionError: gone"):
        run(sometimes, tmp_path, project="not there")
    assert latest.resolve() == good.folder
    with pytest.raises(ReportFailedError):
        run(sometimes, tmp_path, project="not there", if_missing=True)
    again = run(sometimes, tmp_path)
    assert again.id == f"{good.id}-2"
    assert latest.resolve() == again.folder
    earlier = run(sometimes, tmp_path, window_end="2025-06-01")
    assert earlier.fresh
    assert latest.resolve() == again.folder


@pytest.mark.parametrize("stop", ["sys.exit(0)", "raise SystemExit"])
def test_an_early_end_is_no_success(run, notebook, tmp_path, stop):
    text, folder = failed(run, notebook("early", f"import sys\n{stop}", "1 + 1"), tmp_path)
    assert "cell 3" in text
    assert said(folder)["error"]["cell"] == 3
    assert said(folder)["status"] == "failed"


@pytest.mark.parametrize("stop", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_a_kernel_that_dies_is_no_success(run, notebook, tmp_path, stop):
    text, folder = failed(run, notebook("dead", PART, f"import os\n{stop}", "1 + 1"), tmp_path)
    assert "cell 4: the kernel died" in text
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "the kernel died" in page
    assert "the first part" in page


def test_a_line_that_is_no_python_is_named(run, notebook, tmp_path):
    text, _ = failed(run, notebook("wrong", "x = 1\ny = = 2"), tmp_path)
    assert "cell 3, line 2 `y = = 2`: SyntaxError" in text


def test_one_at_a_time(run, notebook, tmp_path):
    (tmp_path / "busy").mkdir()
    holder = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]):\n    print('held', flush=True)\n    input()"
    command = [sys.executable, "-c", holder, str(tmp_path / "busy" / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=r"'busy' is being made by another process in .*busy; try again later"):
            run(notebook("busy"), tmp_path)
        other.communicate("\n")
    assert [path.name for path in (tmp_path / "busy").iterdir()] == [".lock"]
    assert run(notebook("busy"), tmp_path).fresh


def test_an_interrupt_that_a_library_swallows_still_ends_the_run():
    with subprocess.Popen(["sleep", "60"]) as kernel:

        def execute():
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)

        with pytest.raises(KeyboardInterrupt), stoppable(kernel.pid):
            execute()
        assert kernel.wait(10) == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_leaves_no_half_of_it(run, notebook, tmp_path, empty_store, kill):
    slow = "import os, pathlib, time\n(pathlib.Path(out_dir) / 'half.csv').write_text(str(os.getpid()))\n"
    slow = notebook("slow", f"{slow}time.sleep(0 if project else 120)")
    folder = tmp_path / "slow"
    command = [sys.executable, "-c", RUN, str(slow), str(tmp_path), str(empty_store)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        half = awaited(lambda: next(iter(folder.glob(".*.partial/half.csv")), None))
        kernel = awaited(half.read_text)
        process.send_signal(kill)
        assert process.wait(30) != 0
    awaited(lambda: ended(Path("/proc", kernel)))
    visible = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert visible == set()
    hidden = {path.name for path in folder.iterdir()} - {".lock"}
    assert len(hidden) == (kill == signal.SIGKILL)
    assert not FileLock(folder / ".lock").is_locked
    made = run(slow, tmp_path, project="quick")
    assert {path.name for path in folder.iterdir()} == {".lock", made.id, made.manifest["pointer"]}


def ended(process):
    """Whether a process has ended; nobody may have asked yet how."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def awaited(found, seconds=60):
    """What a function finds in the end."""
    end = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return result
