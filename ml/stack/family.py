"""Which processes belong to a part of the stack: whatever it started carries its mark, even when the part itself is dead.

Airflow gives each task a process group of its own, so that neither a group nor a parent finds them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import psutil

MARK = "TRADEWIND_STACK"
"""Variable that every process of a part inherits: the stack's own mark, a slash, the part's name."""
KEEP_ENVIRONMENT = {"SPT_NOENV": "1"}
"""Airflow renames its processes; without this the new name overwrites the variables by which they are found."""
STOP_SECONDS = 15  # a process that has not ended after SIGTERM by then is killed


def marked(mark: str) -> list[psutil.Process]:
    """Return the living processes that carry a mark, or one below it; never this one or what started it."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [one for one in psutil.process_iter() if one.pid not in spared and _carries(one, mark)]


def session(leader: int, created: float) -> list[psutil.Process]:
    """Return the living processes of a session whose leader had this PID and started then [s since the epoch].

    As long as one of them lives the system gives the PID to nobody else; if somebody has it, the session has ended.
    """
    try:
        if abs(psutil.Process(leader).create_time() - created) >= 1:
            return []
    except psutil.NoSuchProcess:
        pass
    return [one for one in psutil.process_iter() if one.pid != os.getpid() and _in_session(one, leader, created)]


def end(processes: Sequence[psutil.Process]) -> None:
    """End processes, those that do not listen by force; a stopped one is let go on, so that it can listen."""
    for process in processes:
        _quietly(process.terminate)
        _quietly(process.resume)
    _, alive = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=STOP_SECONDS)


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        found = process.environ().get(MARK, "")
        return (found == mark or found.startswith(f"{mark}/")) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _in_session(process: psutil.Process, leader: int, created: float) -> bool:
    try:
        if os.getsid(process.pid) != leader or process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.create_time() >= created - 1
    except (psutil.Error, OSError):
        return False


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return
