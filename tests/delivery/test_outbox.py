"""The outbox against receivers that fail in every way there is, with a clock moved by hand."""

from __future__ import annotations

import itertools
import threading
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import sqlalchemy
from cryptography.fernet import Fernet

from hanzo_reports.delivery.admin import ResendResult, find_message, list_messages, purge_messages, resend_messages
from hanzo_reports.delivery.notice import Action
from hanzo_reports.delivery.outbox import SCHEDULE, claim_next, enqueue, record_attempt
from hanzo_reports.delivery.sealing import Vault
from hanzo_reports.delivery.ssrf import Reply
from hanzo_reports.delivery.worker import deliver
from hanzo_reports.errors import ChannelError, UnknownNameError, UsageError
from hanzo_reports.state.alert_tables import ENDPOINTS, OUTBOX

LEASE = timedelta(seconds=30)
SECRET = f"whsec_{b64encode(b'x' * 32).decode()}"

pytestmark = pytest.mark.parametrize("state_url", ["sqlite", "postgres"], indirect=True)


def test_a_message_is_put_in_once_and_sent_once(post_office, hook, notice, receiver, held):
    assert [post_office.put(notice(), to=[hook]) for _ in range(3)] == [1, 0, 0]
    assert (post_office.deliver().sent, post_office.deliver().sent) == (1, 0)
    assert held() == [("firing 1", "sent", 1, 200)]
    assert receiver.types == ["alert.firing"]


def test_a_transaction_that_fails_leaves_no_message(state_database, hook, notice, clock, held):
    def fail():
        with state_database.begin() as connection:
            enqueue(connection, [(notice(), [hook])], clock.now)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert held() == []


@pytest.mark.parametrize("status", [500, 503, 301, 429])
def test_what_may_pass_is_tried_again_by_the_schedule_and_then_dead(
    post_office, hook, notice, receiver, clock, held, status
):
    receiver.answers = [status] * 20
    post_office.put(notice(), to=[hook])
    for n, wait in enumerate(SCHEDULE):
        clock.now += max(wait - timedelta(seconds=1), timedelta())
        assert len(receiver.got) == n
        assert not wait or post_office.deliver().failures == ()
        clock.now += wait * 0.1 + timedelta(seconds=1)
        post_office.deliver()
    assert held("state", "attempts") == [("dead", len(SCHEDULE))]
    assert len(set(receiver.ids)) == 1


@pytest.mark.parametrize(("status", "disabled"), [(400, False), (401, False), (404, False), (410, True)])
def test_what_will_not_pass_is_dead_at_once(
    post_office, hook, notice, receiver, held, state_database, status, disabled
):
    receiver.answers = [status]
    post_office.put(notice(), to=[hook])
    assert post_office.deliver().dead == 1
    assert held() == [("firing 1", "dead", 1, status)]
    with state_database.connect() as connection:
        assert (connection.scalar(sqlalchemy.select(ENDPOINTS.c.disabled_at)) is not None) is disabled


def test_a_redirect_is_not_followed(post_office, hook, notice, receiver, held):
    receiver.answers = [(302, {"location": f"http://localhost:{receiver.port}/elsewhere"})]
    post_office.put(notice(), to=[hook])
    post_office.deliver()
    assert [got.path for got in receiver.got] == ["/hook/s3cr3t-path"]
    assert held() == [("firing 1", "pending", 1, 302)]


def test_no_answer_is_tried_again(post_office, hook, notice, receiver, clock, held):
    receiver.answers = [2.6]
    post_office.put(notice(), to=[hook])
    assert post_office.deliver().failures == ("hook: no answer within 2 s",)
    assert held("state", "last_status") == [("pending", None)]
    clock.pass_(seconds=6)
    assert post_office.deliver().sent == 1


