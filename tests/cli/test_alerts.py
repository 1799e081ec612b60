"""Alerts on the command line, from a rule to a message at a real receiver, and no secret on the way."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest
import yaml

import hanzo_reports as hr
from hanzo_reports.alerts import money
from hanzo_reports.cli import main, outbox
from hanzo_reports.store import state

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """A store with 100 requests just before NOW, twenty of them bad, and none after."""
    rows = [
        {
            "event_id": f"e{n}", "timestamp": (NOW - timedelta(seconds=61 + n)).isoformat(), "service": "gateway",
            "project": "search", "model": "gpt-4o" if n < 25 else "small", "status": 500 if n < 20 else 200,
            "cost": "0.06",
        }
        for n in range(100)
    ]  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    workspace = hr.open(str(tmp_path / "warehouse"), now=NOW, create=True)
    workspace.ingest("events", [file])
    return tmp_path / "warehouse"


@pytest.fixture
def run(store, tmp_path, monkeypatch, capsys):
    """A function that runs the command, in this process since it is run so often, allowed to send to this machine."""

    def command(*arguments, code=0, now="2026-03-31T12:00:00+00:00", **settings):
        given = {"store": store, "now": now, "key_file": tmp_path / "secret.key", "allow_hosts": "localhost"} | settings
        with monkeypatch.context() as patched:
            for name, value in given.items():
                patched.setenv(f"HANZO_REPORTS_{name.upper()}", str(value))
            patched.setattr(sys, "argv", ["hanzo-reports", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        said = capsys.readouterr()
        done = SimpleNamespace(stdout=said.out, stderr=said.err)
        assert (ended.value.code or 0) == code, done
        return done

    return command


def at(**later):
    return (NOW + timedelta(**later)).isoformat()


def test_from_a_rule_to_its_message_and_back(run, receiver):
    added = run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "--by", "project",
                "--channel", f"oncall=webhook:{receiver.url}")  # fmt: skip
    assert "errors: error_rate > 5% over 5m, kept" in added.stderr
    assert "s3cr3t" not in added.stderr + added.stdout
    done = json.loads(run("check", "-f", "json", link="https://reports.example").stdout)
    assert done == [{"rules": 1, "queries": 1, "firing": 1, "messages": 1, "sent": 1, "retried": 0, "dead": 0}]
    text = receiver.got[0].json["data"]["text"]
    assert "How much: 20% over 5m, limit > 5%, 100 requests" in text
    assert "Most of it: model gpt-4o: 20 of 20 errors (100%)" in text
    assert "Look: https://reports.example" in text
    ask = text.partition("Ask: hanzo-reports ")[2].splitlines()[0].split()
    assert json.loads(run(*ask, "-f", "json").stdout)["data"][0]["error_rate"] == 0.2
    listed = json.loads(run("alerts", "list", "-f", "json").stdout)[0]
    assert (listed["firing"], listed["channels"], listed["limit"]) == (1, "oncall", "> 5%")
    shown = json.loads(run("alerts", "show", "errors", "-f", "json").stdout)[0]
    assert shown["groups"] == {'{"project":"search"}': "firing"}
    assert shown["channels"] == [f"oncall: webhook http://localhost:{receiver.port}/***"]
    assert "removed; 1 messages to send" in run("alerts", "remove", "errors", now=at(minutes=1)).stderr
    assert json.loads(run("deliver", "-f", "json", now=at(minutes=2)).stdout)[0]["sent"] == 1
    assert receiver.types == ["alert.firing", "alert.resolved"]


def test_the_outbox_is_shown_sent_again_and_emptied(run, receiver):
    receiver.answers = [400]
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    assert "oncall: HTTP 400" in run("check").stderr
    dead = json.loads(run("outbox", "list", "--state", "dead", "--channel", "oncall", "-f", "json").stdout)
    assert [row["last_status"] for row in dead] == [400]
    whole = json.loads(run("outbox", "show", dead[0]["message_id"][:10], "-f", "json").stdout)[0]
    assert json.loads(whole["body"])["type"] == "alert.firing"
    assert "400 HTTP 400" in run("outbox", "show", dead[0]["message_id"]).stdout
    assert "1 messages are due again" in run("outbox", "resend", "--dead", now=at(minutes=1)).stderr
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
    ("text", "said"),
    [
        ("rules: [{name: a, metric: error_rate, gt: 5}]", "a share between 0 and 1"),
        ("rules: [{name: a, metric: cost, gt: 5, treshold: 1}]", "unknown field 'treshold' in"),
        ("rules: [{name: a, metric: cost, gt: 5, channels: [nobody]}]", "unknown channel 'nobody'"),
        (
            "rules: [{name: a, metric: cost, gt: 5, channels: ['slack:https://hooks.slack.com/s3cr3t']}]",
            "slack:${NAME}",
        ),
        ("rules: [{name: a, metric: cost, gt: 5, channels: ['slack:${NOT_SET}']}]", "NOT_SET of the environment"),
        ("rules: [{name: a, metric: cost, gt: 5}, {name: a, metric: cost, gt: 6}]", "there is a rule 'a' already"),
        ("rules: [{name: a, metric: cost, gt: 5, burn_rate: fast}]", "a number above 0, not 'fast'"),
        ("rules: [{name: a, metric: cost, gt: 5, where: [project]}]", "where holds names with values"),
        ("rules: [{name: a, metric: cost, gt: 5, no_data: [keep]}]", "unknown no_data"),
        ("rules: [{name: a, metric: cost, gt: 5, enabled: 'false'}]", "enabled is true or false"),
        ("- 5", "should hold a list `rules:`"),
        ("rules: [", "cannot be read as YAML"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(run, tmp_path, text, said):
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    done = run("alerts", "import", file, code=1 if "YAML" in said or "rules:`" in said else 2)
    assert said in done.stderr
    assert "s3cr3t" not in done.stderr
    assert json.loads(run("alerts", "list", "-f", "json").stdout) == []


def test_a_channel_may_come_from_the_environment(run, receiver, monkeypatch):
    monkeypatch.setenv("ONCALL", receiver.url)
    assert "channel oncall: slack http://localhost" in run("alerts", "channels", "add", "oncall=slack:${ONCALL}").stderr
    assert "s3cr3t" not in run("alerts", "channels", "list").stdout


def test_a_webhooks_secret_is_shown_to_who_asks_for_it_and_changed_in_two_steps(run, receiver):
    run("alerts", "channels", "add", f"oncall=webhook:{receiver.url}")
    old = run("alerts", "channels", "secret", "oncall").stdout.strip()
    assert old.startswith("whsec_")
    new = run("alerts", "channels", "rotate", "oncall").stdout.strip()
    assert run("alerts", "channels", "secret", "oncall").stdout.split() == [old, new]
    run("alerts", "channels", "rotate", "oncall", "--finish")
    assert run("alerts", "channels", "secret", "oncall").stdout.split() == [new]


def test_budgets_are_told_to_who_subscribed(run, receiver):
    run("alerts", "subscribe", "budgets", "-c", f"oncall=webhook:{receiver.url}")
    assert json.loads(run("alerts", "subscriptions", "-f", "json").stdout) == [
        {"topic": "budgets", "channel": "oncall"}
    ]
    run("budgets", "set", "search", "--monthly", "10")
    done = [json.loads(run("check", "-f", "json", now=at(minutes=n)).stdout)[0] for n in (1, 2)]
    assert [one["messages"] for one in done] == [1, 0]
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
    ("arguments", "said"),
    [
        (["alerts", "add", "a", "-m", "latencyp99", "--gt", "1"], "did you mean 'latency_p99'"),
        (["alerts", "add", "a", "-m", "cost", "--gt", "1%"], "unit of cost, which is USD"),
        (["alerts", "add", "a", "-m", "cost"], "one of gt, gte, lt, lte"),
        (
            ["alerts", "add", "a", "-m", "cost", "--gt", "1", "-c", "webhook:https://169.254.169.254/x"],
            "no public address",
        ),
        (["alerts", "add", "a", "-m", "cost", "--gt", "1", "-c", "webhok"], "unknown channel 'webhok'"),
        (["alerts", "show", "nothing"], "unknown rule 'nothing'"),
        (["alerts", "silence", "nothing"], "unknown rule 'nothing'"),
        (["alerts", "silence", "--until", "2020-01-01"], "not after its start"),
        (["alerts", "unsilence", "x"], "unknown silence 'x'"),
        (["alerts", "channels", "enable", "x"], "unknown channel 'x'"),
        (["outbox", "list", "--state", "sentt"], "did you mean 'sent'"),
        (["outbox", "resend"], "--dead for all"),
        (["outbox", "show", "msg_1"], "no message begins with"),
        (["check", "--watch", "60s"], "without --now"),
        (["check", "--watch", "often"], "no length of time"),
    ],
)
def test_a_mistake_says_what_to_do_and_changes_nothing(run, arguments, said):
    done = run(*arguments, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(run("alerts", "list", "-f", "json").stdout) == []


def test_a_check_that_cannot_see_says_so_and_fails(run, store, receiver):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    run("alerts", "subscribe", "budgets", "-c", "oncall")
    run("budgets", "set", "search", "--monthly", "1000")
    run("check")
    for file in (store / "events").rglob("*.parquet"):
        file.write_bytes(b"broken")
    done = run("check", "-f", "json", now=at(minutes=1), code=1)
    assert "2 kinds of failure, alerts stay as they were" in done.stderr
    assert "budgets: " in done.stderr
    assert json.loads(done.stdout)[0]["firing"] == 1
    run("check", now=at(minutes=17), code=1)
    assert json.loads(run("alerts", "list", "-f", "json").stdout)[0]["firing"] == 1  # firing, and cannot be seen
    assert sorted(receiver.types) == ["alert.error", "alert.error", "alert.firing"]


def test_a_budget_that_cannot_be_looked_at_keeps_no_message_from_being_sent(run, receiver, monkeypatch):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")

    run("budgets", "set", "search", "--monthly", "10")

    def broken(*_):
        msg = "no memory"
        raise duckdb.OutOfMemoryException(msg)

    monkeypatch.setattr(money, "crossings", broken)
    done = run("check", "-f", "json", code=1)
    assert "budgets: OutOfMemoryException: no memory" in done.stderr
    assert (json.loads(done.stdout)[0]["sent"], receiver.types) == (1, ["alert.firing"])


def test_a_clock_that_is_behind_the_last_check_is_an_error_and_one_ahead_is_refused(run):
    run("check", now=at(minutes=10))
    done = run("check", now=at(minutes=1), code=1)
    assert "the last check was at 2026-03-31T12:10:00+00:00, 9m after this clock's now" in done.stderr
    assert "was there already" in run("check", now=at(minutes=10)).stderr
    assert run("check", "--reset-clock", now=at(minutes=1)).stderr == ""
    assert run("check", now=at(minutes=2)).stderr == ""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert "lies ahead of the clock" in run("check", now=tomorrow, code=2).stderr


@pytest.fixture
def locked(run, store, monkeypatch):
    """The state, held by somebody else who writes; he lets go of it when told to."""
    run("alerts", "list")
    monkeypatch.setattr(state, "BUSY_MS", 50)
    with sqlite3.connect(store / "state.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield holder
        if holder.in_transaction:
            holder.rollback()


def test_a_locked_state_is_an_error_in_one_line(run, locked):
    for command in (["check"], ["alerts", "add", "a", "-m", "cost", "--gt", "1"]):
        done = run(*command, code=1)
        assert "state.db cannot be read or written: database is locked\n" in done.stderr
        assert "Traceback" not in done.stderr
    locked.rollback()
    run("check")


def test_watching_goes_on_when_the_state_is_free_again(run, locked, monkeypatch):
    slept = []

    def sleep(_):
        slept.append(1)
        if len(slept) == 3:
            raise SystemExit(0)
        if locked.in_transaction:
            locked.rollback()

    monkeypatch.setattr(outbox, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 0.0))
    done = run("check", "--watch", "60s", "-f", "json", now="")
    assert done.stderr.count("database is locked") == 1
    assert [turn.get("rules") for turn in map(itemgetter(0), json_documents(done.stdout))] == [None, 0, 0]


def json_documents(text):
    """Each of the JSON documents that a text holds one after the other."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        found, place = decoder.raw_decode(text, place)
        yield found
        place += 1


