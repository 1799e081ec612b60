"""Text of logs and errors in notices: visible, on one line, of a limited length, and exact in commands and data."""

from __future__ import annotations

import json
import subprocess
import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanzo_reports.alerts.alert_state import AlertState, HealthMessage, HealthState, Message, MessageKind, Phase
from hanzo_reports.alerts.commands import MAX_COMMAND_LENGTH, quote_shell
from hanzo_reports.alerts.contributors import Contributor
from hanzo_reports.alerts.message_text import MAX_NAME_LENGTH, clean_text
from hanzo_reports.alerts.messages import MessageContext, build_health_notice, build_notice
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.query import MAX_ERROR_LENGTH, summarize_error
from hanzo_reports.alerts.spend_notices import _build_anomaly_notice, _build_budget_notice
from hanzo_reports.alerts.state_store import group_key
from hanzo_reports.budgets.budget import Budget
from hanzo_reports.budgets.crossings import Crossing
from hanzo_reports.delivery.channels import render_body
from hanzo_reports.delivery.notice import render_markdown, render_plain
from hanzo_reports.forecast.anomalies import Anomaly

NOW = datetime(2026, 3, 1, 2, 12, tzinfo=UTC)
CONTEXT = MessageContext("Europe/Berlin", "https://reports.example")
STATE = AlertState(
    Phase.FIRING, HealthState(since=NOW), episode=1, phase_since=NOW, breach_since=NOW, notified_at=NOW,
    last_value=0.0421, worst_value=0.061,
)  # fmt: skip
HOSTILE = [
    "\n",
    "\r\n",
    "\x1b]52;c;AAAA\x07",
    "\x00",
    "\u202e",
    "\u2066",
    "\u2028",
    "\x85",
    "\u200b",
    "\t",
    "\U000e0001",
]
TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from("\n\r\x1b\u202e$'`\\\";|")), max_size=40
)
NAMES = st.one_of(
    TEXTS, st.sampled_from(HOSTILE).map(lambda text: f"a{text}RESOLVED everything"), TEXTS.map("x".ljust(900).__add__)
)


def build_all(text):
    """A notice of each kind, with a text of logs wherever one can be."""
    rule = parse_rule(
        {"name": "errors", "metric": "error_rate", "gt": "1%", "by": ["project"], "where": {"model": [text, "b"]},
         "runbook": text}
    )  # fmt: skip
    group = group_key({"project": text})
    contributor = Contributor("endpoint", text, 48, 52, "errors")
    error = summarize_error(RuntimeError(text))
    reasons = {MessageKind.RESOLVED: "recovered", MessageKind.ERROR: error}
    for kind in MessageKind:
        message = Message(kind, 1, 1, NOW, STATE, reasons.get(kind, ""))
        yield build_notice("r1", rule, group, message, CONTEXT, samples=7, contributor=contributor)
    yield build_health_notice("r1", "errors", HealthMessage(MessageKind.ERROR, 1, NOW, NOW, error), CONTEXT)
    budget = replace(Budget("search", Decimal(100)), project=text)
    for threshold in (None, Decimal("0.9"), Decimal(1)):
        yield _build_budget_notice(
            Crossing(budget, date(2026, 3, 1), threshold, Decimal(95), NOW, notify=True, forecast=Decimal(120)), CONTEXT
        )
    anomaly = Anomaly((text,), date(2026, 2, 28), Decimal(80), Decimal(20), 5.0, f"model {text}: +$60.00")
    yield _build_anomaly_notice(anomaly, NOW, CONTEXT)


def find_unsafe(text):
    """The characters of a text, except its line breaks, that a reader cannot see or that change what is around them."""
    return {character for character in text if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}} - {"\n"}


def count_lines(notice):
    """The number of lines of each of the notice's texts."""
    return [text.count("\n") for text in (notice.title, render_plain(notice), render_markdown(notice))]


@settings(max_examples=50, deadline=None)
@given(NAMES.filter(str.strip))
def test_no_notice_has_raw_control_or_bidirectional_characters_or_lines_made_of_log_text(text):
    for notice, harmless in zip(build_all(text), build_all("search"), strict=True):
        assert not any("\n" in line for line in (notice.title, *(fact for _, fact in notice.facts)))
        assert find_unsafe(notice.title + render_plain(notice) + render_markdown(notice)) == set()
        assert [label for label, _ in notice.facts] == [label for label, _ in harmless.facts]
        assert count_lines(notice) == count_lines(harmless)


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "apprise"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_channel_gets_raw_control_or_bidirectional_characters(kind, text):
    for notice in build_all(f"a{text}b"):
        assert find_unsafe(render_body(kind, notice).decode()) == set()


@given(st.text(max_size=3_000), st.integers(1, 400))
def test_clean_text_is_one_visible_line_of_a_limited_length(text, max_length):
    cleaned = clean_text(text, max_length)
    assert cleaned.isprintable()
    assert len(cleaned) <= max_length


def test_a_megabyte_of_name_makes_a_short_notice_and_no_broken_command():
    for notice in build_all("\x1b" * 1_000_000):
        assert len(notice.title) <= 3 * MAX_NAME_LENGTH
        assert all(len(fact) <= max(MAX_COMMAND_LENGTH + MAX_NAME_LENGTH, 2_000) for _, fact in notice.facts)
        queries = [fact for label, fact in notice.facts if label == "Query"]
        assert all(query.startswith("not shown: ") for query in queries)


def test_machines_get_the_exact_names():
    notice = next(iter(build_all("a\nb")))
    assert json.loads(render_body("webhook", notice))["data"]["group"] == {"project": "a\nb"}


@settings(max_examples=25, deadline=None)
@given(st.lists(TEXTS.map(lambda text: text.replace("\0", "")), min_size=1, max_size=20))
def test_a_shell_reads_back_every_quoted_word(words):
    quoted = " ".join(map(quote_shell, words))
    assert find_unsafe(quoted) == set()
    assert "\n" not in quoted
    script = f"printf '%s\\0' {quoted}"
    read_back = subprocess.run(["bash", "-c", script], check=True, capture_output=True).stdout
    assert read_back.decode().split("\0")[:-1] == words


def test_errors_are_one_short_line_without_passwords():
    error = OSError("postgresql://me:hunter2@db is \x1b[2Jgone\nsecond line")
    assert summarize_error(error) == "OSError: postgresql://***@db is \\x1b[2Jgone"
    assert len(summarize_error(OSError("x" * 10_000))) == MAX_ERROR_LENGTH


def test_the_window_of_a_command_is_that_of_the_notice():
    rule = parse_rule({"name": "a", "metric": "requests", "lt": 1, "window": "5m"})
    at = NOW + timedelta(milliseconds=250)
    notice = build_notice("r1", rule, "{}", Message(MessageKind.FIRING, 1, 0, at, STATE), CONTEXT)
    assert "-r 2026-03-01T02:06:00.250000Z..2026-03-01T02:11:00.250000Z " in dict(notice.facts)["Query"]
