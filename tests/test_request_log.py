"""The request log: no line is lost to a store that is away, and what waits is bounded."""

import json
import threading
import uuid
from datetime import UTC, datetime

import pytest

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
