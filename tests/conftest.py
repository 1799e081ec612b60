"""What tests on several floors share: one small synthetic platform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy
import tiers
from playwright.sync_api import sync_playwright
from postgres_server import server

import hanzo_reports as hr
from hanzo_reports.state import database as state
from hanzo_reports.state.migrate import migrate

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the tests that `make test-fast` leaves out."""
    for item in items:
        if tiers.is_slow(item):
            item.add_marker("slow")


def pytest_configure(config):
    """Counts the tests that are left out, in the process that reports."""
    config.addinivalue_line("markers", "slow: needs a server, a browser, a cluster or a kernel")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_SkipCounter(config))


class _SkipCounter:
    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        tiers.count_skip(self.config, report)

    def pytest_unconfigure(self):
        tiers.report_skipped(self.config)


@pytest.fixture(scope="module")
def chromium():
    """A headless browser; its event loop must be over before other tests start theirs."""
    if not tiers.CHROMIUM:
        tiers.skip_without("Chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=tiers.CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


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


@pytest.fixture
def state_url(request, tmp_path):
    """The address of an empty state database: SQLite, or what `parametrize(..., indirect=True)` names."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return request.getfixturevalue("database").replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def state_engine(state_url, tmp_path):
    """A function that opens it anew, as a process of its own would."""
    opened = []

    def open_():
        if "sqlite" in state_url:
            engine = state.open_sqlite_state(tmp_path / "state.db")
        else:
            engine = sqlalchemy.create_engine(state_url)
            migrate(engine, "state", state_url)
        opened.append(engine)
        return engine

    yield open_
    for engine in opened:
        engine.dispose()


@pytest.fixture
def state_database(state_engine):
    return state_engine()


class Clock:
    """An instant that stays until it is moved."""

    def __init__(self):
        self.now = datetime(2026, 3, 1, 3, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def receiver():
    """A real HTTP server on this machine; see receiver.py."""
    spec = spec_from_file_location("receiver", Path(__file__).with_name("receiver.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Receiver()
    yield made
    made.close()


@pytest.fixture(scope="session")
def postgres():
    """A Postgres server that runs as long as the tests; nothing of it is shared but the server."""
    with server() as running:
        yield running


@pytest.fixture
def database(postgres):
    """The URL of an empty database, which goes with the test."""
    url = postgres.database()
    yield url
    postgres.drop(url)


@pytest.fixture
def clickhouse():
    """The address of an empty database in the engine of this process, which lives while it has a connection."""
    import clickhouse_connect  # noqa: PLC0415  # slow to load, and few tests need it

    client = clickhouse_connect.get_client(dsn="chdb://memory")
    name = f"test_{uuid4().hex}"
    yield f"chdb://memory/{name}"
    client.command(f"DROP DATABASE IF EXISTS {name}")
    client.close()
