"""Puts a backup into an empty installation and shows that it is whole before anybody may start it."""

from __future__ import annotations

import base64
import logging
import mimetypes
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ml.config import BucketName, Settings
from ml.contract import JsonObject
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical, read_json, sha256_file, write_private
from ml.packaging import golden
from ml.pipeline.erase import erase_again
from ml.pipeline.ledger_audit import audit
from ml.private import make_private
from ml.registry.fetch import fetch_version
from ml.registry.ledger import Ledger
from ml.stack import objectstore
from ml.stack.backup import (
    AIRFLOW,
    KEYS_FILE,
    MANIFEST,
    OBJECTS,
    SCHEMA,
    STACK,
    Copied,
    bytes_of,
    is_whole,
    read_lines,
    use_cases,
)
from ml.stack.process import Children, free_port
from ml.stack.sealed_keys import opened
from ml.stack.secret import ADMIN, load_all
from ml.stack.up import Stack
from ml.store import Bucket

if TYPE_CHECKING:
    from ml.contract import UseCase

ANOTHER = "Take another backup; nothing was restored."

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A backup that was found whole."""

    folder: Path
    objects: list[Copied]
    secrets: dict[str, str]
    keys: dict[BucketName, dict[str, str]]
    """Objects of the key buckets, in base64."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What is there again, of one use case."""

    use_case: str
    entries: int
    documents: int
    erased_again: int
    """Things of erased customers that the backup still held."""
    answered: dict[str, int]
    """Golden requests that the version on each channel answered as it did."""


def verified(folder: Path, passphrase: str, keys: Path | None = None) -> Whole:
    """Read a backup and compare all of it with what was encrypted when it was made.

    Raises:
        IntegrityBroken: It is not complete, or was altered.
        ConfigInvalid: Another passphrase.
    """
    place = keys or folder / KEYS_FILE
    if not (folder / MANIFEST).exists():
        raise IntegrityBroken(f"a complete backup in {folder}", f"no {MANIFEST}", "Run the backup again: it goes on.")
    manifest = read_json(folder / MANIFEST)
    if manifest.get("schema") != SCHEMA:
        raise IntegrityBroken(f"{SCHEMA} in {folder / MANIFEST}", repr(manifest.get("schema"))[:80], ANOTHER)
    if not place.exists():
        raise ConfigInvalid(f"the encrypted keys in {place}", "no file", "Say with --keys where they are.")
    hidden = opened(passphrase, place.read_bytes(), str(place))
    _ensure_files(folder, manifest, hidden["files"], place)
    objects = list(read_lines(folder / OBJECTS))
    if broken := [one for one in objects if not is_whole(folder, one)]:
        first = f"s3://{broken[0].bucket}/{broken[0].key}"
        raise IntegrityBroken(
            f"all {len(objects)} objects as they were copied",
            f"{len(broken)} altered or missing, {first} first",
            ANOTHER,
        )
    return Whole(folder=folder, objects=objects, secrets=hidden["secrets"], keys=hidden["buckets"])


def restore(whole: Whole, home: Path, known: dict[str, UseCase], newer: Path | None = None) -> list[Restored]:
    """Put a backup into an empty installation, verify it there, and apply the erasures in force again.

    Its object store runs only meanwhile; where something does not hold, nothing is left.

    Args:
        whole: What `verified` returned.
        home: A folder that is not there, or empty.
        known: Use cases whose live versions are asked their golden requests.
        newer: Another backup, made later: its marks of erasures count as well.

    Raises:
        ConfigInvalid: The home holds something.
        IntegrityBroken: A ledger, a document, a version or an answer does not hold.
    """
    if home.exists() and any(home.iterdir()):
        raise ConfigInvalid(
            "an empty folder as --home", f"files in {home}", "Name another folder; nothing was changed."
        )
    marks = [] if newer is None else [(newer, one) for one in read_lines(newer / OBJECTS) if one.bucket == "erasures"]
    if broken := [one.key for folder, one in marks if not is_whole(folder, one)]:
        raise IntegrityBroken(f"the marks of erasures in {newer} as they were copied", broken[0], ANOTHER)
    home = make_private(home)
    try:
        with _running(home, whole) as stack:
            _put_all(stack, whole, marks)
            names = sorted({*use_cases(whole.objects), *(one.key.partition("/")[0] for _, one in marks)})
            found = [_verified(stack, name, known.get(name)) for name in names]
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    if (whole.folder / AIRFLOW).exists():
        (home / "airflow").mkdir(mode=0o700)
        write_private(home / "airflow" / AIRFLOW, (whole.folder / AIRFLOW).read_bytes())
    write_private(home / STACK, (whole.folder / STACK).read_bytes())
    log.info("backup restored folder=%s home=%s", whole.folder, home)
    return found


