"""Runs: a folder that is whole or not there, that says how it was made, and that can be made again."""

from __future__ import annotations

import hashlib
import json
import sys

import nbformat
import pytest

import hanzo_reports as hr
from hanzo_reports.errors import (
    ParameterError,
    ReportsError,
    StoreError,
    UnknownNameError,
    UnreadableError,
    UsageError,
    WindowError,
)
from hanzo_reports.reports import run as runner
from hanzo_reports.reports.run import report_names, report_parameters, run_report

WRITE = """import json, pathlib, sys
json.dumps([sys.executable, window_end, project, top, "hanzo_reports" in dir()])"""
FILES = """folder = pathlib.Path(out_dir)
_ = (folder / "usage.csv").write_text("model,cost\\na,1.5\\n")
print(folder)"""
PART = """from IPython.display import publish_display_data
twin = {"kind": "text", "title": "Spoken", "text": "all <good>", "kpis": {"24h": {"requests": 7, "cost": "1.5"}},
        "files": [{"name": "usage.csv", "rows": 1, "columns": ["model", "cost"]}]}
publish_display_data({"text/plain": "all good", "application/vnd.hanzo.part+json": twin})"""


@pytest.fixture(scope="module")
def small(notebook):
    return notebook("small", WRITE, FILES, PART)


@pytest.fixture(scope="module")
def made(run, small, tmp_path_factory):
    """One run, looked at from many sides; to be read only."""
    return run(small, tmp_path_factory.mktemp("reports"), top="3")


@pytest.fixture
def no_kernel(monkeypatch):
    """No kernel starts in this test."""

    def start(*_):
        pytest.fail("a kernel was started")

    monkeypatch.setattr(runner, "start_kernel", start)


def said(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def answer(folder):
    """What the notebook's first own cell said of its surroundings."""
    cells = nbformat.read(folder / "notebook.ipynb", as_version=4).cells
    (cell,) = [cell for cell in cells if cell.source == WRITE]
    return json.loads(cell.outputs[0].data["text/plain"].strip("'"))


def test_a_run_is_a_folder(made):
    assert made.fresh
    assert made.status == "completed"
    assert made.id == f"20250608T093000Z-{made.key[:8]}"
    assert made.folder.name == made.id
    assert made.page == made.folder / "report.html"
    names = {path.name for path in made.folder.iterdir()}
    assert names == {"report.html", "notebook.ipynb", "usage.csv", "manifest.json"}
    assert {path.name for path in made.folder.parent.iterdir()} == {made.id, ".lock", made.manifest["pointer"]}


def test_the_manifest_says_how_it_was_made(made, empty_store):
    found = said(made.folder)
    assert found == made.manifest
    assert found["parameters"] == {
        "store": str(empty_store), "window": "24h", "window_end": "2025-06-08T09:30:00Z", "timezone": "UTC",
        "project": "", "top": 3,
    }  # fmt: skip
    assert found["window"] == {
        "name": "24h", "start": "2025-06-07T09:30:00Z", "end": "2025-06-08T09:30:00Z", "timezone": "UTC",
        "previous": {"start": "2025-06-06T09:30:00Z", "end": "2025-06-07T09:30:00Z"},
    }  # fmt: skip
    assert (found["status"], found["error"], found["synthetic"], found["quality"]) == ("completed", None, False, None)
    assert found["store"] == {"url": str(empty_store), "version": "0"}
    assert found["kpis"] == {"24h": {"requests": 7, "cost": "1.5"}}
    assert found["rows"] == 7
    assert found["exports"] == [{"name": "usage.csv", "rows": 1, "columns": ["model", "cost"]}]
    assert found["versions"]["python"] == sys.version.split()[0]
    assert all(found["versions"].values())
    assert found["seconds"]["total"] >= found["seconds"]["notebook"] > 0


def test_the_files_are_those_of_the_manifest(made):
    files = {file["name"]: file for file in made.manifest["files"]}
    assert set(files) == {path.name for path in made.folder.iterdir()} - {"manifest.json"}
    for name, file in files.items():
        content = (made.folder / name).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())


def test_the_notebook_ran_with_its_parameters_in_this_python(made):
    assert answer(made.folder) == [sys.executable, "2025-06-08T09:30:00Z", "", 3, False]


def test_nothing_names_the_folder_in_which_it_was_built(made):
    text = (made.folder / "notebook.ipynb").read_text(encoding="utf-8")
    assert ".partial" not in text
    assert f'out_dir = \\"{made.folder}\\"' in text


def test_the_page_has_the_parts(made):
    page = made.page.read_text(encoding="utf-8")
    assert "A small report" in page
    assert "all &lt;good&gt;" in page
    assert made.id in page
    assert "This run failed" not in page


def test_this_user_trusts_the_notebook(made):
    from nbformat.sign import NotebookNotary  # noqa: PLC0415  # reads where to look when it is imported

    assert NotebookNotary().check_signature(nbformat.read(made.folder / "notebook.ipynb", as_version=4))


def test_a_run_that_is_there_costs_nothing(made, run, small, no_kernel):
    again = run(small, made.folder.parents[1], if_missing=True, top=3)
    assert (again.id, again.fresh, again.manifest) == (made.id, False, made.manifest)
    assert no_kernel is None


