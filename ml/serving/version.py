"""A version in memory, ready to answer, and the copies of verified versions on this disk."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ml.contract import Arrays, JsonObject, Predictor, UseCase
from ml.errors import IntegrityBroken
from ml.files import read_json, sha256_file, write_json
from ml.packaging.golden import replay
from ml.packaging.version import ensure_parts
from ml.registry.live import Live
from ml.serving.versions import Versions

if TYPE_CHECKING:
    import numpy as np

Origin: TypeAlias = Literal["store", "cache"]

POOL = min(4, os.cpu_count() or 1)  # interpreters of one version: each answers one request at a time
KEPT = 3  # versions of a use case that stay on this disk
CURRENT = "current.json"
FILES, RECORD = ".files.json", ".record.json"

log = logging.getLogger(__name__)


class Pool:
    """Predictors of one version, lent to one caller at a time: an interpreter is not thread-safe."""

    def __init__(self, predictors: list[Predictor]) -> None:
        self._idle: queue.LifoQueue[Predictor] = queue.LifoQueue()
        for predictor in predictors:
            self._idle.put(predictor)

    def __call__(self, inputs: Arrays) -> np.ndarray:
        """Return scores `(n_rows, n_outputs)`; wait for a predictor if all are busy."""
        with self._borrowed() as predictor:
            return predictor(inputs)

    @contextmanager
    def _borrowed(self) -> Iterator[Predictor]:
        predictor = self._idle.get()
        try:
            yield predictor
        finally:
            self._idle.put(predictor)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A verified version that answers requests."""

    live: Live
    predictor: Predictor
    state: JsonObject
    facts: JsonObject
    """The version's own `version.json`."""
    record: JsonObject
    """What promotion signed about it: origin, gate, documents."""
    golden: int
    """Golden requests that were answered as when the version was made."""
    origin: Origin
    """Whether the ledger was asked, or this disk because the store was away."""
    loaded: str
    """UTC, ISO 8601."""


class VersionCache:
    """Verified versions below a folder, and which one was served last.

    A file list beside each version tells a disk error from a whole copy; authenticity is settled when it is fetched.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def bring(self, versions: Versions, live: Live) -> Path:
        """Return the folder of a version's files, fetched and verified unless a whole copy is here."""
        home = self._folder / live.use_case / live.digest.removeprefix("sha256:")
        if not _is_whole(home):
            shutil.rmtree(home, ignore_errors=True)
            beside = home.with_name(f".{uuid.uuid4().hex}")
            beside.mkdir(parents=True)
            try:
                fetched = versions.fetch(live.use_case, live.digest, beside)
                write_json(fetched / RECORD, versions.record(live.use_case, live.digest))
                write_json(fetched / FILES, _digests(fetched))
                fetched.rename(home)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
        return home

    def remember(self, live: Live) -> None:
        """Note what is served now, for a restart without the store, and forget the oldest copies."""
        folder = self._folder / live.use_case
        write_json(folder / CURRENT, asdict(live))
        home = folder / live.digest.removeprefix("sha256:")
        home.touch()
        copies = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for path in copies[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)

    def last(self, use_case: str) -> tuple[Live, Path] | None:
        """Return what was served last and its folder; none if there is no whole copy."""
        record = self._folder / use_case / CURRENT
        if not record.exists():
            return None
        try:
            live = Live(**read_json(record))
        except TypeError as error:
            raise IntegrityBroken(f"a version's facts in {record}", str(error), "Delete the file.") from error
        home = self._folder / use_case / live.digest.removeprefix("sha256:")
        return (live, home) if _is_whole(home) else None


def load(use_case: UseCase, live: Live, folder: Path, origin: Origin) -> Served:
    """Open a version's files and replay its golden requests.

    Raises:
        IntegrityBroken: A file is missing or broken, or a golden request is answered otherwise.
    """
    facts = ensure_parts(folder, use_case.name)
    try:
        golden = replay(use_case, folder)
        pool = Pool([use_case.model.open(folder / "model") for _ in range(POOL)])
    except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise IntegrityBroken(
            f"a version of {use_case.name} that this server's code can run",
            type(error).__name__,
            "Package it again with this code, or update the server. The version before stays live.",
        ) from error
    log.info("version ready use_case=%s digest=%s golden=%d", live.use_case, live.digest, golden)
    return Served(
        live=live,
        predictor=pool,
        state=read_json(folder / "state.json"),
        facts=facts,
        record=read_json(folder / RECORD),
        golden=golden,
        origin=origin,
        loaded=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _digests(folder: Path) -> JsonObject:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILES)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / FILES).exists() and read_json(folder / FILES) == _digests(folder)
    except IntegrityBroken:  # a list that was cut off: the copy is fetched again
        return False
