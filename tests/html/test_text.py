"""Text on pages: hidden characters are written out, and lengths are bounded."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanzo_reports.html.charts import Chart, Line, draw_chart
from hanzo_reports.html.components import render_fragment
from hanzo_reports.html.page import render_page
from hanzo_reports.html.panels import Cell, build_grid, build_notice
from hanzo_reports.html.text import MAX_NAME_LENGTH, MAX_TEXT_LENGTH, reveal_hidden, shorten, show_name

HIDDEN = "a\x1b[2J\u202eb\u200bc\x9b\u2066d\ufeff\ud800\U000e0041"
SHOWN = r"a\x1b[2J\u202eb\u200bc\x9b\u2066d\ufeff\ud800\U000e0041"
META = {"title": "t", "generated": "2026-03-31T12:00:00Z"}


@given(st.text())
def test_no_character_is_hidden_and_visible_ones_stay(text):
    shown = reveal_hidden(text)
    assert [c for c in shown if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}] == []
    assert [
        c for c in shown if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI"}
    ] == []
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize("text", ["gpt-4o", "山の模型", "5 € → 3 %", "no\u00a0break", "👩\u200d💻 team"])
def test_what_people_write_stays_as_it_is(text):
    assert show_name(text) == text


def test_lines_stay_where_text_has_lines():
    assert reveal_hidden("one\n\ttwo\x00", keep_lines=True) == "one\n\ttwo\\x00"
    assert reveal_hidden("one\ntwo") == r"one\ntwo"


@given(st.text(max_size=300), st.integers(40, 100))
def test_a_shortened_text_keeps_its_beginning_and_its_end(text, limit):
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text or (text.startswith(short.split("…")[0]) and text.endswith(short[-20:]))


def test_a_megabyte_of_a_name_is_bounded_when_every_character_is_written_out():
    assert len(show_name("\x1b" * 1_000_000)) <= MAX_NAME_LENGTH


def test_every_text_of_a_panel_is_visible_and_bounded():
    long = f"{HIDDEN}{'y' * 100_000}"
    for panel in (
        build_grid(long, long, [long], [[Cell(long, long)]], [("rule", "s1", long)]),
        build_notice(long, [long]),
    ):
        for text in (panel.html, panel.text, panel.title):
            assert SHOWN in text
            assert len(text) < 8 * MAX_TEXT_LENGTH
    assert SHOWN in render_fragment("takeaway", sentence=HIDDEN)


def test_the_tooltip_of_a_bucket_is_visible_and_bounded():
    day = datetime(2026, 3, 31, tzinfo=UTC)
    rows = [{"start": day, "end": day + timedelta(days=1), "tip": f"{HIDDEN}{'y' * 100_000}", "n": 1}]
    (svg,) = draw_chart(Chart(rows, (Line("n"),), "day", sizes=((470, 262),)))
    assert SHOWN in svg
    assert len(svg) < 2 * MAX_TEXT_LENGTH


def test_the_page_shows_what_hides_in_its_own_texts():
    page = render_page([{"kind": "text", "title": HIDDEN, "text": f"{HIDDEN}\n{HIDDEN}"}],
                       META | dict.fromkeys(("title", "project", "run", "banner", "traceback"), HIDDEN))  # fmt: skip
    assert page.count(SHOWN) == 10
    assert HIDDEN not in page
    assert f"{SHOWN}\n{SHOWN}" in page
