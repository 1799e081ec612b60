"""The outbox against what it cannot choose: receivers that hang, addresses that break, people who send again."""

from __future__ import annotations

import time
from base64 import b64encode
from datetime import timedelta

import pytest
from pydantic import SecretStr

from hanzo_reports.delivery.admin import ResendResult, list_messages, resend_messages
from hanzo_reports.delivery.endpoints import Endpoint, decrypt_endpoint, enable_endpoint, find_endpoint, store_endpoint
from hanzo_reports.delivery.notice import Action
from hanzo_reports.errors import ChannelError

SECRET = f"whsec_{b64encode(b'x' * 32).decode()}"

pytestmark = pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)


def test_endpoints_that_hang_are_waited_for_at_the_same_time(post_office, notice, receiver, second):
    hanging = [post_office.endpoint(f"hang{n}=webhook:{receiver.url}/{n}") for n in range(3)]
    well = post_office.endpoint(f"well=webhook:{second.url}")
    receiver.answers = [2.5] * 30
    post_office.put(*(notice("firing", n, source=f"rule{n}") for n in range(10)), to=[*hanging, well])
    started = time.monotonic()
    done = post_office.deliver()
    assert time.monotonic() - started < 5  # one timeout is 2 s, and three after another would be 6 s
    assert (done.sent, done.retried, len(receiver.got)) == (10, 3, 3)


def test_a_delivery_begins_nothing_after_its_time(post_office, hook, notice):
    post_office.put(*(notice("firing", n, source=f"rule{n}") for n in range(3)), to=[hook])
    assert post_office.deliver(time_limit=timedelta()).sent == 0
    assert post_office.deliver(time_limit=timedelta(minutes=1)).sent == 3


@pytest.mark.parametrize(
    ("address", "state"),
    [("webhook:https://8.8.8.8/\u00e9", "pending"), ("webhook:https://a..example.com/x", "pending"),
     ("apprise:gone://x/y", "dead"), ("apprise:json://[", "dead")],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_written_down_and_stops_no_other(
    post_office, hook, notice, state_database, vault, clock, held, address, state
):
    """As one that was kept by an earlier version, or that a library takes no longer."""
    kind, _, url = address.partition(":")
    with state_database.begin() as connection:
        bad = store_endpoint(connection, vault, Endpoint("", "bad", kind, "-", SecretStr(url)), clock.now).endpoint_id
    post_office.put(notice(), to=[bad, hook])
    done = post_office.deliver()
    assert (done.sent, len(done.failures)) == (1, 1)
    assert url not in done.failures[0]
    assert sorted(held("state", "attempts")) == sorted([("sent", 1), (state, 1)])


@pytest.mark.parametrize("after", ["99999999999999999", "\u00b2", "Wed, 21 Oct 9999 07:28:00 GMT", "1e3", "-5"])
def test_a_retry_after_that_makes_no_sense_is_no_reason_to_send_for_ever(
    post_office, hook, notice, receiver, clock, held, after
):
    receiver.answers = [(429, {"Retry-After": after})]
    post_office.put(notice(), to=[hook])
    assert post_office.deliver().retried == 1
    assert held("state", "attempts", "last_status") == [("pending", 1, 429)]
    clock.pass_(days=1, seconds=1)
    assert post_office.deliver().sent == 1


def test_a_firing_is_not_sent_to_people_again_after_its_resolve(
    post_office, notice, receiver, clock, state_database, hook
):
    duty = post_office.endpoint(f"duty=pagerduty:{'k' * 32}@http://localhost:{receiver.port}")
    receiver.answers = [400, 400]
    post_office.put(notice(), to=[duty, hook])
    post_office.deliver()
    clock.pass_(minutes=5)
    post_office.put(notice("resolved", action=Action.RESOLVE), to=[duty, hook])
    post_office.deliver()
    clock.pass_(minutes=5)
    with state_database.begin() as connection:
        dead = [row["message_id"] for row in list_messages(connection, "dead")]
        assert resend_messages(connection, dead, clock.now) == ResendResult(1, 1, ())
    receiver.got.clear()
    assert post_office.deliver().sent == 1
    assert receiver.types == ["alert.firing"]  # a machine is sent all that it missed
    post_office.put(notice("firing", 2), to=[duty])
    receiver.answers = [400]
    post_office.deliver()
    with state_database.begin() as connection:
        again = [row["message_id"] for row in list_messages(connection, "dead") if row["episode"] == 2]
        assert resend_messages(connection, again, clock.now) == ResendResult(1, 0, ())


def test_what_a_disabled_channel_did_not_send_stays_until_it_is_enabled(
    post_office, hook, notice, receiver, clock, state_database, held
):
    receiver.answers = [410]
    post_office.put(notice(), to=[hook])
    post_office.deliver()
    with state_database.begin() as connection:
        dead = [row["message_id"] for row in list_messages(connection, "dead")]
        assert resend_messages(connection, dead, clock.now) == ResendResult(0, 0, ("hook",))
    assert held("state") == [("dead",)]
    with state_database.begin() as connection:
        enable_endpoint(connection, "hook")
        assert resend_messages(connection, dead, clock.now) == ResendResult(1, 0, ())
    assert post_office.deliver().sent == 1


@pytest.mark.parametrize(
    ("again", "said"),
    [
        ("{}", None),
        ("hook={}", None),
        ("{}#" + SECRET, "signs with another secret"),
        ("other={}", "already is the channel 'hook'"),
    ],
)
def test_a_channel_given_again_says_nothing_else_or_is_refused(
    post_office, hook, receiver, state_database, vault, again, said
):
    spec = again.format(f"webhook:{receiver.url}")
    if said:
        with pytest.raises(ChannelError, match=said):
            post_office.endpoint(spec)
    else:
        assert post_office.endpoint(spec) == hook
    with state_database.connect() as connection:
        assert len(decrypt_endpoint(find_endpoint(connection, "hook"), vault).signing_secrets) == 1
