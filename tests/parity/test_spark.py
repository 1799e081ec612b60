"""The lake read by a Spark cluster: opened, question, exported, reported on, and a worker lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from waiting import TIMEOUT, wait_until

import hanzo_reports as hr
from hanzo_reports import store
from hanzo_reports.errors import StoreError, UnknownNameError

NOW = "2026-03-31T12:00:00Z"
pytestmark = pytest.mark.filterwarnings(  # py4j leaves its sockets to the garbage collector
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def on_spark(sample_store, cluster, monkeypatch):
    """A workspace on the sample, asked through Spark as the settings say."""
    monkeypatch.setenv("HANZO_REPORTS_ENGINE", "spark")
    monkeypatch.setenv("HANZO_REPORTS_SPARK_MASTER", cluster.master)
    return hr.open(str(sample_store), now=NOW, timezone="America/New_York")


@pytest.fixture
def on_duckdb(sample_store):
    return hr.open(str(sample_store), now=NOW, timezone="America/New_York", engine="duckdb")


def test_settings_choose_the_engine_and_the_address_carries_it(on_spark, on_duckdb, cluster):
    assert on_spark.store.url.startswith("spark+file:///")
    assert on_spark.store.events().get_backend().session.sparkContext.master == cluster.master
    again = store.open(on_spark.store.url)
    assert again.events().count().to_pyarrow() == on_duckdb.events.count().to_pyarrow()
    assert {**on_spark.condition(), "store": ""} == {**on_duckdb.condition(), "store": ""}


def test_exports_are_the_same_files(on_spark, on_duckdb, tmp_path):
    for fmt in ("parquet", "csv"):
        rows = [ws.export(tmp_path / name, fmt, "2d") for ws, name in ((on_spark, "a"), (on_duckdb, "b"))]
        assert rows[0] == rows[1] > 100
        assert (fmt == "parquet") or (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        assert (fmt == "csv") or pq.read_table(tmp_path / "a").equals(pq.read_table(tmp_path / "b"))


def test_threads_do_not_disturb_each_other(on_spark, on_duckdb):
    questions = [{"by": ["model"]}, {"by": ["project"]}, {"every": "day"}, {}] * 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda question: on_spark.usage("7d", **question).rows(), questions))
    assert answers == [on_duckdb.usage("7d", **question).rows() for question in questions]


def test_what_is_loaded_meanwhile_is_seen_by_the_next_question(cluster, tmp_path):
    new_store = store.open(store.address_for_engine(str(tmp_path / "lake"), "spark", cluster.master), create=True)
    assert new_store.events().count().to_pyarrow().as_py() == 0
    assert new_store.quarantine().count().to_pyarrow().as_py() == 0
    hr.open(new_store.url, now=NOW).sample(days=1, per_day=50)
    assert (
        new_store.events().count().to_pyarrow().as_py()
        == hr.open(str(tmp_path / "lake")).events.count().to_pyarrow().as_py()
    )


def test_a_report_asks_the_cluster_from_its_own_process(on_spark, tmp_path):
    run = on_spark.report("dashboard", out=tmp_path, window="2026-03-30..2026-03-30")
    manifest = (run.folder / "manifest.json").read_text(encoding="utf-8")
    assert "spark+file://" in manifest


def test_a_worker_killed_in_the_middle_of_a_query_changes_no_number(on_spark, on_duckdb, cluster):
    question = {
        "range": "8d",
        "metrics": ["requests", "cost", "latency_p99", "active_users"],
        "by": ["model"],
        "every": "hour",
    }
    events = on_spark.store.events()
    session = events.get_backend().session
    for name, value in {"maxPartitionBytes": "2000", "openCostInBytes": "0", "maxPartitionNum": "10000"}.items():
        session.conf.set(f"spark.sql.files.{name}", value)  # hundreds of tasks
    window = on_spark.window(question.pop("range"))
    answer = {}
    asking = threading.Thread(
        target=lambda: answer.update(rows=hr.usage(events, window, **question).to_pyarrow().to_pylist())
    )
    tracker = session.sparkContext.statusTracker()
    executors = session.sparkContext._jsc.sc().getExecutorMemoryStatus  # noqa: SLF001  # the only way to count them

    def has_two_executors():
        on_spark.usage("7d", by=["user"], every="hour").rows()  # Spark starts them for work
        return executors().size() == 3  # the driver is one of them

    wait_until(has_two_executors, "both workers have an executor")
    asking.start()

    def halfway():
        stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        return any(stage and 0 < stage.numCompletedTasks < stage.numTasks / 2 for stage in stages)

    while asking.is_alive() and not halfway():
        time.sleep(0.005)
    assert asking.is_alive(), "the answer came before the worker could be killed"
    cluster.kill(cluster.workers.pop())
    asking.join(TIMEOUT)
    cluster.workers.append(cluster.worker())
    assert answer["rows"] == hr.usage(on_duckdb.store.events(), window, **question).to_pyarrow().to_pylist()


def test_no_java_says_what_to_install(sample_store):
    process = subprocess.run(
        [Path(sys.executable).with_name("hanzo-reports"), "--store", sample_store, "--now", NOW, "usage"],
        env={**os.environ, "JAVA_HOME": str(sample_store), "HANZO_REPORTS_ENGINE": "spark"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (process.returncode, process.stdout) == (1, "")
    assert "hanzo-reports: Spark needs Java 17" in process.stderr
    assert "openjdk-17-jre-headless" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_master_that_does_not_answer_is_named(sample_store, monkeypatch):
    monkeypatch.setenv("HANZO_REPORTS_SPARK_MASTER", "spark://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"No Spark master answers at spark://127\.0\.0\.1:1"):
        hr.open(str(sample_store), engine="spark")


def test_an_engine_that_there_is_not(sample_store):
    with pytest.raises(UnknownNameError, match="did you mean 'spark'"):
        hr.open(str(sample_store), engine="sparc")
    with pytest.raises(StoreError, match="with a folder"):
        hr.open("postgresql://db.example/usage", engine="spark")
    with pytest.raises(StoreError, match="No store at"):
        hr.open(str(sample_store.parent), engine="spark")
