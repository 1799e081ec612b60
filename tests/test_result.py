"""What an answer shows of itself: no text of a log acts on the terminal, and no two names look alike."""

from __future__ import annotations

from datetime import UTC, datetime

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import hanzo_reports as hr

WINDOW = hr.Window(datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 6, 8, tzinfo=UTC))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def result(names):
    """An answer with a group of each name, in order."""
    rows = pa.table({"model": pa.array(names, pa.string()), "requests": range(1000, 1000 + len(names))})
    return hr.Result(ibis.memtable(rows).order_by("requests"), WINDOW, dict)


def cells(text):
    """The names in the lines of a printed answer."""
    return [line.rsplit("1,0", 1)[0].strip() for line in text.splitlines() if "1,0" in line]


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=20))
def test_any_name_renders_and_none_acts_on_a_terminal(names):
    answer = result(names)
    for text in (repr(answer), answer._repr_html_()):
        assert text.replace("\n", "").isprintable()
    assert len(cells(repr(answer))) == len(names)


@settings(max_examples=100, deadline=None)
@given(st.sets(NAMES.filter(lambda name: name.isprintable() and "\\" not in name), min_size=2, max_size=20))
def test_distinct_names_look_distinct(names):
    shown = cells(repr(result(sorted(names))))
    assert len(set(shown)) == len(names)


@pytest.mark.parametrize(
    "name", ["gpt[/b]", "[red]x[/red]", ":smile:", "[link=https://x]y[/link]", "\\[b]", "a ", "=1"]
)
def test_a_name_is_not_markup(name):
    assert cells(repr(result([name]))) == [name.replace("a ", "a\\x20")]


def test_a_terminal_gets_no_sequence_from_a_name():
    console = Console(width=120, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(result(["\x1b]52;c;aGFja2Vk\x07", "gpt\u202e4", "two\nlines"]))
    assert cells(capture.get()) == ["\\x1b]52;c;aGFja2Vk\\x07", "gpt\\u202e4", "two\\nlines"]


def test_a_name_of_a_column_is_as_safe_as_a_cell():
    rows = pa.table({"[/b]\x1b[31m": ["x"]})
    text = repr(hr.Result(ibis.memtable(rows), WINDOW, dict))
    assert "[/b]\\x1b[31m" in text


def test_csv_for_a_spreadsheet_is_neutralised_and_other_csv_is_exact(tmp_path):
    answer = result(["=1+1", "@cf/meta/llama-3"])
    assert answer.to_csv() == "model,requests\n=1+1,1000\n@cf/meta/llama-3,1001\n"
    assert answer.to_csv(spreadsheet=True) == "model,requests\n'=1+1,1000\n@cf/meta/llama-3,1001\n"
    answer.to_csv(tmp_path / "out.csv", spreadsheet=True)
    assert (tmp_path / "out.csv").read_text() == answer.to_csv(spreadsheet=True)
