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
from hanzo_reports.reports.kernel import kill_on_signal

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
    assert text == f"Report 'broken' failed in {where}; its partial output is in {folder}"
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
        with pytest.raises(LockedError, match=r"'busy' is being run by another process in .*busy; try again later"):
            run(notebook("busy"), tmp_path)
        other.communicate("\n")
    assert [path.name for path in (tmp_path / "busy").iterdir()] == [".lock"]
    assert run(notebook("busy"), tmp_path).fresh


@pytest.fixture
def default_signals():
    """The dispositions of an interactive shell, wherever these tests run: under nohup SIGINT is ignored."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_that_a_library_swallows_still_ends_the_run(number, error):
    with subprocess.Popen(["sleep", "60"]) as kernel:

        def execute():
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                os.kill(os.getpid(), number)
                time.sleep(60)

        with pytest.raises(error), kill_on_signal(kernel.pid):
            execute()
        assert kernel.wait() == -signal.SIGKILL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.fixture
def start_slow_run(notebook, tmp_path, empty_store):
    """A function that starts a run in a process of its own and waits until its notebook has written half a file."""
    text = "import os, pathlib, time\n(pathlib.Path(out_dir) / 'half.csv').write_text(str(os.getpid()))\n"
    slow = notebook("slow", f"{text}time.sleep(0 if project else 600)")

    @contextlib.contextmanager
    def start(interrupts="signal.default_int_handler"):
        code = f"import signal\nsignal.signal(signal.SIGINT, {interrupts})\n{RUN}"
        command = [sys.executable, "-c", code, str(slow), str(tmp_path), str(empty_store)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            half = wait_for(lambda: next(iter((tmp_path / "slow").glob(".*.partial/half.csv")), None))
            yield process, Path("/proc", wait_for(half.read_text))
            process.kill()

    start.notebook = slow
    return start


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_no_half_of_it(run, start_slow_run, tmp_path, kill):
    folder = tmp_path / "slow"
    with start_slow_run() as (process, kernel):
        process.send_signal(kill)
        assert process.wait() != 0
        wait_for(lambda: has_ended(kernel))
    visible = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    assert visible == set()
    hidden = {path.name for path in folder.iterdir()} - {".lock"}
    assert len(hidden) == (kill == signal.SIGKILL)
    assert not FileLock(folder / ".lock").is_locked
    again = run(start_slow_run.notebook, tmp_path, project="quick")
    assert {path.name for path in folder.iterdir()} == {".lock", again.id, again.manifest["pointer"]}


def test_a_scheduled_run_that_ignores_interrupts_ends_in_order_on_sigterm(start_slow_run, tmp_path):
    with start_slow_run(interrupts="signal.SIG_IGN") as (process, kernel):
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        wait_for(lambda: has_ended(kernel))
    assert [path.name for path in (tmp_path / "slow").iterdir()] == [".lock"]


def has_ended(process):
    """Whether a process has ended, whoever has to ask for its exit code yet."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for(read, seconds=600):
    """What a function returns, once that is true."""
    end = time.monotonic() + seconds
    while not (result := read()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return result
