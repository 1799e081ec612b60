"""A real HTTP server on this machine that remembers what it was sent and answers as it is told to."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Got(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self):
        return self.headers.get("webhook-id", "")

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """`answers` are used up one by one, then all is well: a status, or (status, headers), or seconds to sleep."""

    def __init__(self):
        self.got, self.answers, self._lock = [], [], threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) == length:  # else the sender died before it had sent all
                    receiver.answer(self, body)

            def do_GET(self):
                receiver.answer(self, b"")

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://localhost:{self.port}/hook/s3cr3t-path"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, handler, body):
        with self._lock:
            answer = self.answers.pop(0) if self.answers else 200
            headers = {name.lower(): value for name, value in handler.headers.items()}
            self.got.append(Got(handler.path, headers, body))
        if isinstance(answer, float):
            time.sleep(answer)
            return
        status, sent = answer if isinstance(answer, tuple) else (answer, {})
        handler.send_response(status)
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    @property
    def ids(self):
        return [got.id for got in self.got]

    @property
    def types(self):
        return [got.json["type"] for got in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
