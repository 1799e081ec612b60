"""The text of every notice, word for word."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from hanzo_reports.alerts.alert_state import AlertState, HealthState, Message, MessageKind, Phase
from hanzo_reports.alerts.contributors import Contributor
from hanzo_reports.alerts.messages import MessageContext, build_notice, build_test_notice
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.delivery.channels import render_body
from hanzo_reports.delivery.notice import render_markdown, render_plain

DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"
BEGAN = datetime(2026, 3, 1, 2, 7, tzinfo=UTC)
FIRED = BEGAN + timedelta(minutes=5)
RULE = parse_rule(
    {
        "name": "search-errors", "metric": "error_rate", "gt": "1%", "window": "5m", "for": "5m", "clear": "0.5%",
        "keep_firing_for": "10m", "by": ["project"], "where": {"environment": ["production"]}, "severity": "critical",
        "runbook": "https://wiki.example/errors",
    }
)  # fmt: skip
GROUP = '{"project":"search"}'
CONTEXT = MessageContext("Europe/Berlin", "https://reports.example/latest")
STATE = AlertState(
    Phase.FIRING,
    episode=1,
    phase_since=FIRED,
    breach_since=BEGAN,
    notified_at=FIRED,
    last_value=0.0421,
    worst_value=0.061,
)
CONTRIBUTOR = Contributor("model", "gpt-4o", 48, 52, "errors")


def build(kind, state=STATE, at=FIRED, reason="", number=0, **more):
    return build_notice("r1", RULE, GROUP, Message(kind, 1, number, at, state, reason), CONTEXT, **more)


def render(notice):
    return f"{notice.title}\n{render_plain(notice)}"


def test_firing():
    assert (
        render(build(MessageKind.FIRING, samples=1240, contributor=CONTRIBUTOR))
        == """\
FIRING search-errors: error rate 4.21% > 1% · project=search
Metric: Error rate (status >= 400 / requests) for project=search, environment=production
Value: 4.21% over 5m, threshold > 1%, 1,240 requests
Since: Sun 1 March 03:07 (UTC+01:00), 5m ago
Top contributor: model gpt-4o: 48 of 52 errors (92%)
Runbook: https://wiki.example/errors
Resolves: when it is at most 0.5% for 10m
Query: hanzo-reports usage -r 2026-03-01T02:06:00Z..2026-03-01T02:11:00Z -m error_rate,requests \
-w environment=production -w project=search
Look: https://reports.example/latest"""
    )


def test_the_message_in_the_documentation_is_the_real_one():
    rule = replace(RULE, clear_threshold=None)
    message = Message(MessageKind.FIRING, 1, 0, FIRED, STATE)
    notice = build_notice("r1", rule, GROUP, message, CONTEXT, samples=1240, contributor=CONTRIBUTOR)
    assert f"```\n{render(notice)}\n```" in DOCS.read_text(encoding="utf-8")


def test_reminder():
    later = build(MessageKind.REMINDER, at=FIRED + timedelta(hours=4), number=1, samples=900)
    assert (later.kind, later.title) == (
        "reminder:1",
        "STILL FIRING search-errors: error rate 4.21% > 1% · project=search",
    )
    assert "Since: Sun 1 March 03:07 (UTC+01:00), 4h5m ago\nWorst value: 6.1%\n" in render_plain(later)


def test_resolved():
    state = replace(STATE, last_value=0.004)
    assert (
        render(build(MessageKind.RESOLVED, state, BEGAN + timedelta(minutes=47), "recovered"))
        == """\
RESOLVED search-errors: error rate 0.4% (threshold > 1%), after 47m · project=search
Metric: Error rate (status >= 400 / requests) for project=search, environment=production
Reason: the value has recovered
Breach: from Sun 1 March 03:07 (UTC+01:00) to Sun 1 March 03:54 (UTC+01:00); worst value 6.1%
Look: https://reports.example/latest"""
    )
    assert build(MessageKind.RESOLVED, reason="rule_changed").title == (
        "RESOLVED search-errors: the rule was changed, so its state starts over · project=search"
    )


def test_health():
    state = replace(STATE, health=HealthState(since=BEGAN))
    assert (
        render(build(MessageKind.NO_DATA, state, number=1))
        == """\
CANNOT EVALUATE search-errors: no data · project=search
Reason: no requests, or fewer than the rule needs
Since: Sun 1 March 03:07 (UTC+01:00)
Effect: alerts that fire keep firing, and no new alert fires
Resolves: when there is data again
Look: https://reports.example/latest"""
    )
    failed = build(MessageKind.ERROR, state, number=2, reason="StoreError: the lake is gone")
    assert failed.title == "CANNOT EVALUATE search-errors: StoreError: the lake is gone · project=search"
    assert build(MessageKind.BACK, number=2).title == "BACK search-errors: it can be evaluated again · project=search"


