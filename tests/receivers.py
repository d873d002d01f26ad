"""Where messages arrive in tests: a chat's webhook and a mail server, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller

from ml.stack.process import free_port


@contextmanager
def chat_receiver() -> Iterator[Any]:
    """Listen as a chat's incoming webhook: (address, texts it received)."""
    received = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", received
    server.shutdown()
    server.server_close()


@contextmanager
def mail_receiver() -> Iterator[Any]:
    """Listen as a mail server: (address, letters it received)."""
    letters = []

    class Keeper:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> Any:  # noqa: N802 - the name aiosmtpd looks for
            letters.append(message_from_bytes(envelope.content, policy=policy.default))
            return "250 OK"

    controller = Controller(Keeper(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield f"smtp://127.0.0.1:{controller.port}", letters
    controller.stop()