def test_a_closed_port_is_tried_again(post_office, hook, notice, receiver):
    receiver.close()
    post_office.put(notice(), to=[hook])
    done = post_office.deliver()
    assert done.retried == 1
    assert "refused" in done.failures[0]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(post_office, hook, notice, receiver, clock, form):
    after = "3600" if form == "seconds" else format_datetime(clock.now + timedelta(hours=1))
    receiver.answers = [(429, {"Retry-After": after})]
    post_office.put(notice(), to=[hook])
    post_office.deliver()
    post_office.put(notice("firing", 2), to=[hook])
    clock.pass_(minutes=59)
    assert post_office.deliver().sent == 0
    clock.pass_(minutes=1, seconds=1)
    assert post_office.deliver().sent == 2


def test_a_failing_endpoint_costs_one_attempt_a_pass_and_holds_up_no_other(
    post_office, hook, notice, receiver, second, clock
):
    """Also where the clock moves on while it fails, so that its pause is over before the next is looked for."""
    other = post_office.endpoint(f"other=webhook:{second.url}")
    receiver.answers = [500] * 5
    post_office.put(*(notice("firing", n, source=f"rule{n}") for n in range(5)), to=[hook, other])
    instants = itertools.count()
    done = post_office.deliver(clock=lambda: clock.now + timedelta(minutes=next(instants)))
    assert (done.sent, done.retried, len(receiver.got)) == (5, 1, 1)
    assert [got.json["data"]["title"] for got in second.got] == [f"firing {n}" for n in range(5)]


def test_no_resolve_overtakes_its_firing(post_office, hook, notice, receiver, clock):
    receiver.answers = [500]
    post_office.put(notice(), to=[hook])
    post_office.deliver()
    post_office.put(notice("resolved", action=Action.RESOLVE), to=[hook])
    clock.pass_(seconds=4)
    assert post_office.deliver().sent == 0
    clock.pass_(minutes=6)
    post_office.deliver()
    assert receiver.types == ["alert.firing", "alert.firing", "alert.resolved"]


def test_people_are_not_told_of_a_firing_that_is_over(post_office, notice, receiver, clock, held):
    slack = post_office.endpoint(f"slack:{receiver.url}")
    receiver.answers = [500]
    post_office.put(notice(), notice("firing", source="other"), to=[slack])
    post_office.deliver()
    post_office.put(notice("resolved", action=Action.RESOLVE), to=[slack])
    clock.pass_(minutes=6)
    assert post_office.deliver().sent == 2
    assert held("title", "state") == [("firing 1", "superseded"), ("firing 1", "sent"), ("resolved 1", "sent")]


def test_what_is_being_sent_is_not_superseded(post_office, notice, receiver, clock, state_database, held):
    slack = post_office.endpoint(f"slack:{receiver.url}")
    post_office.put(notice(), to=[slack])
    claimed = claim_next(state_database, [slack], "me", clock.now, LEASE)
    post_office.put(notice("resolved", action=Action.RESOLVE), to=[slack])
    assert claim_next(state_database, [slack], "you", clock.now, LEASE) is None
    assert record_attempt(state_database, claimed, Reply(ok=True, status=200), clock.now) == "sent"
    assert post_office.deliver().sent == 1
    assert held("state") == [("sent",), ("sent",)]


def test_a_lease_that_ran_out_is_taken_over_and_the_late_one_changes_nothing(
    post_office, hook, notice, clock, state_database, held
):
    post_office.put(notice(), to=[hook])
    first = claim_next(state_database, [hook], "me", clock.now, LEASE)
    assert claim_next(state_database, [hook], "you", clock.now + LEASE / 2, LEASE) is None
    second = claim_next(state_database, [hook], "you", clock.now + LEASE, LEASE)
    assert second.message_id == first.message_id
    assert record_attempt(state_database, first, Reply(ok=False, status=400, error="HTTP 400"), clock.now) == "lost"
    assert record_attempt(state_database, second, Reply(ok=True, status=200), clock.now) == "sent"
    assert held("state", "attempts") == [("sent", 1)]