def test_burn_rates_and_money():
    burn = replace(RULE, burn_rate=Decimal("14.4"), short_window=timedelta(minutes=2), by=(), where=(), runbook="")
    text = render_plain(
        build_notice("r1", burn, "{}", Message(MessageKind.FIRING, 1, 0, FIRED, STATE), MessageContext())
    )
    assert (
        text
        == """\
Metric: Error rate (status >= 400 / requests); the error budget is used 14.4 times too fast at the threshold
Value: 4.21% over 5m and 2m, threshold > 1%
Since: Sun 1 March 02:07 (UTC), 5m ago
Resolves: when it is at most 0.5% for 10m
Query: hanzo-reports usage -r 2026-03-01T02:06:00Z..2026-03-01T02:11:00Z -m error_rate,requests"""
    )
    spend = parse_rule({"name": "spend", "metric": "cost", "gte": "$50", "window": "1d"})
    state = replace(STATE, last_value=Decimal("61.25"), worst_value=Decimal("61.25"))
    contributor = Contributor("project", None, Decimal(40), Decimal("61.25"), "cost")
    notice = build_notice(
        "r1", spend, "{}", Message(MessageKind.FIRING, 1, 0, FIRED, state), MessageContext(), contributor=contributor
    )
    assert notice.title == "FIRING spend: cost $61.25 >= $50.00"
    assert "Top contributor: project unknown: $40.00 of $61.25 cost (65%)\n" in render_plain(notice)
    assert "Resolves: when it is below $50.00\n" in render_plain(notice)
    assert (notice.data["value"], notice.data["threshold"]) == ("61.25", "50")


def test_markdown():
    assert (
        render_markdown(build(MessageKind.RESOLVED, reason="recovered"))
        == r"""**RESOLVED search-errors: error rate 4.21% (threshold \> 1%), after 5m · project=search**

- **Metric:** Error rate (status \>= 400 / requests) for project=search, environment=production
- **Reason:** the value has recovered
- **Breach:** from Sun 1 March 03:07 (UTC+01:00) to Sun 1 March 03:12 (UTC+01:00); worst value 6.1%
- **Look:** <https://reports.example/latest>"""
    )


def test_slack():
    sent = json.loads(render_body("slack", build(MessageKind.FIRING)))
    assert sent["text"] == "FIRING search-errors: error rate 4.21% &gt; 1% · project=search"
    assert [block["type"] for block in sent["blocks"]] == ["header", "section", "context"]
    assert sent["blocks"][0]["text"]["text"].startswith(":red_circle: FIRING")
    assert "*Value:* 4.21% over 5m, threshold &gt; 1%\n" in sent["blocks"][1]["text"]["text"]
    assert sent["blocks"][2]["elements"][0]["text"] == "<https://reports.example/latest|Open the report>"


def test_slack_and_pagerduty_take_no_more_than_they_can():
    long = replace(build(MessageKind.FIRING), title="x" * 2000, facts=(("What", "y" * 9000),))
    blocks = json.loads(render_body("slack", long))["blocks"]
    assert [len(blocks[0]["text"]["text"]), len(blocks[1]["text"]["text"])] == [150, 3000]
    assert len(json.loads(render_body("pagerduty", long))["payload"]["summary"]) == 1024


def test_a_group_that_is_named_like_a_command_calls_nobody():
    notice = build_notice(
        "r1", RULE, '{"project":"<!channel> *x*"}', Message(MessageKind.FIRING, 1, 0, FIRED, STATE), CONTEXT
    )
    sent = json.loads(render_body("slack", notice))
    assert "<!channel>" not in sent["text"] + sent["blocks"][1]["text"]["text"]
    assert sent["blocks"][0]["text"]["type"] == "plain_text"
    assert r"\<!channel\>" in render_markdown(notice)
    assert "-w 'project=<!channel> *x*'" in render_plain(notice)


def test_pagerduty_opens_and_closes_one_incident():
    opened = json.loads(render_body("pagerduty", build(MessageKind.FIRING)))
    again = json.loads(render_body("pagerduty", build(MessageKind.REMINDER, number=1)))
    closed = json.loads(render_body("pagerduty", build(MessageKind.RESOLVED, reason="recovered")))
    assert [one["event_action"] for one in (opened, again, closed)] == ["trigger", "trigger", "resolve"]
    assert len({one["dedup_key"] for one in (opened, again, closed)}) == 1
    assert opened["dedup_key"].startswith("hanzo:r1:")
    assert opened["payload"]["severity"] == "critical"
    assert opened["payload"]["custom_details"]["Runbook"] == "https://wiki.example/errors"
    assert (
        json.loads(render_body("pagerduty", build(MessageKind.NO_DATA, number=1)))["dedup_key"] != opened["dedup_key"]
    )


def test_a_test_says_that_it_is_one():
    assert build_test_notice("r1", RULE, FIRED, over=False).title == "TEST search-errors: this is a test"
