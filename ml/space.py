"""Room on a disk: asked before it is needed, for what fails half-way is dearer than what does not begin."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

from ml.errors import StorageUnavailable

MIB = 1 << 20
OF_FULL_DISKS = ("disk is full", "disk I/O error", "unable to open database file")  # as SQLite says


def free_bytes(folder: Path) -> int:
    """Return how many bytes this user may still write where a folder is, or will be."""
    existing = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(existing).free


def full_disk(error: OSError | sqlite3.Error) -> StorageUnavailable | None:
    """Return the error to tell where a disk took no more; none where something else is wrong."""
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if not is_full and not (isinstance(error, sqlite3.Error) and any(word in str(error) for word in OF_FULL_DISKS)):
        return None
    place = getattr(error, "filename", None) or "the disk"
    return StorageUnavailable(f"room on {place}", "none left, or a disk that fails", "Free space there and try again.")


def ensure_free(folder: Path, needed_mb: int) -> None:
    """Make sure that there is room for a run.

    Args:
        folder: Where it will write.
        needed_mb: How much must be free [MiB]; 0 asks for nothing.

    Raises:
        StorageUnavailable: There is less; once space is free again a retry helps.
    """
    free = free_bytes(folder)
    if free < needed_mb * MIB:
        raise StorageUnavailable(
            f"at least {needed_mb:,} MiB free in {folder} (TRADEWIND_MIN_FREE_MB)",
            f"{free // MIB:,} MiB",
            "Free space on that disk and try again.",
            needed_bytes=needed_mb * MIB,
            free_bytes=free,
        )
