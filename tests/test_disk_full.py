"""A disk that fills up: a warning before, a clear error meanwhile, and everything goes on when there is space again."""

import os
import subprocess
import time
from itertools import repeat

import pytest

from ml.config import Settings
from ml.errors import StorageUnavailable
from ml.pipeline.task import run_task
from ml.space import MIB, ensure_free, free_bytes
from ml.stack.keep import LOG_BYTES, turn_over
from ml.stack.room import free_slots, warnings
from ml.store import Bucket
from tests.conftest import running_store

SIZE_MB = 96
PIECE = MIB


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of its own, small enough to fill."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=700", "none", str(folder)]
    if os.getuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system, and not in every container")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    """Write until nothing more fits."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        list(map(file.write, repeat(bytes(65536))))


def test_the_store_warns_refuses_and_goes_on_without_loss(small_disk):
    with running_store(small_disk) as store:
        settings = store.settings("ingest", s3_attempts=1, s3_timeout_s=10)
        work, runs = Bucket.open(settings, "work"), Bucket.open(settings, "runs")
        assert warnings(small_disk, 1) == []
        assert free_slots(small_disk / "store") > 1000
        kept = {f"piece/{number}": os.urandom(PIECE) for number in range(8)}
        for key, data in kept.items():
            work.put(key, data)
        fill(small_disk / "filler")
        (sentence,) = warnings(small_disk, 1)
        assert "0 MiB are free" in sentence
        with pytest.raises(StorageUnavailable, match="disk may be full"):
            runs.put("lost", os.urandom(PIECE))
        (small_disk / "filler").unlink()
        began = time.monotonic()
        while not is_written(runs):
            assert time.monotonic() - began < 120
            time.sleep(1)
        assert {key: work.get(key) for key in kept} == kept


def is_written(bucket):
    try:
        bucket.put("after", b"x")
    except StorageUnavailable:
        return False
    return bucket.get("after") == b"x"


def test_a_run_does_not_begin_without_room_and_a_retry_can_help(small_disk, monkeypatch):
    monkeypatch.setenv("TRADEWIND_HOME", str(small_disk / "home"))
    monkeypatch.setenv("TRADEWIND_MIN_FREE_MB", str(SIZE_MB * 2))
    request = {"run_id": "full", "as_of": "2024-06-30", "who": "test", "why": "test"}
    with pytest.raises(StorageUnavailable, match=r"at least 192 MiB free.* Received \d+ MiB") as refused:
        run_task("ingest", "rating", request)
    assert refused.value.can_retry
    assert refused.value.facts["needed_bytes"] == 2 * SIZE_MB * MIB
    assert refused.value.facts["free_bytes"] < SIZE_MB * MIB


def test_nothing_is_asked_where_the_setting_says_so(tmp_path):
    ensure_free(tmp_path / "not" / "there" / "yet", 0)
    assert free_bytes(tmp_path / "not" / "there" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)
    assert Settings().min_free_mb > 0


def test_a_log_that_grew_too_long_is_turned_over_while_its_part_writes(tmp_path):
    path = tmp_path / "part.log"
    with path.open("ab", buffering=0) as written:
        for turn in range(5):
            written.write(str(turn).encode() * (LOG_BYTES + 1))
            turn_over(tmp_path)
        written.write(b"goes on\n")
    assert path.read_bytes() == b"goes on\n"
    kept = {one.name: one.read_bytes()[:1] for one in tmp_path.iterdir() if one != path}
    assert kept == {"part.log.1": b"4", "part.log.2": b"3", "part.log.3": b"2"}
