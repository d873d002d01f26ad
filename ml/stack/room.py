"""Room that an embedded stack has left: bytes on its disk and volumes that its store may still open."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from ml.files import read_json
from ml.space import MIB, free_bytes
from ml.stack.objectstore import PORTS_FILE
from ml.stack.seaweed import TLS_FILE

FEW_SLOTS = 30
"""Each bucket opens up to seven volumes at a time."""


def warnings(home: Path, needed_mb: int) -> list[str]:
    """Return a sentence for each kind of room that runs out, before anything fails.

    Args:
        home: Folder of the stack.
        needed_mb: How much must be free for a run [MiB]; the warning comes at twice that.
    """
    free, slots = free_bytes(home), free_slots(home / "store")
    found = []
    if free < 2 * needed_mb * MIB:
        found.append(f"{free // MIB:,} MiB are free in {home}; a run needs {needed_mb:,} MiB (TRADEWIND_MIN_FREE_MB)")
    if slots is not None and slots < FEW_SLOTS:
        found.append(f"the object store may open {slots} more volumes; a bucket opens up to seven at a time")
    return found


def free_slots(store: Path) -> int | None:
    """Return how many volumes the store may still open, as its master says; none while it does not answer.

    Args:
        store: Folder of the store, with its certificate: nobody else gets this answer.
    """
    if not (store / PORTS_FILE).exists():
        return None
    port = read_json(store / PORTS_FILE)["master.port"]
    context = ssl.create_default_context(cafile=str(store / TLS_FILE))
    context.load_cert_chain(store / TLS_FILE)
    try:
        answer = httpx.get(f"https://127.0.0.1:{port}/dir/status", verify=context, timeout=5)
        return int(answer.json()["Topology"]["Free"])
    except (httpx.HTTPError, ValueError, KeyError):
        return None
