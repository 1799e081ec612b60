"""The same events on every engine: real logs, and logs that Hypothesis generates."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import clickhouse_connect
import ibis
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from java_home import find_java_home
from spark_cluster import cluster as running_cluster
from tiers import skip_without

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.events import SCHEMA

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 20, tzinfo=UTC)
SOURCES = {
    "aider": "aider_requests.csv.gz",
    "azure_llm": "AzureLLMInferenceTrace_conv_2023.csv.gz",
    "llmperf": "llmperf_leaderboard_7b13b.parquet",
    "genai_spans": "agent_llm_spans.parquet",
    "tool_calls": "tool_calls.parquet",
    "access_log": "apache_access_logs.parquet",
}
EXAMPLES = 80
CELLS = pytest.StashKey[dict[str, int]]()


@dataclass(frozen=True)
class Log:
    """Events in a lake, and the windows to look at them through.

    Args:
        folder: the lake.
        whole: a range that has all of them.
        days: a range to cut into days.
    """

    folder: Path
    whole: str
    days: str


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """Real logs of six kinds."""
    folder = tmp_path_factory.mktemp("real") / "warehouse"
    workspace = hr.open(str(folder), now=NOW, create=True)
    for source, file in SOURCES.items():
        assert workspace.ingest(source, [DATA / file]).accepted
    return Log(folder, "2015-01-01..2026-11-05", "2025-03-01..2026-05-01")


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """Many small logs that Hypothesis generates, distinguished by their service."""
    drawn = []

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], database=None, deadline=None, derandomize=True)
    @given(st.lists(_EVENT, min_size=1, max_size=30))
    def draw(rows):
        drawn.append(rows)

    draw()
    rows = [{**row, "service": f"log{n}"} for n, log in enumerate(drawn) for row in log]
    rows = [{**row, "event_id": f"e{n}", "ingested_at": NOW} for n, row in enumerate(rows)]
    types = ibis.schema({name: dtype.removeprefix("!") for name, dtype in SCHEMA.items()}).to_pyarrow()
    folder = tmp_path_factory.mktemp("generated") / "warehouse"
    lake = store.open(str(folder), create=True)
    lake.append(ibis.duckdb.connect().create_table("rows", pa.Table.from_pylist(rows, types)), {})
    return Log(folder, "2026-03-25..2026-11-05", "2026-03-25..2026-04-12")


@pytest.fixture(scope="session", params=["real", "generated"])
def log(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A Spark cluster: a master and two workers."""
    java_home = find_java_home(tmp_path_factory.mktemp("java"))
    if not (java_home or os.environ.get("JAVA_HOME") or shutil.which("java")):
        skip_without("Java")
    with pytest.MonkeyPatch.context() as patch:
        if java_home:
            patch.setenv("JAVA_HOME", java_home)
        with running_cluster(tmp_path_factory.mktemp("spark")) as running:
            yield running


@pytest.fixture(scope="session")
def spark(cluster):
    """A function that opens a lake with Spark."""
    return lambda folder: store.open(store.address_for_engine(str(folder), "spark", cluster.master))


@pytest.fixture(scope="session")
def engine_of_this_process():
    """A connection that keeps ClickHouse's engine, and so its databases, alive."""
    with clickhouse_connect.get_client(dsn="chdb://memory") as client:
        yield client


@pytest.fixture(scope="session")
def copies(postgres, engine_of_this_process, spark):
    """A function that gives the events of a log on an engine, each copied once."""
    new_store = {}
    assert engine_of_this_process

    def copy(engine, log):
        if (engine, log.folder) not in new_store:
            new_store[engine, log.folder] = spark(log.folder) if engine == "spark" else filled(engine, log)
        return new_store[engine, log.folder].events()

    def filled(engine, log):
        place = postgres.database() if engine == "postgres" else f"chdb://memory/{log.folder.parent.name}"
        target = store.open(place, create=True)
        target.append(store.open(str(log.folder)).events(), {})
        return target

    return copy


@pytest.fixture
def counted(request):
    """A function that adds to the cells that were compared with an engine's."""
    cells = request.config.stash.setdefault(CELLS, {})

    def add(engine, number):
        cells[engine] = cells.get(engine, 0) + number

    return add


def pytest_collection_modifyitems(items):
    """Spark last: its executors go when they have nothing to do, and take seconds to come back."""
    items.sort(key=lambda item: "spark" in item.nodeid)


def pytest_terminal_summary(terminalreporter, config):
    """How many cells were the same."""
    cells = config.stash.get(CELLS, {})
    if cells:
        each = ", ".join(f"{engine} {number:,}" for engine, number in cells.items())
        terminalreporter.write_line(f"parity: {sum(cells.values()):,} cells equal to the lake's ({each})")


def _maybe(values):
    return st.one_of(st.none(), values)


_MICROSECOND = timedelta(microseconds=1)
_EDGES = [  # clocks change in New York and on Lord Howe
    datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC),
    datetime(2026, 3, 31, 18, 30, tzinfo=UTC),
]  # fmt: skip
_INSTANT = st.one_of(
    st.datetimes(datetime(2026, 3, 24), datetime(2026, 11, 6), timezones=st.just(UTC)),  # noqa: DTZ001
    st.datetimes(datetime(2026, 4, 3), datetime(2026, 4, 6), timezones=st.just(UTC)),  # noqa: DTZ001
    st.sampled_from([edge + by for edge in _EDGES for by in (-_MICROSECOND, timedelta(0), _MICROSECOND)]),
)
_COUNT = _maybe(st.one_of(st.integers(0, 5), st.integers(0, 10**12)))
_MILLISECONDS = _maybe(st.floats(0, 1e7, allow_subnormal=False))
_EVENT = st.fixed_dictionaries(
    {
        "timestamp": _INSTANT,
        "project": st.sampled_from(["x", "Y", "ä"]),
        "status": st.sampled_from([200, 200, 200, 399, 400, 404, 429, 499, 500, 599]),
        "provider": _maybe(st.sampled_from(["openai", "anthropic"])),
        "model": _maybe(
            st.sampled_from(["a", "B", "é", "other", "", "gpt-4o", "claude-sonnet-4-5", "claude-opus-4-1"])
        ),
        "cost_source": _maybe(st.sampled_from(["reported", "computed:x"])),
        "user": _maybe(st.sampled_from(["u1", "u2", "U1"])),
        "api_key": _maybe(st.sampled_from(["k1", "k2", "k3"])),
        "latency_ms": _MILLISECONDS,
        "time_to_first_token_ms": _MILLISECONDS,
        "cost": _maybe(st.decimals(0, Decimal(1000), places=9)),
        "queue_depth": _maybe(st.integers(0, 9)),
        "queue_capacity": _maybe(st.integers(0, 9)),
        **dict.fromkeys(
            ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"), _COUNT
        ),
        "bytes_in": _COUNT,
        "bytes_out": _COUNT,
    }
)
