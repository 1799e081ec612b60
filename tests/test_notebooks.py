"""Notebooks tell a story and hold no logic; they are kept without outputs; all of them run."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHARED = {"store": "", "window": None, "window_end": "", "timezone": "UTC", "project": "", "out_dir": ""}
LOGIC = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.Try, ast.With,
    ast.comprehension, ast.If,
)  # fmt: skip
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tagged(path):
    (cell,) = [cell for cell in code(path) if "parameters" in cell.metadata.get("tags", ())]
    return cell


def test_there_are_notebooks():
    assert {"dashboard", "explore"} <= {path.stem for path in NOTEBOOKS}


@each
def test_it_is_kept_without_outputs_but_with_ids_and_kernel(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert [cell.id for cell in code(path) if cell.outputs or cell.execution_count is not None] == []
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert all(cell.get("id") for cell in raw["cells"])
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}


@each
def test_it_begins_with_a_title_a_question_and_its_parameters(path):
    title, question, parameters = read(path).cells[:3]
    assert title.source.startswith("# ")
    assert question.cell_type == "markdown"
    assert "?" in question.source
    assert parameters.source == tagged(path).source


@each
def test_its_parameters_are_annotated_literals_each_with_help(path):
    source = tagged(path).source
    steps = ast.parse(source).body
    assert all(isinstance(step, ast.AnnAssign) and isinstance(step.value, ast.Constant) for step in steps)
    given = {step.target.id: step.value.value for step in steps}
    assert {name: given[name] for name in SHARED} == SHARED | {"window": given["window"]}
    assert all(step.annotation.id == type(step.value.value).__name__ for step in steps)
    comments = [
        token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    ]
    assert [comment.start[0] for comment in comments] == [step.lineno for step in steps]
    assert [comment.string for comment in comments if "=" in comment.string] == []


@each
def test_it_holds_no_logic_and_no_long_cells(path):
    cells = [cell for cell in code(path) if cell is not None and cell.source != tagged(path).source]
    assert [node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, LOGIC)] == []
    assert [cell.id for cell in cells if len(cell.source.splitlines()) > 5] == []
    assert "takeaway" in cells[-1].id


@each
def test_it_runs_as_it_is_kept(path, sample_store, monkeypatch, tmp_path):
    """In the kernel of this Python, on the store that the environment names, as nbmake would."""
    from nbclient import NotebookClient  # noqa: PLC0415  # only here a kernel is needed

    monkeypatch.setenv("HANZO_REPORTS_STORE", str(sample_store))
    notebook = read(path)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "stream"] == []
    assert "text/plain" in outputs[-1].data
