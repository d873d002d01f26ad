"""Old files below a folder of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path


def older(folder: Path, pattern: str, since: datetime) -> dict[Path, int]:
    """Return the size [bytes] of each file below a folder that was last written before a moment; no link is followed."""
    found: dict[Path, int] = {}
    for path in sorted(folder.glob(pattern)) if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            facts = path.lstat()
            if path.is_file() and not path.is_symlink() and facts.st_mtime < since.timestamp():
                found[path] = facts.st_size
    return found


def remove(folder: Path, files: Iterable[Path]) -> None:
    """Remove files, and the folders below `folder` that are empty then."""
    for path in files:
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == folder or not parent.is_relative_to(folder):
                break
            with contextlib.suppress(OSError):  # somebody else's file is in it
                parent.rmdir()