def test_a_rule_with_for_fires_in_the_second_bad_night(run, store, tmp_path, receiver, monkeypatch):
    spec = spec_from_file_location("nightly", Path(__file__).parents[2] / "pipelines" / "nightly.py")
    nightly = module_from_spec(spec)
    spec.loader.exec_module(nightly)
    real = subprocess.run
    monkeypatch.setattr(
        nightly.subprocess, "run",
        lambda command, **more: real(command, **more) if "check" in command else SimpleNamespace(returncode=0),
    )  # fmt: skip
    add = ["alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "--window", "3d", "--for", "5m"]
    run(*add, "-c", f"oncall=webhook:{receiver.url}")
    settings = {"STORE": store, "KEY_FILE": tmp_path / "secret.key", "ALLOW_HOSTS": "localhost"}
    for name, value in settings.items():
        monkeypatch.setenv(f"HANZO_REPORTS_{name}", str(value))
    for night in range(2):
        monkeypatch.setenv("HANZO_REPORTS_NOW", at(days=night))
        assert nightly.main("events", "logs") == 0
    assert receiver.types == ["alert.firing"]


def test_a_test_that_arrives_nowhere_fails(run, receiver):
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%")
    assert "has no channel" in run("alerts", "test", "errors", code=2).stderr
    receiver.answers = [400, 400]
    run("alerts", "add", "more", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    done = run("alerts", "test", "more", code=1)
    assert "not everything has arrived at oncall" in done.stderr
    assert "HTTP 400" in done.stdout


def test_resending_says_what_it_leaves_as_it_is(run, receiver):
    receiver.answers = [410]
    run("alerts", "add", "errors", "-m", "error_rate", "--gt", "5%", "-c", f"oncall=webhook:{receiver.url}")
    run("check")
    dead = json.loads(run("outbox", "list", "--state", "dead", "-f", "json").stdout)[0]["message_id"]
    said = run("outbox", "resend", dead, code=2).stderr
    assert "the channel oncall is disabled; first: hanzo-reports alerts channels enable oncall" in said
    assert "0 messages are due again" in run("outbox", "resend", "--dead").stderr
    run("alerts", "channels", "enable", "oncall")
    assert "1 messages are due again" in run("outbox", "resend", dead).stderr


def test_watching_goes_on_until_it_is_stopped(store, tmp_path, receiver):
    settings = {"STORE": store, "KEY_FILE": tmp_path / "key", "ALLOW_HOSTS": "localhost"}
    environment = os.environ | {f"HANZO_REPORTS_{name}": str(value) for name, value in settings.items()}
    command = Path(sys.executable).with_name("hanzo-reports")
    add = ["alerts", "add", "quiet", "-m", "requests", "--lt", "1", "-c", f"webhook:{receiver.url}"]
    subprocess.run([command, *add], check=True, env=environment, capture_output=True)
    with subprocess.Popen(
        [command, "check", "--watch", "1s", "-f", "csv"], env=environment, stdout=subprocess.PIPE, text=True
    ) as watching:
        lines = [watching.stdout.readline().strip() for _ in range(6)]
        watching.terminate()
    assert lines[0] == "rules,queries,firing,messages,sent,retried,dead"
    assert lines[1::2] == ["1,1,1,1,1,0,0", "1,1,1,0,0,0,0", "1,1,1,0,0,0,0"]
    with sqlite3.connect(store / "state.db") as state:
        assert state.execute("SELECT version FROM alert_pass").fetchone()[0] >= 4
