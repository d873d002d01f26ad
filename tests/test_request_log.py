"""The request log: no line is lost to a store that is away, and what waits is bounded."""

import json
import subprocess
import threading
import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from ml.errors import IntegrityBroken, StorageUnavailable
from ml.serving.request_log import FLUSH_LINES, RequestLog
from ml.store import Bucket

NOW = datetime(2026, 1, 2, 23, 30, tzinfo=UTC)


@pytest.fixture
def use_case():
    """A name of its own for each test: they share one store."""
    return f"toy-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def bucket(object_store):
    return Bucket.open(object_store.settings("serve"), "requests")


def stored(object_store, prefix):
    bucket = Bucket.open(object_store.settings("read"), "requests")
    return {key: [json.loads(line) for line in bucket.get(key).splitlines()] for key in bucket.keys(prefix)}


def test_lines_reach_the_store_by_day(object_store, bucket, tmp_path, use_case):
    log = RequestLog(tmp_path, bucket)
    log.append("requests", use_case, NOW, {"n": 1})
    log.append("requests", use_case, NOW, {"n": 2, "text": "Tee – grün"})
    log.append("requests", use_case, NOW.replace(day=3), {"n": 3})
    log.append("events", use_case, NOW, {"n": 4})
    log.flush()
    found = stored(object_store, f"requests/{use_case}/")
    assert [key.split("/")[2] for key in found] == ["2026-01-02", "2026-01-03"]
    assert list(found.values()) == [[{"n": 1}, {"n": 2, "text": "Tee – grün"}], [{"n": 3}]]
    assert list(stored(object_store, f"events/{use_case}/2026-01-02/").values()) == [[{"n": 4}]]
    assert log.count.waiting_bytes == 0
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_store_that_is_away_loses_nothing(object_store, bucket, tmp_path, use_case):
    away = Bucket.open(object_store.settings("serve", s3_endpoint="http://127.0.0.1:9", s3_attempts=1), "requests")
    log = RequestLog(tmp_path, away)
    log.append("requests", use_case, NOW, {"n": 1})
    log.flush()
    log.append("requests", use_case, NOW, {"n": 2})
    assert log.count.waiting_bytes > 0
    later = RequestLog(tmp_path, bucket)
    later.flush()
    lines = [line["n"] for found in stored(object_store, f"requests/{use_case}/").values() for line in found]
    assert sorted(lines) == [1, 2]
    assert later.count.waiting_bytes == 0


def test_a_line_cut_off_by_a_crash_is_left_out(object_store, bucket, tmp_path, use_case):
    folder = tmp_path / "requests" / use_case / "2026-01-02"
    folder.mkdir(parents=True)
    (folder / "crashed.open").write_bytes(b'{"n":1}\n{"n":')
    RequestLog(tmp_path, bucket).flush()
    assert list(stored(object_store, f"requests/{use_case}/").values()) == [[{"n": 1}]]


def test_what_waits_is_bounded_and_what_was_dropped_is_counted(bucket, tmp_path, use_case):
    log = RequestLog(tmp_path, bucket, limit_bytes=20)
    for n in range(5):
        log.append("requests", use_case, NOW, {"n": n})  # 8 bytes with its newline
    assert (log.count.written, log.count.dropped) == (2, 3)
    log.flush()
    log.append("requests", use_case, NOW, {"n": 9})
    assert log.count.written == 3


def test_the_thread_carries_a_full_file_at_once_and_the_rest_at_the_end(object_store, bucket, tmp_path, use_case):
    log = RequestLog(tmp_path, bucket)
    log.start()
    for n in range(FLUSH_LINES + 5):
        log.append("requests", use_case, NOW, {"n": n})
    log.stop()
    lines = [line["n"] for found in stored(object_store, f"requests/{use_case}/").values() for line in found]
    assert sorted(lines) == list(range(FLUSH_LINES + 5))


def test_lines_of_many_threads_stay_whole(object_store, bucket, tmp_path, use_case):
    log = RequestLog(tmp_path, bucket)

    def write(thread):
        for n in range(200):
            log.append("requests", use_case, NOW, {"thread": thread, "n": n, "padding": "x" * 300})
            if n % 50 == 0:
                log.flush()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.flush()
    lines = [line for found in stored(object_store, f"requests/{use_case}/").values() for line in found]
    assert sorted((line["thread"], line["n"]) for line in lines) == [(t, n) for t in range(4) for n in range(200)]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB of its own, as a full one is needed; skipped where nothing may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_refuses_lines_whole_and_the_thread_goes_on_when_there_is_room(
    object_store, bucket, small_disk, use_case
):
    away = Bucket.open(object_store.settings("serve", s3_endpoint="http://127.0.0.1:9", s3_attempts=1), "requests")
    log = RequestLog(small_disk / "spool", away)
    log.start()
    (small_disk / "filler").write_bytes(b"x" * 100_000)
    acknowledged, refused = [], 0
    for n in range(400):
        try:
            log.append("requests", use_case, NOW, {"n": n, "padding": "x" * 700})
        except StorageUnavailable:
            refused += 1
        else:
            acknowledged.append(n)
    assert refused
    assert log.count.refused == refused
    assert log.pulse().alive
    (small_disk / "filler").unlink()
    log.append("requests", use_case, NOW, {"n": 1_000})
    log.stop()
    later = RequestLog(small_disk / "spool", bucket)
    later.flush()
    lines = [line["n"] for found in stored(object_store, f"requests/{use_case}/").values() for line in found]
    assert sorted(lines) == [*acknowledged, 1_000]


def test_what_a_crash_left_on_a_full_disk_is_kept(bucket, small_disk, object_store, use_case):
    folder = small_disk / "spool" / "requests" / use_case / "2026-01-02"
    folder.mkdir(parents=True)
    whole = b"".join(b'{"n":%d,"padding":"%s"}\n' % (n, b"x" * 500) for n in range(100))
    (folder / "crashed.open").write_bytes(whole + b'{"n":')
    with suppress(OSError):
        (small_disk / "filler").write_bytes(b"x" * 300_000)
    RequestLog(small_disk / "spool", bucket).flush()
    lines = [line["n"] for found in stored(object_store, f"requests/{use_case}/").values() for line in found]
    assert lines == list(range(100))


def test_unreadable_marks_of_one_use_case_keep_its_lines_and_let_the_others_go(
    object_store, bucket, tmp_path, use_case
):
    def erased(name):
        if name == use_case:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no mark")
        return {}

    log = RequestLog(tmp_path, bucket, erased=erased)
    other = f"{use_case}-other"
    log.append("requests", use_case, NOW, {"n": 1})
    log.append("requests", other, NOW, {"n": 2})
    with pytest.raises(IntegrityBroken):
        log.flush()
    assert list(stored(object_store, f"requests/{other}/").values()) == [[{"n": 2}]]
    assert stored(object_store, f"requests/{use_case}/") == {}
    RequestLog(tmp_path, bucket).flush()
    assert list(stored(object_store, f"requests/{use_case}/2026").values()) == [[{"n": 1}]]
