"""What the tiers of the tests report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TIERS = Path(__file__).with_name("tiers.py")
CONFTEST = f"""
import sys
sys.path.insert(0, {str(TIERS.parent)!r})
import tiers
def pytest_runtest_logreport(report):
    tiers.count_skip(CONFIG, report)
def pytest_configure(config):
    global CONFIG
    CONFIG = config
def pytest_unconfigure(config):
    tiers.report_skipped(config)
"""
TESTS = """
import sys, pytest
from tiers import skip_without
@pytest.fixture
def browser():
    skip_without("Chromium")
@pytest.mark.parametrize("n", range(3))
def test_page(browser, n):
    assert n < 0
def test_plain():
    assert True
def test_other():
    pytest.skip("for another reason")
"""


def run(folder, **environment):
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=folder, env={"PATH": "", **environment}
    ).stdout.splitlines()


def test_the_last_line_counts_what_the_machine_lacks_and_says_how_to_get_it(tmp_path):
    lines = run(tmp_path)
    assert lines[-1] == "3 tests were left out for lack of Chromium (install it, on Debian: apt-get install chromium)"
    assert "1 passed, 4 skipped" in lines[-2]


def test_a_run_of_several_parts_counts_them_all(tmp_path):
    file = tmp_path / "left-out"
    for _ in range(2):
        run(tmp_path, HANZO_TESTS_LEFT_OUT=str(file))
    command = [sys.executable, str(TIERS)]
    total = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"HANZO_TESTS_LEFT_OUT": str(file)}
    ).stdout
    assert total.startswith("6 tests were left out for lack of Chromium")


def test_a_run_that_lacks_nothing_prints_nothing(tmp_path):
    command = [sys.executable, str(TIERS)]
    environment = {"HANZO_TESTS_LEFT_OUT": str(tmp_path / "none")}
    total = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    assert total == ""
