"""From an answer's id back to its evidence, with few reads among many log files."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import canonical, sha256, sha256_file
from ml.pipeline import promote
from ml.serving.request_id import RequestIds, moment, replica
from ml.serving.request_log import RequestLog
from ml.serving.trace import trace
from ml.store import Bucket
from tests.served_shop import Shop, packaged
from tests.unreliable_relay import relay

READS = 30


@pytest.fixture
def shop(object_store, tmp_path, name):
    return Shop(object_store, tmp_path, name)


def test_an_id_tells_when_the_request_came_and_who_answered():
    ids, before = RequestIds(), datetime.now(UTC)
    made = [ids.new() for _ in range(200)]
    assert len(set(made)) == 200
    assert {replica(one) for one in made} == {ids.replica}
    assert all(before - timedelta(milliseconds=1) <= moment(one) <= datetime.now(UTC) for one in made)
    # RFC 9562, appendix A.6: a version 7 UUID of Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00.
    assert moment("017f22e279b07cc398c4dc0c0c07398f") == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_an_answer_leads_to_version_gate_data_and_validation(shop, object_store):
    digest, _ = shop.promote()
    verdict = {"accepted": True, "summary": "All rules hold.", "rules": [{}, {}]}
    reports = Bucket.open(shop.promoter, "reports")
    reports.put(f"{shop.name}/run-1/validate/verdict.json", canonical(verdict))
    with shop.serving(digest) as client:
        request_id = shop.predict(client, history=["p1"]).headers["Tradewind-Request-Id"]
    reader = object_store.settings("read")
    found = trace(reader, ["toy-nobody", shop.name], request_id)
    assert (found.use_case, found.version, found.entry.to_digest, found.entry.who) == (shop.name, digest, digest, "ada")
    assert found.gate["digest"] == sha256_file(shop.folder / "run-1" / "data" / shop.name / "evaluate" / "verdict.json")
    assert found.data["run_id"] == "run-1"
    assert found.data["source"]["digest"] == sha256(b"source")
    assert found.validation == {
        "accepted": True,
        "summary": "All rules hold.",
        "rules": 2,
        "report": f"/tradewind/report/{shop.name}/run-1/validate/docs/index.html",
    }
    assert json.loads(json.dumps(found.to_json()))["line"]["answer"]["items"]


def test_after_an_unchanged_rerun_the_run_is_still_that_of_the_ledgers_entry(shop, object_store):
    digest, _ = shop.promote()
    again = shop.folder / "again"
    assert packaged(again, shop.name, shop.promoter, 1, digest, run_id="run-2")[0] == digest
    assert not promote.run(shop.promoter, shop.record, again, {"who": "ada", "why": "again"})["is_new"]
    with shop.serving(digest) as client:
        request_id = shop.predict(client, history=["p1"]).headers["Tradewind-Request-Id"]
    found = trace(object_store.settings("read"), [shop.name], request_id)
    assert (found.data["run_id"], found.entry.run_id) == ("run-1", "run-1")


def test_an_answer_is_found_with_few_reads_among_many_files(shop, object_store, tmp_path):
    digest, _ = shop.promote()
    now = datetime.now(UTC)
    requests = Bucket.open(object_store.settings("serve"), "requests")
    logs = [RequestLog(tmp_path / f"spool-{n}", requests, replica=f"800{n}") for n in range(2)]
    ids, line = RequestIds(), {"use_case": shop.name, "version": digest, "seq": 1}
    ids.replica = "8001"
    wanted = ids.new()
    for step in range(-60, 60):
        moment_of_line = now + timedelta(seconds=5 * step)
        for log in logs:
            log.append("requests", shop.name, moment_of_line, {**line, "time": str(moment_of_line), "request_id": "x"})
        if step == 0:
            logs[1].append("requests", shop.name, now, {**line, "time": str(now), "request_id": wanted})
        for log in logs:
            log.flush()
    with relay(object_store.endpoint, lambda _: "pass") as (endpoint, asked):
        found = trace(object_store.settings("read", s3_endpoint=endpoint), [shop.name], wanted)
    assert found.line["request_id"] == wanted
    assert len([request for request in asked if "-requests/requests/" in request]) <= 2
    assert len(asked) <= READS


def test_what_is_no_logged_answer_is_said(shop, object_store):
    reader = object_store.settings("read")
    with pytest.raises(ConfigInvalid, match="32 hexadecimal digits"):
        trace(reader, [shop.name], "latest")
    with pytest.raises(ModelNotFound, match="some seconds"):
        trace(reader, [shop.name], RequestIds().new())
