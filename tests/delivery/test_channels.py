"""Channels for people against a real server: what they send, what they make of the answer, what they refuse."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest
import sqlalchemy
from pydantic import SecretStr

from hanzo_reports.delivery import channels
from hanzo_reports.delivery.admin import list_messages
from hanzo_reports.delivery.channels import channel_kinds, find_channel, render_body
from hanzo_reports.delivery.endpoint import Endpoint
from hanzo_reports.delivery.endpoints import parse_channel
from hanzo_reports.delivery.notice import Action
from hanzo_reports.delivery.ssrf import SsrfPolicy
from hanzo_reports.errors import ChannelError
from hanzo_reports.state.alert_tables import ENDPOINTS

KEY = "k" * 32


@pytest.fixture
def states(state_database):
    def read():
        with state_database.connect() as connection:
            return [(row["state"], row["last_status"]) for row in list_messages(connection)]

    return read


def address(kind, port):
    return {
        "slack": f"slack:http://localhost:{port}/services/T/B/X",
        "pagerduty": f"pagerduty:{KEY}@http://localhost:{port}",
        "apprise": f"apprise:json://localhost:{port}/x",
    }[kind]


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "apprise"])
@pytest.mark.parametrize(
    ("answer", "state"),
    [(200, "sent"), (202, "sent"), (400, "dead"), (410, "dead"), (500, "pending"), (302, "pending")],
)
def test_the_status_is_kept(post_office, notice, receiver, states, kind, answer, state):
    receiver.answers = [(answer, {"location": "/elsewhere"})]
    endpoint = post_office.endpoint(address(kind, receiver.port), ("json",))
    post_office.put(notice(), to=[endpoint])
    post_office.deliver()
    assert len(receiver.got) == 1
    assert states() == [(state, None if kind == "apprise" and state == "sent" else answer)]


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
def test_retry_after_is_kept(post_office, notice, receiver, clock, kind):
    receiver.answers = [(429, {"Retry-After": "900"})]
    endpoint = post_office.endpoint(address(kind, receiver.port))
    post_office.put(notice(), to=[endpoint])
    post_office.deliver()
    clock.pass_(minutes=14)
    assert post_office.deliver().sent == 0
    clock.pass_(minutes=2)
    assert post_office.deliver().sent == 1


def test_slack_gets_one_message_a_second(post_office, notice, receiver):
    endpoint = post_office.endpoint(address("slack", receiver.port))
    post_office.put(*(notice(source=f"rule{n}") for n in range(3)), to=[endpoint])
    started = time.monotonic()
    assert post_office.deliver().sent == 3
    assert 1.9 < time.monotonic() - started < 6


def test_pagerdutys_resolve_goes_to_the_key_that_triggered(post_office, notice, receiver):
    endpoint = post_office.endpoint(address("pagerduty", receiver.port))
    post_office.put(notice(), to=[endpoint])
    post_office.deliver()
    post_office.put(notice("resolved", action=Action.RESOLVE), to=[endpoint])
    post_office.deliver()
    sent = [got.json for got in receiver.got]
    assert [one["event_action"] for one in sent] == ["trigger", "resolve"]
    assert [one["routing_key"] for one in sent] == [KEY, KEY]
    assert len({one["dedup_key"] for one in sent}) == 1
    assert {got.path for got in receiver.got} == {"/v2/enqueue"}


def test_what_nothing_resolves_opens_no_incident(post_office, notice, receiver):
    endpoint = post_office.endpoint(address("pagerduty", receiver.port))
    post_office.put(notice("threshold:0.5", action=Action.INFORM), to=[endpoint])
    assert post_office.deliver().sent == 1
    [sent] = receiver.got
    assert sent.path == "/v2/change/enqueue"
    assert sent.json["routing_key"] == KEY
    assert sent.json["payload"]["summary"] == "threshold:0.5 1"
    assert {"event_action", "dedup_key"} & sent.json.keys() == set()


def test_channels_for_people_do_not_wait_for_each_other(post_office, notice, receiver, second):
    hanging = post_office.endpoint(address("pagerduty", receiver.port))
    well = post_office.endpoint(address("slack", second.port))
    receiver.answers = [3.0]
    post_office.put(notice(), to=[hanging, well])
    sending = threading.Thread(target=post_office.deliver)
    sending.start()
    sending.join(1.5)
    assert sending.is_alive()
    assert len(second.got) == 1
    sending.join()


def test_a_body_arrives_as_it_is_kept(receiver, policy, clock):
    """Apprise would trim, split, unescape and convert; it must not."""
    text = '{"text":"  a\\\\n :smile: <b>x</b> \\u00e9é  ' + "x" * 40_000 + '"}'
    endpoint = Endpoint("e", "e", "slack", "-", SecretStr(receiver.url))
    assert find_channel("slack").open_sender(endpoint, policy).send("m", text.encode(), clock.now).ok
    assert [got.body.decode() for got in receiver.got] == [text]


@pytest.mark.parametrize("kind", ["slack", "pagerduty", "apprise"])
def test_no_channel_sends_to_where_nothing_may_be_sent(receiver, clock, kind):
    address_ = {"slack": receiver.url, "pagerduty": f"{KEY}@http://localhost:{receiver.port}",
                "apprise": f"json://localhost:{receiver.port}/x"}[kind]  # fmt: skip
    endpoint = Endpoint("e", "e", kind, "-", SecretStr(address_))
    body = b'{"title":"t","body":"b","type":"info"}'
    reply = find_channel(kind).open_sender(endpoint, SsrfPolicy()).send("m", body, clock.now)
    assert (reply.refused, receiver.got) == (True, [])


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.1"])
def test_a_second_host_of_apprises_is_checked_too(policy, host):
    with pytest.raises(ChannelError, match="not a public address"):
        parse_channel(f"apprise:mailto://user:pass@example.com?smtp={host}", policy, ("mailto",))
    assert (
        parse_channel("apprise:mailto://user:pass@example.com?smtp=8.8.8.8", policy, ("mailto",)).label
        == "mailto://***"
    )


DISCORD = """
from pydantic import SecretStr

