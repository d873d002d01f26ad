"""A real PostgreSQL server for tests: started as another user where this one is root, on loopback, and stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from ml.stack.process import free_port

ADMIN, PASSWORD = "postgres", "an-admin-of-tests"


def programs() -> Path:
    """Return the folder of the server's programs; skip the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "/none")]
    if not found[-1].exists():
        pytest.skip("needs PostgreSQL (Debian's package postgresql)")
    return found[-1].parent


@contextmanager
def running_postgres() -> Iterator[sa.URL]:
    """Run a server; yield the address of its administrator, password included."""
    bin_, port = programs(), free_port()
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="tradewind-postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -F -c lc_messages=C"
    control: list[str | Path] = [*as_user, bin_ / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-s", "-w"]
    form = ["-U", ADMIN, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "--no-sync"]
    initdb: list[str | Path] = [*as_user, bin_ / "initdb", "-D", folder / "data", *form]
    try:
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        subprocess.run([*control, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        yield sa.URL.create("postgresql+psycopg2", ADMIN, PASSWORD, "127.0.0.1", port, "postgres")
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
        shutil.rmtree(folder)
