"""What keeps other users of this machine out: the umask of every process, and a home for its owner alone."""

from __future__ import annotations

import logging
import os
import resource
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ml.errors import ConfigInvalid

UMASK = 0o077
FOLDER_MODE = 0o700

log = logging.getLogger(__name__)


def restrict_new_files() -> None:
    """Set the umask of this process and its children: what they create is for their owner alone. No crash leaves a core file.

    Every entry point calls it first: DVC reads the umask once, while it is imported. A core file would hold keys.
    """
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def make_private(home: Path) -> Path:
    """Create the home for its owner alone, or make sure that it is; return its absolute path.

    A home of ours that others may enter (earlier versions made it with mode 0755) is tightened, and a warning says so.

    Raises:
        ConfigInvalid: The home is a symbolic link, no folder, or somebody else's; or everybody may
            write in a folder above it and so replace it.
    """
    home = home.absolute()
    _check_above(home)
    try:
        home.mkdir(parents=True, mode=FOLDER_MODE)
    except FileExistsError:
        _check(home)
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode != FOLDER_MODE:
        home.chmod(FOLDER_MODE)
    if mode & 0o077:
        log.warning("home tightened path=%s from mode %03o to %03o", home, mode, FOLDER_MODE)
        _tighten_below(home)
    return home


def _check(home: Path) -> None:
    """Refuse a home that somebody else made or may exchange."""
    remedy = "Set TRADEWIND_HOME to a folder of your own, or remove this one."
    found = home.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise ConfigInvalid(
            f"{home} to be a folder",
            f"a symbolic link to {home.readlink()}",
            "Set TRADEWIND_HOME to the folder itself.",
        )
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigInvalid(f"{home} to be a folder", "a file", remedy)
    if found.st_uid != os.getuid():
        raise ConfigInvalid(
            f"{home} to belong to the user who runs Tradewind (uid {os.getuid()})",
            f"a folder of uid {found.st_uid}",
            remedy,
        )


def _tighten_below(home: Path) -> None:
    """Take others' rights from all that lies below; forget caches in which they could have planted something.

    DVC unpickles its site cache and trusts its cache's names, and earlier versions left both open to everybody's writes.
    """
    caches = home / "cache"
    if any(folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) for folder in _folders(caches)):
        log.warning("caches forgotten path=%s: other users could write there", caches)
        shutil.rmtree(caches)
    for folder in _folders(home):
        for path in (folder, *folder.iterdir()):
            mode = path.lstat().st_mode
            if mode & 0o077 and not stat.S_ISLNK(mode):
                path.chmod(stat.S_IMODE(mode) & ~0o077)


def _folders(top: Path) -> Iterator[Path]:
    """Yield the folder and all below it, without following links."""
    yield from (Path(folder) for folder, _, _ in os.walk(top))


def _check_above(home: Path) -> None:
    """Refuse a folder above the home in which everybody may rename the home."""
    for folder in home.parents:
        if not folder.exists():
            continue
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise ConfigInvalid(
                f"{folder}, which holds {home.name}, closed to other users' writes",
                f"mode {stat.S_IMODE(mode):o}",
                f"Run: chmod o-w {folder}; or set TRADEWIND_HOME to another place.",
            )
