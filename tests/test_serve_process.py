"""The server as its own process: up, guarded, and gone without a trace of trouble when told to stop."""

import os
import signal
import subprocess
import sys
import time

import httpx

from ml.stack import secret
from ml.stack.process import free_port


def test_the_command_serves_until_it_is_told_to_stop(object_store, tmp_path):
    port = free_port()
    held = {
        **secret.s3_variables(object_store.secrets, "serve"),
        "TRADEWIND_HOME": str(tmp_path),
        "TRADEWIND_S3_ENDPOINT": object_store.endpoint,
        **{f"TRADEWIND_{name.upper()}": object_store.secrets[name] for name in ("server_token", "pseudonym_key")},
        "TRADEWIND_VERIFY_KEY": object_store.secrets["verify_key"],
    }
    log = tmp_path / "log"
    command = [sys.executable, "-m", "ml", "serve", "--port", str(port)]
    with log.open("wb") as stream, subprocess.Popen(command, env={**os.environ, **held}, stderr=stream) as server:
        answered = health(server, f"http://127.0.0.1:{port}/health")
        server.send_signal(signal.SIGTERM)
        code = server.wait(20)
    assert answered["alive"]
    assert set(answered["use_cases"]) >= {"recommend"}
    assert code in (0, -signal.SIGTERM)
    assert "Traceback" not in log.read_text()
    assert not any(object_store.secrets[name] in log.read_text() for name in ("server_token", "pseudonym_key"))


def health(server, url):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return httpx.get(url, timeout=5).json()
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server did not come up")
