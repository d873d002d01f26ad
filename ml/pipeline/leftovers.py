"""Removes work folders of tasks that were killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil


def sweep(home: Path) -> None:
    """Remove what killed tasks of any run left in a home."""
    for parent in sorted((home / "work").glob("*/*")):
        remove(parent)


def remove(parent: Path) -> None:
    """Remove what killed tasks of the same run left here."""
    for leftover in parent.glob("*.*") if parent.exists() else ():
        owner = leftover.suffix.removeprefix(".")
        if owner.isdigit() and not _is_owned(leftover, int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)


def _is_owned(folder: Path, pid: int) -> bool:
    """Tell whether the process that made a folder still lives; one that began later was given its PID anew."""
    try:
        return psutil.Process(pid).create_time() <= folder.stat().st_mtime + 1
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
