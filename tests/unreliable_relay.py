"""A relay before the object store that passes requests on, loses answers, refuses, or hangs, as a test decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

HANG_SECONDS = 5.0


@contextmanager
def relay(target: str, decide: Callable[[list[str]], str]) -> Iterator[tuple[str, list[str]]]:
    """Give the relay's address and the requests it saw, "VERB path".

    Args:
        target: Address of the store.
        decide: All requests so far, the newest last -> what happens to the newest: `pass`; `lose` (done, but the
            connection ends without an answer); `refuse` (503, not done); `hang` (no answer in time, not done).
    """
    seen: list[str] = []
    host, port = target.removeprefix("http://").split(":")

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(f"{self.command} {self.path}")
            fate = decide(seen)
            if fate == "refuse":
                self.answer(503, {}, b"")
            elif fate == "hang":
                time.sleep(HANG_SECONDS)
                self.close_connection = True
            else:
                self.pass_on(body, fate)

        def pass_on(self, body: Any, fate: Any) -> None:
            upstream = HTTPConnection(host, int(port))
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            if fate == "lose":
                self.close_connection = True
                return
            kept = ("ETag", "Content-Type", "Content-Length") if self.command == "HEAD" else ("ETag", "Content-Type")
            self.answer(answer.status, {name: answer.headers[name] for name in kept if answer.headers[name]}, content)

        def answer(self, status: Any, headers: Any, content: Any) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = do_HEAD = do_DELETE = handle_any  # noqa: N815 - the names the server looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    server.daemon_threads = True
    server.block_on_close = False
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