@pytest.mark.parametrize("other", [{"top": 4}, {"window": "7d"}, {"project": "search"}, {"window_end": "2025-06-07"}])
def test_a_run_of_anything_else_is_missing(made, run, small, no_kernel, other):
    with pytest.raises(pytest.fail.Exception, match="a kernel was started"):
        run(small, made.folder.parents[1], if_missing=True, **{"top": 3, **other})
    assert no_kernel is None


def test_names_are_those_of_the_package():
    assert {"dashboard", "explore"} <= set(report_names())
    assert [parameter.name for parameter in report_parameters("dashboard")][:2] == ["store", "window"]


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"tops": 3}, UnknownNameError, "unknown parameter 'tops' in the report 'small'; did you mean 'top'"),
        ({"top": "many"}, ParameterError, "'top' is a whole number"),
        ({"window": "24 hours"}, WindowError, "unknown range '24 hours'"),
        ({"window_end": "noon"}, WindowError, "'noon' is neither a date"),
        ({"timezone": "Europe/Berln"}, UnknownNameError, "did you mean 'Europe/Berlin'"),
        ({"project": "sk-ant-api03-abcdefghijk"}, ParameterError, "looks like a secret"),
    ],
)
def test_wrong_parameters_are_named_before_a_kernel_starts(run, small, tmp_path, no_kernel, params, error, text):
    with pytest.raises(error, match=text):
        run(small, tmp_path / "reports", **params)
    assert not (tmp_path / "reports").exists()
    assert no_kernel is None


def test_a_folder_that_is_no_store_leaves_nothing(run, small, tmp_path):
    with pytest.raises(StoreError, match="No store at"):
        run(small, tmp_path / "reports", store=tmp_path)
    assert not (tmp_path / "reports").exists()


def test_what_is_no_notebook_is_named(tmp_path, now):
    with pytest.raises(UnknownNameError, match="unknown report 'dashbord'; did you mean 'dashboard'"):
        run_report("dashbord", {}, now=now, out=tmp_path)
    with pytest.raises(UnreadableError, match=r"none\.ipynb cannot be read: No such file"):
        report_parameters(str(tmp_path / "none.ipynb"))
    for text in ("", "[]", '{"worksheets": []}'):
        (tmp_path / "odd.ipynb").write_text(text)
        with pytest.raises(UnreadableError, match=r"odd\.ipynb is not a notebook of format 4"):
            report_parameters(str(tmp_path / "odd.ipynb"))


def test_a_now_without_an_offset_is_refused(run, small, now, tmp_path, no_kernel):
    with pytest.raises(WindowError, match="offset"):
        run(small, tmp_path, now=now.replace(tzinfo=None))
    assert no_kernel is None


def test_a_folder_that_cannot_be_written_to_is_named(run, small, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportsError, match="file/small cannot be written to: Not a directory; give another") as caught:
        run(small, tmp_path / "file")
    assert not isinstance(caught.value, UsageError)


def test_a_workspace_gives_a_notebook_what_it_declares(notebook, empty_store, now, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    ws = hr.open(str(empty_store), timezone="Europe/Berlin", now=now)
    bare = ws.report(str(notebook("bare", "1", parameters="top: int = 5")), out=tmp_path / "reports", top=3)
    assert bare.manifest["parameters"] == {"top": 3}
    usual = ws.report(str(notebook("usual", "1")), out=tmp_path / "reports", timezone="UTC")
    assert (usual.manifest["parameters"]["store"], usual.manifest["parameters"]["timezone"]) == (
        str(empty_store), "UTC",
    )  # fmt: skip
    with pytest.raises(UnknownNameError, match="'top'"):
        ws.report(str(notebook("bare", "1", parameters="top: int = 5")), out=tmp_path / "reports", topp=3)


def test_what_a_notebook_writes_when_its_kernel_ends_is_in_the_manifest(notebook, run, tmp_path, capfd):
    late = """import atexit, pathlib
_ = atexit.register(lambda: pathlib.Path(out_dir, "late.csv").write_text("a\\n1\\n"))
kept = open(pathlib.Path(out_dir, "kept.csv"), "w")
_ = kept.write("a\\n2\\n")"""
    done = run(notebook("late", late), tmp_path)
    assert [file["name"] for file in done.manifest["exports"]] == ["kept.csv", "late.csv"]
    assert (done.folder / "kept.csv").read_text() == "a\n2\n"
    assert capfd.readouterr().err == ""


def test_a_kernel_is_warm_before_its_first_cell_and_keeps_the_notebook_s_names_clean(notebook, run, tmp_path):
    told = """import gc, json, sys
known = {"hanzo_reports.dashboards.overview", "hanzo_reports.store.delta", "ibis.backends.duckdb"} <= set(sys.modules)
json.dumps([known, gc.isenabled(), gc.get_freeze_count() > 100_000, "warm" in dir(), "pandas" in sys.modules])"""
    executed = nbformat.read(run(notebook("warm", told), tmp_path).folder / "notebook.ipynb", as_version=4)
    assert executed.cells[-1].outputs[0]["data"]["text/plain"] == "'[true, true, true, false, false]'"
