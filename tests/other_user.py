"""Another user of the same machine, for tests that show what they cannot do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


def as_nobody(command: Any, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a shell command as another user, in an environment of their own: the completed process."""
    own = {"PATH": os.defpath, "HOME": "/nonexistent"}
    who: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.run(
        ["/bin/sh", "-c", command], env=own, cwd="/", check=False, capture_output=True, **who, **options
    )


def too_open(home: Path) -> dict[str, str]:
    """Return the folder and all paths below it to which group or others have any right, with their modes."""
    paths = [path for path in (home, *home.rglob("*")) if not path.is_symlink() and path.lstat().st_mode & 0o077]
    return {str(path): oct(path.lstat().st_mode) for path in paths}
