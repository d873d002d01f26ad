"""Brings outputs of earlier stages from a DVC remote into DVC's cache, each object checked against its name.

DVC believes that a remote object holds what its name says, and that a folder's list names files inside the folder. Whoever
may write the bucket could make both untrue, so the objects are fetched here and DVC finds them in its cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ml.errors import IntegrityBroken, ModelNotFound, StorageUnavailable
from ml.pipeline.listing import LISTING_LIMIT_BYTES, read_listing
from ml.store import Bucket

FOLDER = ".dir"  # the end of the hash of a folder
OBJECT_MODE = 0o400  # as objects in the cache are protected
TOGETHER = 8  # objects that are fetched at the same time
PREFIX = "dvc/files/md5"


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output of a stage as the run's lock names it."""

    path: str
    """Below the workspace."""
    md5: str
    """With `.dir` at its end where it is a folder."""
    size: int | None
    """Of all its files [bytes]."""

    def holds(self, path: str) -> bool:
        """Tell whether a path is this output or below it."""
        return path == self.path or path.startswith(f"{self.path}/")


def object_key(md5: str) -> str:
    """Return where a DVC remote holds what bears a hash."""
    return f"{PREFIX}/{md5[:2]}/{md5[2:]}"


def fetch(remote: Bucket, cache: Path, output: Output, path: str) -> None:
    """Bring what lies at a path of an output into the cache.

    Args:
        remote: The bucket of the output's remote.
        cache: DVC's cache folder.
        output: The output.
        path: The output's own path, or one below it.

    Raises:
        ModelNotFound: Nothing lies at the path, or the remote no longer holds it.
        IntegrityBroken: An object does not hold what its name says, or a list names a place outside its folder.
        StorageUnavailable: The store did not answer.
    """
    wanted = set(_objects(remote, cache, output, path))
    missing = sorted(md5 for md5 in wanted if not _place(cache, md5).exists())
    with ThreadPoolExecutor(TOGETHER) as threads:
        for done in [threads.submit(_bring, remote, cache, md5, output.size) for md5 in missing]:
            done.result()


def restore(remote: Bucket, cache: Path, output: Output) -> int:
    """Write the objects of an output that the remote lacks, from the cache; return how many those were.

    Files go before the list of their folder: whoever finds the list finds the files.

    Raises:
        StorageUnavailable: The cache does not hold one either.
    """
    is_folder = output.md5.endswith(FOLDER)
    files = set(_objects(remote, cache, output, output.path)) if is_folder else set()
    missing = [md5 for md5 in (*sorted(files), output.md5) if not remote.exists(object_key(md5))]
    for md5 in missing:
        place = _place(cache, md5)
        if not place.exists():
            raise StorageUnavailable(f"the output at {_named(remote, md5)}", "none", "Run the task again.")
        remote.put(object_key(md5), place.read_bytes())
    return len(missing)


def _objects(remote: Bucket, cache: Path, output: Output, path: str) -> Iterator[str]:
    if not output.md5.endswith(FOLDER):
        yield output.md5
        return
    if not _place(cache, output.md5).exists():
        _bring(remote, cache, output.md5, LISTING_LIMIT_BYTES)
    data = _place(cache, output.md5).read_bytes()
    files, inside = read_listing(data, _named(remote, output.md5)), path[len(output.path) + 1 :]
    chosen = [md5 for name, md5 in files.items() if not inside or name == inside or name.startswith(f"{inside}/")]
    if inside and not chosen:
        raise ModelNotFound(f"{path} in this run", "no such file", "Run the stage that makes it.")
    yield from chosen


def _bring(remote: Bucket, cache: Path, md5: str, limit: int | None) -> None:
    """Write an object into the cache; it appears whole and checked, or not at all."""
    target, found = _place(cache, md5), hashlib.md5(usedforsecurity=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with beside.open("xb") as file:
            for piece in remote.stream(object_key(md5), limit):
                found.update(piece)
                file.write(piece)
        if found.hexdigest() != md5.removesuffix(FOLDER):
            raise IntegrityBroken(
                f"an object whose MD5 is its name at {_named(remote, md5)}",
                found.hexdigest(),
                "Somebody wrote over it: delete it and the list of its folder, and run the stage that makes it again.",
            )
        beside.chmod(OBJECT_MODE)
        beside.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def _place(cache: Path, md5: str) -> Path:
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _named(remote: Bucket, md5: str) -> str:
    return f"s3://{remote.name}/{object_key(md5)}"
