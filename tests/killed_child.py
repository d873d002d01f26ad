"""A process that forks a copy of itself for each job and kills the copy with SIGKILL at the step the job names.

Steps of a promotion and a rollback are the moments just before a request to the object store leaves and just after its
answer came; steps of packaging are the moments before a file is opened, renamed or removed. Nothing in the product
knows: the hooks are boto3's and Python's own. Jobs and their ends are JSON lines.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3

from ml.config import Settings, load_settings
from ml.maintenance import aged, objects, runs
from ml.pipeline import package
from ml.pipeline.context import StageContext
from ml.pipeline.erase import Order, erase
from ml.registry.collect import Kept, collect
from ml.store import connect
from tests.promotable_run import roll_back, use_case, walk_in
from tests.unused import NO_PARAMS

FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "shutil.copyfile", "shutil.rmtree"}


class Steps:
    """Counts steps, and ends the process at the one that is fatal."""

    def __init__(self) -> None:
        self.fatal = None
        self.taken = 0
        self.watches_files = False

    def __call__(self, **_: Any) -> None:
        if self.taken == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.taken += 1

    def audit(self, event: Any, _: Any) -> None:
        if self.watches_files and event in FILE_EVENTS:
            self()


STEPS = Steps()


def act(job: Any, held: Settings) -> None:
    name, root = job["name"], Path(job.get("root", "."))
    if job["act"] == "package":
        context = StageContext(use_case=use_case(name), params=NO_PARAMS, inputs={}, settings=held, root=root)
        STEPS.watches_files = True
        package.run(context)
        STEPS.watches_files = False
    elif job["act"] == "collect":
        collect(held, name, Kept(newest=1, horizon_days=0), "ada")
    elif job["act"] == "erase":
        erase(held, name, Order(customer=job["customer"], who="ada", why="asked to"))
    elif job["act"] == "maintain":
        for step in (runs.run, objects.run, aged.reports):
            step(held, datetime.fromisoformat(job["now"]), is_trial=False)
    elif job["act"] == "promote":
        walk_in(held, name, root)
    else:
        roll_back(held, name, job["digest"])


def forked(job: Any, held: Settings) -> dict[str, Any]:
    """Do one job in a copy of this process; return how it ended and how many steps it took if it came to its end."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        STEPS.fatal = job["fatal"]
        act(job, held)
        os.write(sink, str(STEPS.taken).encode())
        os._exit(0)
    os.close(sink)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(source) as stream:
        steps = stream.read()
    return {"killed": os.WIFSIGNALED(status), "steps": int(steps) if steps else None}


def main() -> None:
    held = load_settings()
    connect(held)  # warms what every copy would read again
    session = boto3.DEFAULT_SESSION
    assert session is not None
    for moment in ("before-send.s3", "response-received.s3"):
        session.events.register(moment, STEPS)
    sys.addaudithook(STEPS.audit)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(forked(json.loads(line), held)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