from hanzo_reports.delivery.channel import Channel
from hanzo_reports.delivery.endpoint import Endpoint, mask_url
from hanzo_reports.delivery.ssrf import post


def parse(address, policy, schemes):
    policy.check_url(address, "discord")
    return Endpoint("", "", "discord", mask_url(address), SecretStr(address))


def render(notice):
    return {"content": notice.title}


class Sender:
    def __init__(self, endpoint, policy):
        self.url, self.policy = endpoint.address.get_secret_value(), policy

    def send(self, message_id, body, now):
        return post(self.url, {"Content-Type": "application/json"}, body, self.policy, now)


CHANNEL = Channel("discord", "discord:https://discord.com/api/webhooks/...", parse, render, Sender)
"""


@pytest.fixture
def discord(tmp_path, monkeypatch):
    """One more file among the channels."""
    (tmp_path / "discord.py").write_text(DISCORD)
    monkeypatch.setattr(channels, "__path__", [*channels.__path__, str(tmp_path)])
    channel_kinds.cache_clear()
    yield
    channel_kinds.cache_clear()
    sys.modules.pop("hanzo_reports.delivery.channels.discord", None)


@pytest.mark.usefixtures("discord")
def test_a_new_channel_is_one_new_file(post_office, notice, receiver, states):
    endpoint = post_office.endpoint(f"team=discord:http://localhost:{receiver.port}/x")
    firing, resolved = notice(), notice("resolved", action=Action.RESOLVE)
    post_office.put(firing, to=[endpoint])
    post_office.deliver()
    post_office.put(resolved, to=[endpoint])
    post_office.deliver()
    assert [got.json for got in receiver.got] == [{"content": firing.title}, {"content": resolved.title}]
    assert [state for state, _ in states()] == ["sent", "sent"]
    with pytest.raises(ChannelError, match=r"apprise:\.\.\., discord:\.\.\., pagerduty"):
        parse_channel("pigeon:coop", SsrfPolicy(), ())


def test_every_channel_renders_and_masks(notice, policy, receiver):
    """The registry and the tests of addresses name the same kinds."""
    assert set(channel_kinds()) == {"slack", "pagerduty", "webhook", "apprise"}
    for kind in channel_kinds():
        assert json.loads(render_body(kind, notice()))
        text = address(kind, receiver.port) if kind != "webhook" else f"webhook:{receiver.url}/secret-path"
        endpoint = parse_channel(text, policy, ("json",))
        assert endpoint.label not in {"", endpoint.address.get_secret_value()}
        assert "***" in endpoint.label


def test_a_stored_endpoint_of_an_unknown_kind_fails_alone_and_by_name(post_office, notice, receiver, state_database):
    """As after a downgrade: the kind of a newer version is in the store."""
    unknown = post_office.endpoint(f"odd=webhook:{receiver.url}")
    well = post_office.endpoint(f"well=webhook:{receiver.url}/well")
    post_office.put(notice(), to=[unknown, well])
    with state_database.begin() as connection:
        change = sqlalchemy.update(ENDPOINTS).where(ENDPOINTS.c.name == "odd").values(kind="webhok")
        connection.execute(change)
    result = post_office.deliver()
    assert (result.sent, len(receiver.got)) == (1, 1)
    assert result.failures == ("odd: unknown kind of channel 'webhok'; did you mean 'webhook'?",)
