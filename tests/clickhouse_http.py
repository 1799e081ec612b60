"""A server for tests: ClickHouse's HTTP interface, in Python, over the real engine in this process.

``python clickhouse_http.py FOLDER USER PASSWORD PORT`` keeps its data in the folder, prints the port it listens on (a
free one for 0), and runs until it is killed. It is the only shard of a cluster named ``one``, on which statements run
without Keeper. Grants, TLS and several shards are missing; no test may rely on them.
"""

from __future__ import annotations

import re
import sys
import threading
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import clickhouse_connect
import lz4.frame
from clickhouse_connect.driver.exceptions import ClickHouseError

FORMAT = re.compile(r"\sFORMAT\s+(\w+)\s*;?\s*$")
INSERT = re.compile(r"INSERT INTO (\S+)\s*(\(.*\))?\s*FORMAT (\w+)\s*")
ON_CLUSTER = " ON CLUSTER `one`"
CONFIG = """
<clickhouse>
    <tcp_port>9000</tcp_port>
    <remote_servers>
        <one><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></one>
    </remote_servers>
</clickhouse>
"""  # a shard at its own port is this process; nothing listens there
TRANSPORT = {"query", "database", "default_format", "query_id", "client_protocol_version", "wait_end_of_query"}


class Handler(BaseHTTPRequestHandler):
    """One request: a statement is its body; that of an INSERT is in the address, or in the line before the rows."""

    protocol_version = "HTTP/1.1"
    turn = threading.Lock()

    def do_GET(self):
        """Answer the check whether the server is running."""
        self.answer(200, b"Ok.\n")

    def do_POST(self):
        """Run a statement."""
        body = self.rfile.read(int(self.headers.get("Content-Length", -1))) if "Content-Length" in self.headers else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self.chunks()
        if self.headers.get("Content-Encoding") == "lz4":
            body = lz4.frame.decompress(body)
        if b64decode(self.headers.get("Authorization", "Basic ")[6:]).decode().split(":", 1) != self.login:
            self.fail(403, "Code: 516. DB::Exception: default: Authentication failed (AUTHENTICATION_FAILED)")
            return
        options = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        settings = {name: value for name, value in options.items() if name in self.known and name not in TRANSPORT}
        values = {name: value for name, value in options.items() if name.startswith("param_")}
        try:
            with self.turn:
                self.engine.command(f"USE `{options.get('database') or 'default'}`")
                first, _, rest = body.partition(b"\n")
                statement, rows = (options["query"], body) if "query" in options else (first.decode(), rest)
                if statement.startswith("INSERT"):
                    table, columns, form = INSERT.fullmatch(statement).groups()
                    named = [name.strip(" `") for name in columns.strip("()").split(",")] if columns else None
                    self.engine.raw_insert(table, named, rows, settings, form)
                    self.answer(200, b"")
                    return
                query = body.decode().replace(ON_CLUSTER, "")
                match = FORMAT.search(query)
                form = match[1] if match else options.get("default_format", "TabSeparated")
                self.answer(200, self.engine.raw_query(FORMAT.sub("", query), values, settings, form))
        except ClickHouseError as error:
            self.fail(500, " ".join(str(error).split()))

    def chunks(self):
        """Read a chunked body."""
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def fail(self, status, message):
        """Answer with an error, as the server words it."""
        code = re.search(r"Code: (\d+)", message)
        self.answer(status, message.encode(), **({"X-ClickHouse-Exception-Code": code[1]} if code else {}))

    def answer(self, status, body, **headers):
        """Send an answer."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Log nothing: the output belongs to the tests."""


if __name__ == "__main__":
    folder, *login, port = sys.argv[1:]
    Handler.login = login
    config = Path(f"{folder}.xml")
    config.write_text(CONFIG, encoding="utf-8")
    options = {"config-file": str(config)}
    Handler.engine = clickhouse_connect.get_client(interface="chdb", path=folder, chdb_options=options)
    Handler.known = {name for [name] in Handler.engine.query("SELECT name FROM system.settings").result_rows}
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    print(server.server_port, flush=True)  # noqa: T201  # this is how the tests learn it
    server.serve_forever()
