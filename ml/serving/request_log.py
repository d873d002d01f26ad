"""What was asked, answered and observed, as JSON lines: first on this disk, then in the object store.

A line is on disk before the answer leaves; a thread carries full files to the `requests` bucket. While
the store is away files wait, up to a bound, and no answer waits for it. Lines of a customer who was erased go nowhere.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import SEEK_END, FileIO
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from ml.contract import JsonObject
from ml.errors import IntegrityBroken, StorageUnavailable, TradewindError
from ml.files import parse_object
from ml.serving.request_id import RequestIds
from ml.serving.steady import Pulse, Steady, place
from ml.store import Bucket

Kind: TypeAlias = Literal["requests", "events", "handovers"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Undo: TypeAlias = Callable[[], None]
"""Takes a line back that nothing followed yet."""
Erased: TypeAlias = Callable[[str], Mapping[str, str]]
"""Name of a use case -> when customers were erased from it, by pseudonym [UTC, ISO 8601]."""

REQUEST_SCHEMA = "tradewind/request/1"
EVENT_SCHEMA = "tradewind/event/1"
HANDOVER_SCHEMA = "tradewind/handover/1"
FLUSH_SECONDS = 5.0  # longest time a line waits on this disk while the store answers
FLUSH_LINES = 1000  # a file with as many lines is carried away at once
SPOOL_BYTES = 256 * 1024 * 1024  # what may wait on this disk; further lines are dropped and counted
OPEN, READY = ".open", ".jsonl"
PSEUDONYM = re.compile(rb"\b[0-9a-f]{32}\b")
NAME = re.compile(r".*/(\d{13})-[0-9a-f]{4}-[0-9a-f]{12}\.jsonl")

log = logging.getLogger(__name__)


@dataclass
class _File:
    """The file that lines of one kind and use case go to now."""

    path: Path
    stream: FileIO
    lines: int = 0

    def append(self, data: bytes) -> None:
        """Write a line, or nothing: half a line that a full disk took is cut off again."""
        end = self.stream.seek(0, SEEK_END)
        try:
            written = self.stream.write(data)
            while written < len(data):
                written += self.stream.write(data[written:])
        except OSError:
            self.stream.truncate(end)
            raise
        self.lines += 1


@dataclass
class _Count:
    """What the log did since the start."""

    written: int = 0
    dropped: int = 0
    refused: int = 0
    """Lines that this disk did not take; their requests were refused."""
    uploaded_files: int = 0
    waiting_bytes: int = field(default=0)


class RequestLog:
    """Appends lines to files below a folder and carries the files to the bucket; safe to use from many threads.

    Args:
        folder: Where files wait; what an earlier process left there is carried away too.
        bucket: The `requests` bucket.
        limit_bytes: What may wait [bytes].
        replica: Tells the files of this process from those of others, as its request ids do.
        erased: Asked before a file is carried away, and after it: what was written of who was erased is left out.
    """

    def __init__(
        self,
        folder: Path,
        bucket: Bucket,
        limit_bytes: int = SPOOL_BYTES,
        replica: str | None = None,
        erased: Erased = lambda _: {},
    ) -> None:
        self._replica = replica or RequestIds().replica
        self._folder = folder
        self._bucket = bucket
        self._limit = limit_bytes
        self._erased = erased
        self._lock = threading.Lock()
        self._carrying = threading.Lock()
        self._open: dict[tuple[Kind, str, str], _File] = {}
        self._thread = Steady("request-log", self.flush, FLUSH_SECONDS)
        self.count = _Count()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._recover()

    def start(self) -> None:
        """Start carrying."""
        self._thread.start()

    def stop(self) -> None:
        """Carry what waits, once more, and stop; what the store does not take stays for the next start."""
        self._thread.stop()
        try:
            self.flush()
        except (OSError, TradewindError) as error:
            log.warning("request log waits for the next start kind=%s", type(error).__name__)

    def pulse(self) -> Pulse:
        """Return how the thread is that carries."""
        return self._thread.pulse()

    def append(self, kind: Kind, use_case: str, time: datetime, line: JsonObject, *, must: bool = False) -> Undo:
        """Put a line on this disk; beyond the bound it is dropped and counted, unless it must be written.

        Numbers that are none are written as null: a line is JSON as the standard has it.

        Raises:
            StorageUnavailable: This disk takes no line, since it is full for instance; nothing of it was written.
        """
        data = json.dumps(_finite(line), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._lock:
            if self.count.waiting_bytes + len(data) > self._limit:
                self.count.dropped += not must
                if must:
                    raise self._full()
                return lambda: None
            try:
                file = self._file(kind, use_case, time.astimezone(UTC))
                file.append(data)
            except OSError as error:
                self.count.refused += 1
                raise StorageUnavailable(
                    "room for a line of the request log on the server's disk",
                    error.strerror or type(error).__name__,
                    "Try again; the operators have to make room on the server's disk.",
                ) from error
            self.count.written += 1
            self.count.waiting_bytes += len(data)
        if file.lines >= FLUSH_LINES:
            self._thread.wake()
        return lambda: self._take_back(file, len(data))

    def _full(self) -> StorageUnavailable:
        self.count.refused += 1
        return StorageUnavailable(
            f"room in the request log, {self._limit} bytes",
            f"{self.count.waiting_bytes} bytes that wait for the object store",
            "Try again once the object store answers.",
        )

    def _take_back(self, file: _File, size: int) -> None:
        with self._lock:
            if not file.stream.closed:  # else it is on its way already
                file.stream.truncate(file.stream.seek(0, SEEK_END) - size)
                file.lines -= 1
                self.count.written -= 1
                self.count.waiting_bytes -= size

    def flush(self) -> None:
        """Close the open files and carry all that waits; return when done or when the store is away.

        What cannot be carried for another reason stays here and stops nothing else.

        Raises:
            IntegrityBroken: Something could not be carried; the rest was.
        """
        left: Exception | None = None
        with self._carrying:
            self._close_files()
            for path in sorted(self._folder.rglob(f"*{READY}")):
                try:
                    if not self._carry(path):
                        return
                except Exception as error:  # of one use case's marks, or of one file: the others go on
                    left = error
                    log.error("request log keeps %s kind=%s at=%s", path.name, type(error).__name__, place(error))
        if left is not None:
            raise IntegrityBroken("to carry the whole request log", type(left).__name__, "See the log.") from left

    def _file(self, kind: Kind, use_case: str, time: datetime) -> _File:
        day = time.date().isoformat()
        known = self._open.get((kind, use_case, day))
        if known is None:
            name = f"{int(time.timestamp() * 1000):013d}-{self._replica}-{uuid.uuid4().hex[:12]}{OPEN}"
            path = self._folder / kind / use_case / day / name
            path.parent.mkdir(parents=True, exist_ok=True)
            known = _File(path=path, stream=FileIO(path, "ab"))
            self._open[kind, use_case, day] = known
        return known

    def _close_files(self) -> None:
        with self._lock:
            for place_of, file in list(self._open.items()):
                file.stream.close()
                with suppress(FileNotFoundError):  # another process took the folder over
                    file.path.rename(file.path.with_suffix(READY))
                del self._open[place_of]

    def _carry(self, path: Path) -> bool:
        key = path.relative_to(self._folder)
        try:
            data = path.read_bytes()
            self._put(key, data)
        except FileNotFoundError:  # another process carried it
            return True
        except TradewindError as error:
            log.warning("request log waits kind=%s bytes=%d", type(error).__name__, self.count.waiting_bytes)
            return False
        path.unlink(missing_ok=True)
        with self._lock:
            self.count.uploaded_files += 1
            self.count.waiting_bytes -= len(data)
        return True

    def _put(self, key: Path, data: bytes) -> None:
        """Put lines into the bucket, but those of who is erased by the time they are there.

        Whoever erases marks the customer first and looks through the bucket then; so one of both sees the other's.
        """
        known, name, is_there = self._erased(key.parts[1]), key.as_posix(), False
        while True:
            kept = without_lines(data, known)
            if kept:
                self._bucket.put(name, kept, "application/x-ndjson")
            elif is_there:
                self._bucket.delete(name)
            is_there, before, known = bool(kept), known, self._erased(key.parts[1])
            if known.keys() <= before.keys():
                return

    def _recover(self) -> None:
        """Take over what an earlier process left; a line that was cut off by its end is not a line."""
        for path in self._folder.rglob(f"*{OPEN}"):
            whole, newline, _ = path.read_bytes().rpartition(b"\n")
            if newline:
                os.truncate(path, len(whole) + 1)  # in place: a full disk has no room for a second copy
                path.rename(path.with_suffix(READY))
            else:
                path.unlink()
        self.count.waiting_bytes = sum(path.stat().st_size for path in self._folder.rglob(f"*{READY}"))


def _finite(value: Any) -> Any:
    """Return plain JSON; a float that is none becomes null."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def without_lines(lines: bytes, units: Collection[str]) -> bytes:
    """Return the lines but those that name one of the units anywhere."""
    if not units:
        return lines
    return b"".join(line for line in lines.splitlines(keepends=True) if not _names_one(line, units))


def _names_one(line: bytes, units: Collection[str]) -> bool:
    if any(word.decode() in units for word in PSEUDONYM.findall(line)):
        return True
    try:
        told = parse_object(line, "a line of the request log", "")
    except IntegrityBroken:  # a disk that failed must not stop what is whole
        return False
    return told.get("unit") in units


def file_time(key: str) -> datetime:
    """Return the time of a log file's first line, UTC; the year 1 for a name of another form."""
    found = NAME.fullmatch(key)
    return datetime.fromtimestamp(int(found[1]) / 1000, UTC) if found else datetime.min.replace(tzinfo=UTC)
