"""An outbox on SQLite and on Postgres, receivers, and a clock that is moved by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet

from hanzo_reports.delivery.admin import list_messages
from hanzo_reports.delivery.endpoints import parse_channel, store_endpoint
from hanzo_reports.delivery.notice import Action, Notice
from hanzo_reports.delivery.outbox import enqueue
from hanzo_reports.delivery.sealing import Vault
from hanzo_reports.delivery.ssrf import SsrfPolicy
from hanzo_reports.delivery.worker import deliver

START = datetime(2026, 3, 1, 3, tzinfo=UTC)


@pytest.fixture
def policy():
    return SsrfPolicy(frozenset({"localhost"}), timeout=2.0)


@pytest.fixture
def vault():
    return Vault(Fernet.generate_key().decode())


@pytest.fixture
def post_office(state_database, vault, policy, clock):
    """Endpoints made, notices put in, and everything due delivered."""

    class Office:
        engine = state_database

        def endpoint(self, spec, schemes=()):
            with state_database.begin() as connection:
                return store_endpoint(connection, vault, parse_channel(spec, policy, schemes), clock.now).endpoint_id

        def put(self, *notices, to):
            with state_database.begin() as connection:
                return enqueue(connection, [(notice, to) for notice in notices], clock.now)

        def deliver(self, clock=clock, **options):
            return deliver(state_database, vault, policy, clock, **options)

    return Office()


@pytest.fixture
def second(receiver):
    """Another receiver, which answers by itself."""
    made = type(receiver)()
    yield made
    made.close()


@pytest.fixture
def notice():
    """A function that makes notices of one rule."""

    def make(kind="firing", episode=1, action=Action.TRIGGER, **more):
        plain = {"source": "rule1", "group": '{"project":"search"}', "severity": "critical", "at": START}
        return Notice(
            **plain | {"title": f"{kind} {episode}", "facts": (("What", "errors <!channel> *bold*"),)} | more,
            kind=kind, episode=episode, action=action,
        )  # fmt: skip

    return make


@pytest.fixture
def hook(post_office, receiver):
    return post_office.endpoint(f"hook=webhook:{receiver.url}")


@pytest.fixture
def held(state_database):
    """A function that gives the messages, oldest first, as (title, state, attempts, last_status)."""

    def read(*names):
        with state_database.connect() as connection:
            rows = reversed(list_messages(connection))
            return [tuple(row[name] for name in names or ("title", "state", "attempts", "last_status")) for row in rows]

    return read
