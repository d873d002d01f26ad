"""Copies an installation while it works: objects, Airflow's database, ports, and, encrypted, its secrets and customers' keys.

Why the copy is consistent: every writer writes what is named before what names it, so this copies what names before what is
named (`PARTS`). Pointers and checkpoints come before entries, entries before all that they name, data before the keys that
open them, and marks of erasures last. Only a garbage collection takes away what an older entry names; it announces itself
in the ledger, and a copy that finds one announced meanwhile begins again. What was copied already is not copied twice.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ml.config import BucketName, Role
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound, StorageUnavailable
from ml.files import read_json, readable, sha256_file, write_private
from ml.pipeline import removal
from ml.private import make_private
from ml.registry.collect import ensure_at_rest
from ml.registry.ledger import Ledger
from ml.stack.sealed_keys import sealed
from ml.stack.up import Stack
from ml.store import Bucket

SCHEMA = "tradewind/backup/1"
MANIFEST, OBJECTS, PROGRESS, AIRFLOW, STACK = (
    "manifest.json",
    "objects.jsonl",
    "progress.jsonl",
    "airflow.db",
    "stack.json",
)
KEYS_FILE = "keys.sealed"
KEY_BUCKETS: tuple[BucketName, ...] = ("keys", "serving-keys")
"""Their objects go into the encrypted file alone."""
ENTRY = re.compile(r"(?P<use_case>[a-z][a-z0-9_-]{0,63})/[0-9]{8}\.json", re.ASCII)
ROUNDS = 20  # of a bucket that changes while it is copied, and of a copy that a collection overtook

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Copied:
    """One object of a backup."""

    bucket: BucketName
    key: str
    etag: str
    sha256: str
    size: int
    """[bytes]"""


@dataclass(frozen=True)
class Part:
    """Objects of a bucket that are listed and copied together."""

    bucket: BucketName
    holds: Callable[[str], bool] = lambda _: True
    must_rest: bool = False
    """Copy again until nothing changed meanwhile: an object there is replaced together with the one that names it."""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What was copied."""

    objects: int
    size: int
    """[bytes]"""
    keys: Path


def _below(*places: str) -> Callable[[str], bool]:
    return lambda key: key.startswith(places)


def _shelved(kind: str) -> Callable[[str], bool]:
    return lambda key: key.split("/")[1:2] == [kind]


NAMED = ("erasures/", "adoptions/")
"""Where documents lie that entries of a ledger name."""
PARTS: tuple[Part, ...] = (
    Part("ledger", _below("channels/", "checkpoints/")),
    Part("ledger", lambda key: not key.startswith(("channels/", "checkpoints/", *NAMED))),
    Part("ledger", _below(*NAMED)),
    *(Part("models", _shelved(kind)) for kind in ("referrers", "manifests", "blobs")),
    Part("reports"),
    Part("runs", lambda key: not key.startswith(removal.PREFIX)),  # in a restored store no removal is under way
    *(Part(name) for name in ("work", "raw")),
    Part("state", must_rest=True),
    Part("requests"),
)
LAST = Part("erasures")


def back_up(stack: Stack, folder: Path, passphrase: str, keys: Path | None = None) -> Backup:
    """Copy an installation into a folder; what a call that was killed copied there is used.

    Args:
        stack: Whose store answers.
        folder: New, empty, or begun by a call before. It is complete as soon as it holds `manifest.json`.
        passphrase: Encrypts secrets and customers' keys.
        keys: Where they go; default `keys.sealed` in the folder.

    Raises:
        ConfigInvalid: The folder holds something else, or a whole backup.
        StorageUnavailable: The store did not answer, or would not rest; call again, and it goes on.
    """
    folder, place = _prepared(folder), keys or folder / KEYS_FILE
    copier = _Copier(stack, folder)
    for _ in range(ROUNDS):
        objects = [one for part in PARTS for one in copier.copy(part)]
        hidden = {bucket: copier.read(bucket) for bucket in KEY_BUCKETS}
        objects += copier.copy(LAST)
        if not _is_overtaken(stack, objects):
            break
    else:
        raise StorageUnavailable("no garbage collection during the copy", "one each time", "Call again later.")
    _write_lines(folder / OBJECTS, objects)
    _copy_database(stack.home / "airflow" / AIRFLOW, folder / AIRFLOW)
    write_private(folder / STACK, readable(read_json(stack.home / STACK)))
    told = {name: sha256_file(folder / name) for name in (OBJECTS, AIRFLOW, STACK) if (folder / name).exists()}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    # The digests are encrypted with the keys as well: who alters a copy, and the manifest with it, is found out.
    write_private(place, sealed(passphrase, {"secrets": stack.secrets, "buckets": hidden, "files": told}))
    (folder / PROGRESS).unlink(missing_ok=True)
    manifest = {"schema": SCHEMA, "made": made, "files": told, "keys": sha256_file(place)}
    write_private(folder / MANIFEST, readable(manifest))
    log.info("backup made folder=%s objects=%d", folder, len(objects))
    return Backup(objects=len(objects), size=sum(one.size for one in objects), keys=place)


