"""Alerts on the command line, from a rule to a message at a real receiver, and no secret on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


def at(**later):
    return (NOW + timedelta(**later)).isoformat()


def test_from_a_rule_to_its_message_and_back(run, receiver):
    added = run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "--by", "project",
                "--channel", f"oncall=webhook:{receiver.url}")  # fmt: skip
    assert "errors: error_rate > 5% over 5m, kept" in added.stderr
    assert "s3cr3t" not in added.stderr + added.stdout
    result = json.loads(run("check", "-f", "json", link="https://reports.example").stdout)
    assert result == [{"rules": 1, "queries": 1, "firing": 1, "messages": 1, "sent": 1, "retried": 0, "dead": 0}]
    text = receiver.got[0].json["data"]["text"]
    assert "Value: 20% over 5m, threshold > 5%, 100 requests" in text
    assert "Top contributor: model gpt-4o: 20 of 20 errors (100%)" in text
    assert "Look: https://reports.example" in text
    ask = text.partition("Query: hanzo-reports ")[2].splitlines()[0].split()
    assert json.loads(run(*ask, "-f", "json").stdout)["data"][0]["error_rate"] == 0.2
    listed = json.loads(run("alerts", "list", "-f", "json").stdout)[0]
    assert (listed["firing"], listed["channels"], listed["limit"]) == (1, "oncall", "> 5%")
    shown = json.loads(run("alerts", "show", "errors", "-f", "json").stdout)[0]
    assert shown["groups"] == {'{"project":"search"}': "firing"}
    assert shown["channels"] == [f"oncall: webhook http://localhost:{receiver.port}/***"]
    assert "removed; 1 messages to send" in run("alerts", "remove", "errors", now=at(minutes=1)).stderr
    assert json.loads(run("deliver", "-f", "json", now=at(minutes=2)).stdout)[0]["sent"] == 1
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_outbox_messages_are_shown_resent_and_purged(run, receiver):
    receiver.answers = [400]
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    assert "oncall: HTTP 400" in run("check").stderr
    dead = json.loads(run("outbox", "list", "--state", "dead", "--channel", "oncall", "-f", "json").stdout)
    assert [row["last_status"] for row in dead] == [400]
    whole = json.loads(run("outbox", "show", dead[0]["message_id"][:10], "-f", "json").stdout)[0]
    assert json.loads(whole["body"])["type"] == "alert.firing"
    assert "400 HTTP 400" in run("outbox", "show", dead[0]["message_id"]).stdout
    assert "1 messages are queued again" in run("outbox", "resend", "--dead", now=at(minutes=1)).stderr
    run("deliver", now=at(minutes=1))
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 2
    assert "1 messages removed" in run("outbox", "purge", "--older-than", "1d", now=at(days=3)).stderr
    assert run("outbox", "list", "-f", "csv").stdout.splitlines()[1:] == []


def test_a_test_message_is_marked_and_leaves_no_incident_open(run, receiver):
    key = "k" * 32
    run(
        "alerts",
        "add",
        "errors",
        "-m",
        "error_rate",
        "--gt",
        "5%",
        "-c",
        f"pd=pagerduty:{key}@http://localhost:{receiver.port}",
    )
    sent = run("alerts", "test", "errors").stdout
    assert sent.count("sent") == 2
    first, second = (got.json for got in receiver.got)
    assert first["payload"]["summary"] == "TEST errors: this is a test"
    assert (first["routing_key"], second["event_action"]) == (key, "resolve")
    assert first["dedup_key"] == second["dedup_key"]


def test_rules_go_to_git_and_come_back(run, tmp_path, receiver):
    run("alerts", "add", "api", "-m", "availability", "--slo", "99.9%", "--by", "project")
    run("alerts", "init-defaults", "-c", f"oncall=webhook:{receiver.url}")
    run("alerts", "disable", "api-slow")
    before = run("alerts", "export").stdout
    assert "s3cr3t" not in before
    assert len(yaml.safe_load(before)["rules"]) == 8
    file = tmp_path / "rules.yaml"
    file.write_text(before.replace("gt: '0.01'", "gt: 2%") + "- {name: new, metric: cost, gt: 5}\n")
    assert "9 rules, 2 new or changed, 0 removed" in run("alerts", "import", file).stderr
    file.write_text(before)
    assert "8 rules, 1 new or changed, 1 removed" in run("alerts", "import", file, "--prune").stderr
    assert run("alerts", "export").stdout == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{name: a, metric: error_rate, gt: 5}]", "a share, at least 0 and at most 1"),
        ("rules: [{name: a, metric: cost, gt: 5, treshold: 1}]", "unknown field 'treshold' in"),
        ("rules: [{name: a, metric: cost, gt: 5, channels: [nobody]}]", "unknown channel 'nobody'"),
        (
            "rules: [{name: a, metric: cost, gt: 5, channels: ['slack:https://hooks.slack.com/s3cr3t']}]",
            "slack:${NAME}",
        ),
        (
            "rules: [{name: a, metric: cost, gt: 5, channels: ['slack:${NOT_SET}']}]",
            "the environment variable NOT_SET is not set",
        ),
        ("rules: [{name: a, metric: cost, gt: 5}, {name: a, metric: cost, gt: 6}]", "a rule 'a' already exists"),
        ("rules: [{name: a, metric: cost, gt: 5, burn_rate: fast}]", "a number above 0, not 'fast'"),
        ("rules: [{name: a, metric: cost, gt: 5, where: [project]}]", "where must map dimensions to values"),
        ("rules: [{name: a, metric: cost, gt: 5, no_data: [keep]}]", "unknown no_data"),
        ("rules: [{name: a, metric: cost, gt: 5, enabled: 'false'}]", "enabled must be true or false"),
        ("- 5", "should hold a list `rules:`"),
        ("rules: [", "cannot be read as YAML"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(run, tmp_path, text, message):
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    result = run("alerts", "import", file, code=1 if "YAML" in message or "rules:`" in message else 2)
    assert message in result.stderr
    assert "s3cr3t" not in result.stderr
    assert json.loads(run("alerts", "list", "-f", "json").stdout) == []


def test_a_channel_may_come_from_the_environment(run, receiver, monkeypatch):
    monkeypatch.setenv("ONCALL", receiver.url)
    assert "channel oncall: slack http://localhost" in run("alerts", "channels", "add", "oncall=slack:${ONCALL}").stderr
    assert "s3cr3t" not in run("alerts", "channels", "list").stdout


def test_a_webhook_secret_is_printed_on_request_and_rotated_in_two_steps(run, receiver):
    run("alerts", "channels", "add", f"oncall=webhook:{receiver.url}")
    old = run("alerts", "channels", "secret", "oncall").stdout.strip()
    assert old.startswith("whsec_")
    new = run("alerts", "channels", "rotate", "oncall").stdout.strip()
    assert run("alerts", "channels", "secret", "oncall").stdout.split() == [old, new]
    run("alerts", "channels", "rotate", "oncall", "--finish")
    assert run("alerts", "channels", "secret", "oncall").stdout.split() == [new]


def test_subscribed_channels_are_notified_of_budgets(run, receiver):
    run("alerts", "subscribe", "budgets", "-c", f"oncall=webhook:{receiver.url}")
    assert json.loads(run("alerts", "subscriptions", "-f", "json").stdout) == [
        {"topic": "budgets", "channel": "oncall"}
    ]
    run("budgets", "set", "search", "--monthly", "10")
    result = [json.loads(run("check", "-f", "json", now=at(minutes=n)).stdout)[0] for n in (1, 2)]
    assert [one["messages"] for one in result] == [1, 0]
    assert receiver.got[0].json["data"]["title"] == "BUDGET search: 50% of $10.00 is spent in March 2026"
    assert "did you mean 'budgets'" in run("alerts", "subscribe", "budget", code=2).stderr


def test_a_silence_and_its_end(run, receiver):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    silence = run("alerts", "silence", "errors", "--for", "1h", "--reason", "deploy").stdout.strip()
    assert json.loads(run("alerts", "silences", "-f", "json").stdout)[0]["reason"] == "deploy"
    run("check")
    assert receiver.got == []
    run("alerts", "unsilence", silence, now=at(minutes=1))
    run("check", "--interval", "10m", now=at(minutes=1))
    assert receiver.types == ["alert.firing"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alerts", "add", "a", "-m", "latencyp99", "--gt", "1"], "did you mean 'latency_p99'"),
        (["alerts", "add", "a", "-m", "cost", "--gt", "1%"], "threshold of cost must be in the unit USD"),
        (["alerts", "add", "a", "-m", "cost"], "one of gt, gte, lt, lte"),
        (
            ["alerts", "add", "a", "-m", "cost", "--gt", "1", "-c", "webhook:https://169.254.169.254/x"],
            "not a public address",
        ),
        (["alerts", "add", "a", "-m", "cost", "--gt", "1", "-c", "webhok"], "unknown channel 'webhok'"),
        (["alerts", "show", "nothing"], "unknown rule 'nothing'"),
        (["alerts", "silence", "nothing"], "unknown rule 'nothing'"),
        (["alerts", "silence", "--until", "2020-01-01"], "not after its start"),
        (["alerts", "unsilence", "x"], "unknown silence 'x'"),
        (["alerts", "channels", "enable", "x"], "unknown channel 'x'"),
        (["outbox", "list", "--state", "sentt"], "did you mean 'sent'"),
        (["outbox", "resend"], "--dead for all"),
        (["outbox", "show", "msg_1"], "no message has an id that begins with"),
        (["check", "--watch", "60s"], "without --now"),
        (["check", "--watch", "often"], "is not a duration"),
    ],
)
def test_a_mistake_says_what_to_do_and_changes_nothing(run, arguments, message):
    result = run(*arguments, code=2)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(run("alerts", "list", "-f", "json").stdout) == []


def test_a_test_message_that_does_not_arrive_is_an_error(run, receiver):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%")
    assert "has no channel" in run("alerts", "test", "errors", code=2).stderr
    receiver.answers = [400, 400]
    run("alerts", "add", "more", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    result = run("alerts", "test", "more", code=1)
    assert "a test message did not arrive at oncall" in result.stderr
    assert "HTTP 400" in result.stdout


def test_resend_reports_the_messages_that_it_does_not_send(run, receiver):
    receiver.answers = [410]
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    run("check")
    dead = json.loads(run("outbox", "list", "--state", "dead", "-f", "json").stdout)[0]["message_id"]
    message = run("outbox", "resend", dead, code=2).stderr
    assert "the channel oncall is disabled; first: hanzo-reports alerts channels enable oncall" in message
    assert "0 messages are queued again" in run("outbox", "resend", "--dead").stderr
    run("alerts", "channels", "enable", "oncall")
    assert "1 messages are queued again" in run("outbox", "resend", dead).stderr
