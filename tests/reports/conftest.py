"""Small notebooks, and an empty store to run them on."""

from __future__ import annotations

from datetime import UTC, datetime

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from hanzo_reports import store
from hanzo_reports.reports.run import run_report

NOW = datetime(2025, 6, 8, 9, 30, tzinfo=UTC)
PARAMETERS = """store: str = ""  # where events live
window: str = "24h"  # the range
window_end: str = ""  # its end
timezone: str = "UTC"
project: str = ""
top: int = 5
out_dir: str = ""
"""


@pytest.fixture(scope="session")
def now():
    """When the runs of these tests are made."""
    return NOW


@pytest.fixture(scope="session")
def notebook(tmp_path_factory):
    """A function that makes a notebook of these code cells, after a title, a question and the usual parameters."""

    def make(name, *cells, parameters=PARAMETERS):
        tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
        told = [new_markdown_cell("# A small report\n\nWhat is there?"), tagged, *map(new_code_cell, cells)]
        path = tmp_path_factory.mktemp("notebooks") / f"{name}.ipynb"
        other = {"kernelspec": {"name": "not-installed", "display_name": "Another", "language": "python"}}
        nbformat.write(new_notebook(cells=told, metadata=other), path)
        return path

    return make


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A store without events; to be read only."""
    folder = tmp_path_factory.mktemp("store") / "warehouse"
    store.open(str(folder), create=True)
    return folder


@pytest.fixture(scope="session")
def run(empty_store, tmp_path_factory):
    """A function that runs a notebook on that store; signatures stay out of this user's Jupyter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        yield lambda path, out, now=NOW, if_missing=False, **params: run_report(
            str(path), {"store": empty_store, **params}, now=now, out=out, if_missing=if_missing
        )
