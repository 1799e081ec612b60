"""A Spark standalone cluster for tests: a master and two workers, each a process, on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pyspark
from waiting import wait_until

HOME = Path(pyspark.__file__).parent
_CONF = """
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.driver.memory 768m
spark.executor.memory 512m
spark.ui.enabled false
spark.sql.shuffle.partitions 2
spark.sql.files.maxPartitionNum 2
spark.sql.adaptive.enabled false
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1
spark.executor.extraJavaOptions -XX:TieredStopAtLevel=1
"""  # short questions on a small machine: code that runs once is not compiled
_QUIET = """
rootLogger.level = error
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
"""


class Cluster:
    """A running cluster.

    Args:
        folder: where its logs and its work are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self.conf = folder / "conf"
        self.conf.mkdir()
        (self.conf / "spark-defaults.conf").write_text(_CONF, encoding="utf-8")
        (self.conf / "log4j2.properties").write_text(_QUIET, encoding="utf-8")
        port = _find_free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self._start("master.Master", "--port", str(port))
        wait_until(lambda: _listens(port), "the master listens")
        self.workers = [self.worker(), self.worker()]

    def worker(self) -> subprocess.Popen[bytes]:
        """Start a worker with one core."""
        return self._start("worker.Worker", "--cores", "1", "--memory", "1g", self.master)

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """Kill a worker together with its executors, without a chance to report it."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def stop(self) -> None:
        """Stop all processes."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "SPARK_HOME": str(HOME), "SPARK_CONF_DIR": str(self.conf),
                       "SPARK_WORKER_DIR": str(self._folder / "work"), "SPARK_DAEMON_MEMORY": "256m"}  # fmt: skip
        command = [str(HOME / "bin/spark-class"), f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1"]
        log = (self._folder / f"{name}-{len(self._processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [*command, "--webui-port", str(_find_free_port()), *arguments],
                env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._processes.append(process)
        return process


@contextmanager
def cluster(folder: Path):
    """A cluster that runs while the block does; Spark in this process is configured for it."""
    running = Cluster(folder)
    before = os.environ.get("SPARK_CONF_DIR")
    os.environ["SPARK_CONF_DIR"] = str(running.conf)
    try:
        yield running
    finally:
        from pyspark.sql import SparkSession  # noqa: PLC0415

        if session := SparkSession.getActiveSession():
            session.stop()
        running.stop()
        os.environ.pop("SPARK_CONF_DIR")
        if before is not None:
            os.environ["SPARK_CONF_DIR"] = before


def _find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
