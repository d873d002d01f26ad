"""Room on a disk: asked before it is needed, for what fails half-way is dearer than what does not begin."""

from __future__ import annotations

import shutil
from pathlib import Path

from ml.errors import StorageUnavailable

MIB = 1 << 20


def free_bytes(folder: Path) -> int:
    """Return how many bytes this user may still write where a folder is, or will be."""
    existing = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    return shutil.disk_usage(existing).free


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
