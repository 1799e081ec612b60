"""A store of traffic, and alerting on it with a state database, real channels and a clock that tests move."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import ibis
import pyarrow as pa
import pytest
from budget_fixtures import address, budgets, lake, spend
from cryptography.fernet import Fernet

from hanzo_reports import store
from hanzo_reports.alerts.messages import MessageContext
from hanzo_reports.alerts.parse import parse_rule
from hanzo_reports.alerts.rule_check import check_rules
from hanzo_reports.alerts.rule_store import save_rules
from hanzo_reports.alerts.state_store import load_states
from hanzo_reports.delivery.endpoints import parse_channel, store_endpoint
from hanzo_reports.delivery.sealing import Vault
from hanzo_reports.delivery.ssrf import SsrfPolicy
from hanzo_reports.delivery.worker import deliver
from hanzo_reports.events import SCHEMA
from hanzo_reports.store.duckdb_session import connect_ibis

__all__ = ["address", "budgets", "lake", "spend"]

MINUTE = timedelta(minutes=1)


class Traffic:
    """A store into which tests put requests, some of them failed."""

    def __init__(self, folder):
        self.store = store.open(str(folder), create=True)
        self.request_count = 0

    def put(self, until, requests, bad=0, *, seconds=60, **columns):
        """Requests spread over the seconds before an instant; the first `bad` of them fail."""
        first, self.request_count = self.request_count, self.request_count + requests
        values = {
            "event_id": [f"e{first + n}" for n in range(requests)],
            "timestamp": [until - timedelta(seconds=seconds * (n + 1) / (requests + 1)) for n in range(requests)],
            "status": [500 if n < bad else 200 for n in range(requests)],
            **{name: [value] * requests for name, value in self._default_columns(until, columns).items()},
        }
        self._append(values, requests)

    def put_all(self, instants, statuses, projects):
        """One request for each instant, status and project."""
        defaults = {name: [value] * len(instants) for name, value in self._default_columns(instants[0], {}).items()}
        ids = [f"e{n}" for n in range(len(instants))]
        self._append(
            defaults | {"event_id": ids, "timestamp": instants, "status": statuses, "project": projects}, len(instants)
        )

    def _append(self, values, requests):
        arrow = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()
        rows = {field.name: pa.array(values.get(field.name, [None] * requests), field.type) for field in arrow}
        self.store.append(connect_ibis(duckdb.connect()).create_table("rows", pa.table(rows)), {})

    @staticmethod
    def _default_columns(until, columns):
        return {"service": "gateway", "project": "search", "latency_ms": 100.0, "ingested_at": until} | columns


@pytest.fixture
def traffic(tmp_path):
    return Traffic(tmp_path / "lake")


@pytest.fixture
def alerting(state_database, traffic, clock):
    """Rules, checks and deliveries on the store of traffic."""

    class Alerting:
        engine, policy = state_database, SsrfPolicy(frozenset({"localhost"}), timeout=2.0)
        vault, message_context = Vault(Fernet.generate_key().decode()), MessageContext(delay=timedelta())

        def channel(self, spec, schemes=()):
            with self.engine.begin() as connection:
                return store_endpoint(
                    connection, self.vault, parse_channel(spec, self.policy, schemes), clock.now
                ).endpoint_id

        def rule(self, *endpoints, replace_existing=False, **fields):
            fields = {"name": "errors", "metric": "error_rate", "gt": "0.05", "window": "1m"} | fields
            with self.engine.begin() as connection:
                return save_rules(
                    connection, [(parse_rule(fields), endpoints)], clock.now, replace_existing=replace_existing
                )

        def check(self, **options):
            events = options.pop("events", traffic.store.events)
            return check_rules(self.engine, events, clock.now, **{"context": self.message_context} | options)

        def deliver(self):
            return deliver(self.engine, self.vault, self.policy, clock)

        def minute(self, requests=100, bad=0, **columns):
            """A minute of traffic, then a check and a delivery."""
            clock.pass_(minutes=1)
            if requests:
                traffic.put(clock.now, requests, bad, **columns)
            result = self.check()
            self.deliver()
            return result

        def phases(self):
            with self.engine.connect() as connection:
                return {
                    key.group: alert.state.phase.value for key, alert in load_states(connection, None).alerts.items()
                }

    return Alerting()