def test_many_deliverers_send_each_message_once(
    post_office, hook, notice, receiver, state_engine, vault, policy, clock
):
    post_office.put(*(notice("firing", n, source=f"rule{n}") for n in range(30)), to=[hook])
    engines = [state_engine() for _ in range(4)]
    sent = []
    threads = [
        threading.Thread(target=lambda e=engine: sent.append(deliver(e, vault, policy, clock).sent))
        for engine in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == len(receiver.ids) == len(set(receiver.ids)) == 30


def test_an_endpoint_that_fails_for_five_days_is_disabled_and_the_others_are_told(
    post_office, hook, notice, receiver, clock, held
):
    other = post_office.endpoint(f"other=webhook:{receiver.url}/other")
    receiver.answers = [500] * 9
    for day in range(6):
        post_office.put(notice("firing", day, source=f"rule{day}"), to=[hook])
        post_office.deliver()
        receiver.answers = [] if day == 5 else [500] * 9
        clock.pass_(days=1)
    post_office.deliver()
    assert receiver.got[-1].path.endswith("/other")
    assert receiver.got[-1].json["type"] == "alert.disabled"
    assert "failed for 5 days" in receiver.got[-1].json["data"]["text"]
    assert {state for (state,) in held("state")} == {"dead", "sent"}
    assert post_office.put(notice("firing", 99), to=[hook, other]) == 2
    assert post_office.deliver().sent == 1


def test_a_success_forgives(post_office, hook, notice, receiver, clock, state_database):
    for day in range(8):
        receiver.answers = [500] if day % 3 else []
        post_office.put(notice("firing", day, source=f"rule{day}"), to=[hook])
        post_office.deliver()
        clock.pass_(days=1)
    with state_database.connect() as connection:
        assert connection.scalar(sqlalchemy.select(ENDPOINTS.c.disabled_at)) is None


def test_the_dead_are_shown_with_their_attempts_and_sent_again_under_the_same_id(
    post_office, hook, notice, receiver, clock, state_database
):
    receiver.answers = [400, 503]
    post_office.put(notice(), to=[hook])
    post_office.deliver()
    with state_database.begin() as connection:
        dead = list_messages(connection, "dead", "hook")
        assert resend_messages(connection, [dead[0]["message_id"]], clock.now) == ResendResult(1, 0, ())
    post_office.deliver()
    clock.pass_(seconds=6)
    assert post_office.deliver().sent == 1
    assert len(set(receiver.ids)) == 1
    with state_database.connect() as connection:
        whole = find_message(connection, dead[0]["message_id"][:12])
    assert [(line["n"], line["status"]) for line in whole["tried"]] == [(0, 400), (1, 503), (2, 200)]
    assert whole["channel"] == "hook"


def test_purging_leaves_what_is_not_done_with(post_office, hook, notice, receiver, clock, state_database, held):
    receiver.answers = [200, 400, 500]
    post_office.put(*(notice("firing", n, source=f"rule{n}") for n in range(3)), to=[hook])
    post_office.deliver()
    clock.pass_(days=2)
    with state_database.begin() as connection:
        assert purge_messages(connection, clock.now - timedelta(days=3)) == 0
        assert purge_messages(connection, clock.now - timedelta(days=1)) == 1
        assert purge_messages(connection, clock.now, ("dead", "pending")) == 1
    assert held("state") == [("pending",)]


def test_mistakes_are_named(state_database):
    with state_database.connect() as connection:
        with pytest.raises(UnknownNameError, match="did you mean 'dead'"):
            list_messages(connection, "deadd")
        with pytest.raises(UsageError, match="no message has an id that begins with 'msg_7'"):
            find_message(connection, "msg_7")


def test_another_key_is_noticed_before_anything_is_claimed(post_office, hook, notice, state_database, policy, clock):
    post_office.put(notice(), to=[hook])
    with pytest.raises(ChannelError, match="'hook' have another key"):
        deliver(state_database, Vault(Fernet.generate_key().decode()), policy, clock)
    with state_database.connect() as connection:
        assert connection.scalar(sqlalchemy.select(OUTBOX.c.lease_owner)) is None


def test_instants_come_back_as_they_were(post_office, hook, notice, clock, state_database):
    clock.now = datetime(2026, 3, 1, 4, 30, 0, 123456, tzinfo=UTC)
    post_office.put(notice(), to=[hook])
    with state_database.connect() as connection:
        assert connection.scalar(sqlalchemy.select(OUTBOX.c.created_at)) == clock.now
