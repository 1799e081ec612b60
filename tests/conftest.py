"""What tests on several floors share: one small synthetic platform."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from postgres_server import server

import hanzo_reports as hr

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def sample_store(tmp_path_factory):
    """The folder of a store with ten days of a synthetic platform, up to NOW; to be read only."""
    folder = tmp_path_factory.mktemp("sample") / "warehouse"
    hr.open(str(folder), now=NOW, create=True).sample(days=10, per_day=2_000)
    return folder


@pytest.fixture
def workspace(sample_store):
    """A workspace on it."""
    return hr.open(str(sample_store), now=NOW)


@pytest.fixture(scope="session")
def postgres():
    """A Postgres server that runs as long as the tests; nothing of it is shared but the server."""
    with server() as running:
        yield running


@pytest.fixture
def database(postgres):
    """The URL of an empty database."""
    return postgres.database()
