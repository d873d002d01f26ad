"""Where the installed project lies, and where a workspace holds what a run's inputs name by digest."""

from __future__ import annotations

from pathlib import Path

import ml

PROJECT = Path(ml.__file__).parent.parent


def profile_path(digest: str) -> str:
    """Return where a workspace holds a profile."""
    return f"profiles/{digest.removeprefix('sha256:')}.json"


def rows_path(digest: str) -> str:
    """Return where a workspace holds marks of released rows."""
    return f"released/{digest.removeprefix('sha256:')}.json"