def read_lines(path: Path) -> Iterator[Copied]:
    """Yield the objects that a file lists; a last line that was cut off is passed over."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield Copied(**json.loads(line))


def bytes_of(folder: Path, digest: str) -> Path:
    """Return where a backup holds the bytes of a digest."""
    name = digest.removeprefix("sha256:")
    return folder / "objects" / name[:2] / name


class _Copier:
    """Copies objects with the least rights, each content once."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._folder = folder
        self._settings = {role: stack.settings(role) for role in ("read", "custodian")}
        self._progress = folder / PROGRESS
        self._known = {}
        if self._progress.exists():
            _cut(self._progress)
            self._known = {(one.bucket, one.key, one.etag): one for one in read_lines(self._progress)}

    def copy(self, part: Part) -> list[Copied]:
        """Copy what is there now and return it; an object that vanishes meanwhile is none."""
        bucket = self._bucket(part.bucket)
        for _ in range(ROUNDS):
            listed = [one for one in bucket.entries() if part.holds(one[0])]
            found = [one for key, tag in listed if (one := self._one(bucket, part.bucket, key, tag)) is not None]
            if not part.must_rest or listed == [one for one in bucket.entries() if part.holds(one[0])]:
                return found
        raise StorageUnavailable(
            f"the bucket {part.bucket} at rest for a moment", "changes all the time", "Call again."
        )

    def read(self, name: BucketName) -> dict[str, str]:
        """Return the objects of a bucket, in base64, by key."""
        bucket = self._bucket(name)
        found = ((key, bucket.find(key)) for key in list(bucket.keys()))
        return {key: base64.b64encode(data).decode() for key, data in found if data is not None}

    def _one(self, bucket: Bucket, name: BucketName, key: str, tag: str) -> Copied | None:
        known = self._known.get((name, key, tag))
        if known is not None and bytes_of(self._folder, known.sha256).exists():
            return known
        try:
            digest, size = self._keep(bucket, key)
        except ModelNotFound:
            return None
        copied = Copied(bucket=name, key=key, etag=tag, sha256=digest, size=size)
        with self._progress.open("ab") as file:
            file.write(_line(copied))
        self._known[name, key, tag] = copied
        return copied

    def _keep(self, bucket: Bucket, key: str) -> tuple[str, int]:
        """Write an object's bytes under their digest; they appear whole or not at all."""
        beside, hashed, size = self._folder / "objects" / ".part", hashlib.sha256(), 0
        with beside.open("wb") as file:
            for piece in bucket.stream(key, None):
                hashed.update(piece)
                size += file.write(piece)
        place = bytes_of(self._folder, hashed.hexdigest())
        place.parent.mkdir(mode=0o700, exist_ok=True)
        beside.chmod(0o600)
        beside.replace(place)
        return f"sha256:{hashed.hexdigest()}", size

    def _bucket(self, name: BucketName) -> Bucket:
        role: Role = "read" if name == "reports" else "custodian"
        return Bucket.open(self._settings[role], name)


def _prepared(folder: Path) -> Path:
    if (folder / MANIFEST).exists():
        raise ConfigInvalid("a new folder", f"a whole backup in {folder}", "Name another one.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "objects").is_dir():
        raise ConfigInvalid("a new folder", f"other files in {folder}", "Name another one.")
    folder = make_private(folder)
    (folder / "objects").mkdir(mode=0o700, exist_ok=True)
    return folder


def use_cases(objects: list[Copied]) -> list[str]:
    """Return the use cases that have a ledger."""
    found = (ENTRY.fullmatch(one.key) for one in objects if one.bucket == "ledger")
    return sorted({one["use_case"] for one in found if one})


def _is_overtaken(stack: Stack, objects: list[Copied]) -> bool:
    """Tell whether a collection was under way while objects were copied."""
    entries = {one.key for one in objects if one.bucket == "ledger"}
    for name in use_cases(objects):
        view = Ledger.open(stack.settings("read"), name)
        ensure_at_rest(view)
        new = (one for one in view.entries if f"{name}/{one.seq:08d}.json" not in entries)
        if any(one.action in ("collect", "collected") for one in new):
            return True
    return False


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database that others use, as it is between two of their transactions."""
    if not source.exists():
        return
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    connect = partial(sqlite3.connect, uri=True, timeout=60)
    try:
        with closing(connect(f"{source.absolute().as_uri()}?mode=ro")) as live, closing(connect(str(target))) as copy:
            live.backup(copy, pages=4096)
    except sqlite3.Error as error:
        raise IntegrityBroken(
            f"Airflow's database in {source}", type(error).__name__, "Look at it, call again."
        ) from error


def _cut(path: Path) -> None:
    """Cut off the half line that a killed call left."""
    data = path.read_bytes()
    write_private(path, data[: data.rfind(b"\n") + 1])


def _write_lines(path: Path, objects: list[Copied]) -> None:
    write_private(path, b"".join(map(_line, objects)))


def _line(one: Copied) -> bytes:
    return json.dumps(asdict(one), sort_keys=True).encode() + b"\n"


def is_whole(folder: Path, one: Copied) -> bool:
    """Tell whether a backup holds an object's bytes as they were copied."""
    place = bytes_of(folder, one.sha256)
    return place.is_file() and place.stat().st_size == one.size and sha256_file(place) == one.sha256