def _ensure_files(folder: Path, manifest: JsonObject, told: JsonObject, keys: Path) -> None:
    found = {name: sha256_file(folder / name) for name in told if (folder / name).is_file()}
    differing = sorted(name for name in told if found.get(name) != told[name])
    if manifest.get("files") != told or manifest.get("keys") != sha256_file(keys):
        differing.append(MANIFEST)
    if differing:
        raise IntegrityBroken(f"the files of {folder} as they were copied", f"others: {', '.join(differing)}", ANOTHER)


@contextmanager
def _running(home: Path, whole: Whole) -> Iterator[Stack]:
    write_private(home / "secrets.json", canonical(whole.secrets))
    known = read_json(whole.folder / STACK)
    fields = {"airflow_port": known["airflow_port"], "server_port": known["server_port"], "prefix": known["prefix"]}
    secrets = load_all(home / "secrets.json")  # what newer code needs is added
    stack = Stack(home=home, s3_port=free_port(), secrets=secrets, **fields)
    children = Children(home / "run")
    objectstore.start(children, home / "store", stack.s3_port, secrets, stack.prefix)
    try:
        yield stack
    finally:
        children.stop(objectstore.CHILD)


def _put_all(stack: Stack, whole: Whole, marks: list[tuple[Path, Copied]]) -> None:
    """Put everything in its place: first what is named, last what names, as its writers did."""
    changes = {
        "s3_access_key": stack.secrets[f"s3_{ADMIN}_access_key"],
        "s3_secret_key": SecretStr(stack.secrets[f"s3_{ADMIN}_secret_key"]),
    }
    admin = stack.settings("read").model_copy(update=changes)
    buckets = {
        name: Bucket.open(admin, name) for name in {*(one.bucket for one in whole.objects), *whole.keys, "erasures"}
    }
    for name, held in whole.keys.items():
        for key, text in held.items():
            buckets[name].put(key, base64.b64decode(text), "application/json")
    for folder, one in [*((whole.folder, one) for one in reversed(whole.objects)), *marks]:
        kind = mimetypes.guess_type(one.key)[0] or "application/octet-stream"
        buckets[one.bucket].put(one.key, bytes_of(folder, one.sha256).read_bytes(), kind)


def _verified(stack: Stack, name: str, use_case: UseCase | None) -> Restored:
    reader = stack.settings("read")
    custodian = stack.settings("custodian", "master_key", "pseudonym_key", "signing_key")
    held = audit(reader, name)
    again = erase_again(custodian.model_copy(update={"store_admin": stack.home / "store"}), name)
    answered = dict(_answered(reader, use_case)) if use_case else {}
    return Restored(
        use_case=name, entries=held.entries, documents=held.documents, erased_again=again, answered=answered
    )


def _answered(settings: Settings, use_case: UseCase) -> Iterator[tuple[str, int]]:
    """Yield how many golden requests the version on each channel answered."""
    view = Ledger.open(settings, use_case.name)
    for channel in view.channels:
        live = view.live(channel)
        if live is not None:
            with tempfile.TemporaryDirectory() as folder:
                yield (
                    channel,
                    golden.replay(use_case, fetch_version(settings, use_case.name, live.digest, Path(folder))),
                )
