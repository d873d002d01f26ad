"""`verify --ledger` opens what entries name by digest: nothing of it can be altered or removed unnoticed."""

import json
from datetime import date

import pytest

from ml.errors import IntegrityBroken
from ml.files import canonical, sha256, write_verdict
from ml.packaging.signing import Signer
from ml.pipeline.decision import Decision, decide
from ml.pipeline.erase import Order, erase
from ml.pipeline.ledger_audit import audit
from ml.pipeline.released import MARKS, rows_key
from ml.privacy.key_ring import KeyRing
from ml.registry import collect, ledger
from ml.registry.entry import Move
from ml.registry.erasure import proof_key
from ml.store import Bucket
from tests.frozen_run import freeze_run, publish_verdict
from tests.promotable_run import verdict, walk_in

RUN, RULE, TODAY = "run-7", "purchases.fresh", date(2026, 11, 25)


@pytest.fixture
def reader(object_store):
    return object_store.settings("read")


@pytest.fixture
def told(object_store, promoter, keeper, name, ready, tmp_path):
    """A ledger with every kind of entry that names documents; returns where each of these lies."""
    root, digest = ready()
    walk_in(promoter, name, root)
    KeyRing.open(keeper, name).of_customers(["ada"])
    erase(object_store.settings("custodian"), name, Order(customer="ada", who="dora", why="asked on Monday"))
    marks = ["m1", "m2"]
    aside = {RULE: {"rows": 2, "digest": sha256(canonical(marks))}}
    write_verdict(tmp_path / "verdict.json", verdict(accepted=False), aside=aside)
    reports = Bucket.open(promoter, "reports")
    judged = (tmp_path / "verdict.json").read_bytes()
    freeze_run(object_store, name, RUN, {"decisions": []}, {"checks": {}})
    publish_verdict(object_store, name, RUN, judged)
    reports.put(f"{name}/{RUN}/validate/{MARKS}", json.dumps({RULE: marks}).encode())
    asked = {"run_id": RUN, "verdict": sha256(judged), "who": "olga", "why": "the till was replaced"}
    decide(promoter, name, Decision(kind="release_rows", request="1", rule=RULE, **asked), TODAY)
    proofs = [one.record for one in ledger.history(promoter, name) if one.action == "erase"]
    moved = ledger.history(promoter, name)[0]
    return {
        "proof": ("ledger", proof_key(name, proofs[0])),
        "verdict": ("reports", f"{name}/{RUN}/validate/verdict.json"),
        "marks": ("runs", rows_key(name, sha256(canonical(marks)))),
        "record": ("models", f"{name}/blobs/sha256/{moved.record.removeprefix('sha256:')}"),
        "gate-report": ("models", f"{name}/blobs/sha256/{moved.gate.removeprefix('sha256:')}"),
        "version": ("models", f"{name}/manifests/sha256/{digest.removeprefix('sha256:')}"),
    }


def test_whatever_an_entry_names_is_opened_and_a_change_or_loss_of_it_is_told(told, object_store, reader, name):
    admin = object_store.settings(
        "ingest",
        s3_access_key=object_store.secrets["s3_admin_access_key"],
        s3_secret_key=object_store.secrets["s3_admin_secret_key"],
    )
    before = audit(reader, name)
    assert before.entries == len(ledger.history(reader, name))
    for what, (bucket, key) in told.items():
        place = Bucket.open(admin, bucket)
        data = place.get(key)
        for act in (lambda p, k, d: p.put(k, d[:-2] + b" " + d[-2:]), lambda p, k, _: p.delete(k)):
            act(place, key, data)
            with pytest.raises(IntegrityBroken, match=rf"that ledger entry \d+ \(\w+\) of {name} names") as raised:
                audit(reader, name)
            assert what in str(raised.value)
        place.put(key, data)
    assert audit(reader, name) == before


def test_every_published_byte_of_a_version_in_the_ledger_is_among_them(told, object_store, promoter, reader, name):
    models = Bucket.open(promoter, "models")
    for key in [*models.keys(f"{name}/manifests/"), *models.keys(f"{name}/blobs/")]:
        data = models.get(key)
        models.delete(key)
        with pytest.raises(IntegrityBroken, match="Received none"):
            audit(reader, name)
        models.put(key, data)
    assert audit(reader, name).entries


def test_what_a_collection_removed_is_not_missed(promoter, reader, name, ready):
    first, digest = ready(1)
    walk_in(promoter, name, first)
    second, _ = ready(2, digest)
    walk_in(promoter, name, second)
    whole = audit(reader, name)
    assert collect.collect(promoter, name, collect.Kept(newest=1, horizon_days=0), "ada").versions == (digest,)
    after = audit(reader, name)
    assert (after.entries, after.documents < whole.documents) == (whole.entries + 2, True)


def test_a_version_that_was_asked_about_and_rejected_need_not_be_published(promoter, reader, name):
    view, signer, digest = ledger.Ledger.open(promoter, name), Signer.open(promoter), f"sha256:{'7' * 64}"
    for action in ("ask", "approve", "reject"):
        view.note(signer, Move(channel="production", action=action, digest=digest, who="ada", why="looked at it"))
    assert (audit(reader, name).entries, audit(reader, name).documents) == (3, 0)
