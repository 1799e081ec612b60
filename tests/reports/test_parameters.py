"""Parameters: read from a cell without running it, typed, and refused where they would show a secret."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.errors import ParameterError, UnknownNameError, UnreadableError
from hanzo_reports.reports.parameters import Parameter, check_parameters, parse_parameters

CELL = """# the shared ones
store: str = ""  # the folder, for example a=b
top: int = -3  # how many
level: float = 1  # a share
deep: bool = False
plain = "x"  # without annotation
made = list(range(3))  # no literal
names: list[str] = ["a"]
first = second = 1
a.b = 2
nothing: int
"""
PARAMETERS = parse_parameters(CELL, "x.ipynb")


def value(name, given):
    """What a parameter is, when that is given for it."""
    return check_parameters(PARAMETERS, {name: given}, "x")[name]


def test_a_cell_declares_its_plain_literals():
    found = parse_parameters(CELL, "x.ipynb")
    assert found == [
        Parameter("store", "str", "", "the folder, for example a=b"),
        Parameter("top", "int", -3, "how many"),
        Parameter("level", "float", 1.0, "a share"),
        Parameter("deep", "bool", default=False, help=""),
        Parameter("plain", "str", "x", "without annotation"),
    ]
    assert isinstance(found[2].default, float)


def test_a_cell_that_is_no_python_is_named_with_its_line():
    with pytest.raises(UnreadableError, match=r"x\.ipynb: the cell tagged `parameters` is not valid Python: .*line 2"):
        parse_parameters("a = 1\nb = = 2", "x.ipynb")


@pytest.mark.parametrize(
    ("name", "text", "meant"),
    [
        ("top", "12", 12), ("top", 12, 12), ("level", "0.5", 0.5), ("level", 2, 2.0), ("deep", "Yes", True),
        ("deep", "0", False), ("deep", True, True), ("store", "", ""), ("store", Path("a/b"), "a/b"),
        ("plain", datetime(2025, 6, 1, tzinfo=UTC), "2025-06-01T00:00:00Z"), ("plain", "tokens", "tokens"),
    ],
)  # fmt: skip
def test_values_are_read_as_their_type(name, text, meant):
    found = value(name, text)
    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("top", "many", "'top' is a whole number, for example -3; 'many' is not"), ("top", "1.5", "whole number"),
        ("top", 1.0, "whole number"), ("top", True, "whole number"), ("top", None, "None is not"),
        ("level", "nan", "a number"), ("level", "inf", "a number"), ("deep", "maybe", "true or false"),
        ("deep", 1, "true or false"), ("plain", 5, "text"), ("plain", datetime(2025, 6, 1), "text"),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_wrong_type_is_named_with_an_example(name, text, said):
    with pytest.raises(ParameterError, match=said):
        value(name, text)


def test_an_unknown_parameter_is_named_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown parameter 'tops' in the report 'x'; did you mean 'top'"):
        check_parameters(PARAMETERS, {"tops": 1}, "x")
    with pytest.raises(UnknownNameError, match="known: none"):
        check_parameters([], {"window": "7d"}, "x")


SECRETS = (
    "sk-ant-api03-abcdefghijk", "ghp_abcdefghijklmnop", "AKIAIOSFODNN7EXAMPLE", "Bearer abcdefgh123",
    "postgresql://me:hunter2@db/x", "-----BEGIN RSA PRIVATE KEY-----", "eyJhbGciOiJI.eyJzdWIiOiIx",
)  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_refused_and_not_repeated(secret):
    with pytest.raises(ParameterError, match=r"'plain' (looks like a secret|holds a password)") as caught:
        value("plain", secret)
    assert secret not in str(caught.value)


def test_a_secret_by_its_name_is_refused_a_limit_of_tokens_is_none():
    found = parse_parameters('slack_token: str = ""\nmax_tokens: int = 5\napi_key: str = ""', "x")
    with pytest.raises(ParameterError, match=r"'slack_token' looks like a secret.*from the environment"):
        check_parameters(found, {"slack_token": "harmless"}, "x")
    assert check_parameters(found, {"max_tokens": "7", "api_key": "key-search-a"}, "x") == {
        "slack_token": "", "max_tokens": 7, "api_key": "key-search-a",
    }  # fmt: skip


def test_the_store_may_have_a_password_which_is_kept_apart():
    assert value("store", "postgresql://me:sk-hunter22@db/x") == "postgresql://me:sk-hunter22@db/x"
    with pytest.raises(ParameterError, match="looks like a secret"):
        value("store", "postgresql://me@db/sk-hunter22")


def test_the_folder_of_a_run_is_not_given():
    with pytest.raises(ParameterError, match=r"out_dir is the folder of the run.*--out"):
        check_parameters(parse_parameters('out_dir: str = ""', "x"), {"out_dir": "."}, "x")


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_what_is_printed_reads_back(top, level, deep):
    given = {"top": str(top), "level": repr(level), "deep": str(deep)}
    assert check_parameters(PARAMETERS, given, "x") == {
        "store": "",
        "plain": "x",
        "top": top,
        "level": level,
        "deep": deep,
    }
