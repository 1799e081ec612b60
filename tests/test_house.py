"""The habits of the house, as far as a machine can see them."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks",
    "clients",
    "docs",
    "expectations",
    "hanzo_reports",
    "notebooks",
    "pipelines",
    "pyproject.toml",
    "requirements.lock",
    "tests",
}
FILES = [
    ROOT / line
    for line in subprocess.run(
        ["git", "ls-files"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.splitlines()
    if (ROOT / line).is_file()
]
PYTHON = [path for path in FILES if path.suffix == ".py"]
PUBLIC = [path for path in PYTHON if path.is_relative_to(ROOT / "hanzo_reports")]
SOURCES = [
    path for path in FILES if path.suffix in {".py", ".toml", ".md", ".ipynb", ".css", ".js", ".html", ".j2", ".yaml"}
]
THIS = Path(__file__)


def lines_with(pattern, paths):
    """Where a pattern stands, as file:line."""
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        if path != THIS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def nodes(paths, *kinds):
    """The syntax nodes of some kinds, with the file they stand in."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kinds):
                yield path.relative_to(ROOT), node


def test_the_rules_read_this_project():
    assert {"hanzo_reports/window.py", "tests/test_house.py"} <= {str(path.relative_to(ROOT)) for path in PYTHON}


def test_the_top_level_holds_only_what_the_map_shows():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} - TOP == set()
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    missing = [
        name
        for name in {path.relative_to(ROOT).parts[0] for path in FILES} - {".gitignore"}
        if name not in contributing
    ]
    assert missing == []


def test_the_map_shows_every_package_and_module_of_the_ground():
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = {path.relative_to(ROOT / "hanzo_reports").parts[0] for path in PUBLIC}
    assert [room for room in sorted(rooms - {"__init__.py"}) if room not in contributing] == []


def test_no_file_is_too_long():
    assert {str(path): n for path in PYTHON if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400} == {}


def test_nothing_is_left_for_later():
    assert lines_with(r"\b(TODO|FIXME|XXX)\b", SOURCES) == []


def test_no_path_of_a_machine_is_written_down():
    assert lines_with(r"(?<![\w.])/(home|root|Users|work)/\w|[A-Z]:\\\\Users", [*SOURCES, ROOT / "Makefile"]) == []


def test_no_room_is_called_after_nothing():
    vague = {"utils", "util", "helpers", "helper", "manager", "core", "common", "misc"}
    assert [str(path.relative_to(ROOT)) for path in PUBLIC if vague & {path.stem, path.parent.name}] == []


def test_the_lock_has_hashes_and_no_addresses():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|file:", lock)
    blocks = re.split(r"\n(?=\S)", lock.strip())
    assert len(blocks) > 50
    assert [block for block in blocks if "==" not in block or "--hash=sha256:" not in block] == []


def test_the_lock_knows_every_dependency():
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    named = {re.match(r"[\w-]+", name)[0].lower() for name in wanted} - {project["name"]}
    assert named - locked == set()


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    inside = [child for node in tree.body if isinstance(node, ast.ClassDef) for child in node.body]
    public = [node for node in (*tree.body, *inside) if isinstance(node, kinds) and not node.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node) and not is_overload(node)] == []
    assert not tree.body or ast.get_docstring(tree)


def is_overload(node):
    """Whether it is one signature of several: the one that runs has the docstring."""
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def test_nothing_is_swallowed():
    silent = [
        f"{path}:{node.lineno}"
        for path, node in nodes(PUBLIC, ast.ExceptHandler)
        if node.type is None or (ast.unparse(node.type) in {"Exception", "BaseException"} and is_idle(node.body))
    ]
    assert silent == []


def is_idle(body):
    """Whether a handler does nothing."""
    return all(isinstance(step, ast.Pass | ast.Continue | ast.Expr) for step in body)


UNUSED_NAMES = {"found", "told", "held", "kept", "made", "asked", "seen", "said", "given", "done"}


def test_names_say_what_they_hold():
    """Not that it was obtained; neither alone nor with a number."""
    names = [
        f"{path}:{node.lineno} {name}"
        for path, node in nodes(PUBLIC, ast.Name, ast.arg, ast.FunctionDef, ast.ClassDef, ast.alias)
        for name in bound_names(node)
        if name.lower().strip("_0123456789") in UNUSED_NAMES
    ]
    assert names == []


def bound_names(node):
    """The names that a node gives to something."""
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.alias):
        return [node.asname] if node.asname else []
    return [getattr(node, "arg", None) or node.name]


def test_below_the_faces_nothing_reads_the_clock_or_the_environment():
    faces = {"cli", "deployment.py", "workspace.py", "result.py", "__init__.py"}
    below = [path for path in PUBLIC if path.relative_to(ROOT / "hanzo_reports").parts[0] not in faces]
    reads = re.compile(r"\b(datetime\.now|datetime\.utcnow|date\.today|time\.time|os\.environ|os\.getenv)\b")
    found = [
        f"{path}:{node.lineno} {text}"
        for path, node in nodes(below, ast.Attribute)
        if reads.fullmatch(text := ast.unparse(node))
    ]
    assert found == []


def test_every_test_asserts_something():
    """Each test holds an assertion, or calls a function of the tests that does."""
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8")) for path in PYTHON if path.is_relative_to(ROOT / "tests")
    }
    functions = [
        (path, node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    asserting = {node.name for _, node in functions if asserts_itself(node) and not is_test(node)}
    idle = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path, node in functions
        if is_test(node) and not asserts_itself(node) and not called_names(node) & asserting
    ]
    assert idle == []


def is_test(node):
    """Whether pytest would run it."""
    return node.name.startswith("test")


def asserts_itself(node):
    """Whether it asserts, or calls what fails a test by itself."""
    failing = {"raises", "warns", "fail", "expect"}
    return any(isinstance(child, ast.Assert) for child in ast.walk(node)) or bool(called_names(node) & failing)


def called_names(node):
    """The names of all functions that it calls."""
    functions = [child.func for child in ast.walk(node) if isinstance(child, ast.Call)]
    return {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in functions}


@pytest.mark.parametrize(
    ("body", "asserts"),
    [
        ("check()", False), ("done = expect_nothing", False), ("assert x", True), ("with pytest.raises(E): f()", True),
        ("pytest.fail('no')", True), ("'assert'", False),
    ],
)  # fmt: skip
def test_an_assertion_is_one_that_runs(body, asserts):
    (node,) = ast.parse(f"def test_check():\n    {body}").body
    assert asserts_itself(node) == asserts
