"""Old runs, outputs, reports and requests go by retention; what anything living needs stays, whoever writes what."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from ml.files import canonical
from ml.packaging.signing import Signer, generate_key
from ml.pipeline import handover, outputs, removal
from ml.pipeline.decision import in_force
from ml.pipeline.ledger_audit import audit
from ml.registry import ledger
from ml.store import Bucket
from tests.conftest import running_store
from tests.maintained_shop import LATER, SHOP, Shop, md5, numbers
from tests.shell_stages import VERDICT, Project, stages

SECOND = 1.1
"""A listing tells seconds."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_store(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def shop(store, tmp_path):
    """An empty store, and a shop in it."""
    made = Shop(store, tmp_path)
    for bucket, key in made.stored():
        made.bucket(bucket).delete(key)
    return made


def test_old_runs_go_with_their_outputs_and_what_is_needed_stays(shop):
    for name in ("gone", "of-version", "asked", "decided"):
        shop.run(name)
    shop.promote(1, ingested=shop.output("of-version").md5, run_id="of-version")
    shop.ask("asked")
    shop.release_rows("decided")
    time.sleep(SECOND)
    shop.run("newest")
    gone = [shop.output(name).md5 for name in ("gone", "asked")]
    before = shop.stored()

    assert set(numbers(shop.clean(after=timedelta(days=89))).values()) == {0}
    assert shop.stored() == before

    told = numbers(shop.clean())
    assert told["runs: frozen files and hand-overs"] == 2  # a question that is 100 days old waits for nobody
    assert told["outputs in raw"] == 6  # of two runs: the rows, and two lists of folders
    assert told["outputs in work"] == 4  # the examples and the list of a folder; what other runs have too stays
    left = {
        key.split("/")[1] for bucket in ("runs", "work") for key in shop.keys(bucket, f"{SHOP}/") if "handover" in key
    }
    assert left == {"of-version", "decided", "newest"}
    assert [shop.reads(name) for name in ("of-version", "decided", "newest")] == [6, 6, 6]
    assert not [one for one in gone if shop.bucket("raw").exists(outputs.object_key(one))]
    reader = shop.store.settings("read")
    assert audit(reader, SHOP).entries == 3
    assert len(in_force(ledger.history(reader, SHOP), (datetime.now(UTC) + LATER).date())) == 1
    assert numbers(shop.clean()) == dict.fromkeys(told, 0)


def test_a_question_of_the_kept_days_keeps_its_run_and_a_versions_lock_keeps_outputs_of_a_run_that_is_gone(shop):
    for name in ("asked", "of-version"):
        shop.run(name)
    shop.ask("asked")
    named = shop.output("of-version").md5
    shop.promote(1, ingested=named, run_id="another")
    time.sleep(SECOND)
    shop.run("newest")
    assert (
        numbers(shop.clean("runs", after=timedelta(days=60), keep_run_days=61))["runs: frozen files and hand-overs"]
        == 0
    )
    told = numbers(shop.clean("runs", "objects", after=timedelta(days=60), keep_run_days=50))
    assert (told["runs: frozen files and hand-overs"], told["outputs in raw"]) == (
        2,
        4,
    )  # without one list and its rows
    assert shop.bucket("raw").exists(outputs.object_key(named))
    assert shop.bucket("raw").exists(outputs.object_key(md5(b"rows of of-version")))
    assert not shop.bucket("raw").exists(outputs.object_key(md5(b"rows of asked")))


def test_what_is_young_stays_whatever_names_it(shop):
    shop.run("first")
    time.sleep(SECOND)
    middle = datetime.now(UTC)
    time.sleep(SECOND)
    shop.run("second")
    for key in shop.keys("runs", f"{SHOP}/"):
        shop.bucket("runs").delete(key)
    after = middle + timedelta(days=7) - datetime.now(UTC)
    assert numbers(shop.clean("objects", after=after))["outputs in raw"] == 3
    found = [
        shop.bucket("raw").exists(outputs.object_key(md5(f"rows of {run}".encode()))) for run in ("first", "second")
    ]
    assert found == [False, True]


def forged(shop, run, stage, key, md5):
    part = {"cmd": "x", "outs": [{"path": f"data/{SHOP}/{stage}", "hash": "md5", "md5": md5}]}
    told = {"schema": handover.SCHEMA, "use_case": SHOP, "run_id": run, "stage": stage, "part": part, "judged": None}
    return Signer(key).sign(handover.KIND, canonical(told))


@pytest.mark.parametrize("kind", ["garbage", "of a stranger", "of another run", "cut"])
def test_a_hand_over_that_does_not_hold_removes_nothing_of_its_bucket_and_is_told(shop, kind):
    shop.run("gone")
    time.sleep(SECOND)
    shop.run("kept")
    key = f"{SHOP}/kept/handover/features.json"
    honest = shop.bucket("work").get(key)
    secret = shop.store.secrets["train_key"]
    shop.bucket("work").put(
        key,
        {
            "garbage": b"[" * 1000,
            "of a stranger": forged(shop, "kept", "features", generate_key().private, "0" * 32),
            "of another run": forged(shop, "gone", "features", secret, "0" * 32),
            "cut": honest[:-20],
        }[kind],
    )
    work = shop.keys("work", "dvc/")
    shop.bucket("work").put("dvc/files/md5/00/" + "0" * 30, b"an object that nobody names")
    done = shop.clean("runs", "objects")
    assert set(work) <= set(shop.keys("work", "dvc/"))
    assert numbers(done)["outputs in work"] == 0
    assert numbers(done)["outputs in raw"] == 3
    (fault,) = done["objects"].faults
    assert key in fault
    shop.bucket("work").put(key, honest)
    assert shop.reads("kept") == 6
    assert numbers(shop.clean("objects"))["outputs in work"] == 3  # of the run that is gone two, and what nobody names


def test_who_trains_can_neither_have_raw_rows_removed_nor_kept(shop):
    shop.run("gone")
    time.sleep(SECOND)
    shop.run("kept")
    old, mine = shop.output("gone").md5, shop.store.secrets["train_key"]
    work = Bucket.open(shop.store.settings("train"), "work")
    work.put(f"{SHOP}/kept/handover/features.json", forged(shop, "kept", "features", mine, old))
    work.put(f"{SHOP}/kept/handover/ingest.json", forged(shop, "kept", "ingest", mine, "1" * 32))
    work.put(f"{SHOP}/planted/frozen.json", b"{}")
    assert numbers(shop.clean("runs", "objects"))["outputs in raw"] == 3
    shop.run("kept")  # train's own forgery names no examples any more
    assert shop.reads("kept") == 6
    assert not shop.bucket("raw").exists(outputs.object_key(old))


def test_a_kept_run_that_nobody_signed_or_a_ledger_that_was_cut_removes_nothing(shop, store):
    from ml.maintenance.step import STEPS

    shop.run("gone")
    time.sleep(SECOND)
    shop.run("kept")
    shop.promote(1)
    shop.ask("kept")
    before = shop.stored()
    for bucket, key in (("runs", f"{SHOP}/kept/frozen.json"), ("ledger", f"{SHOP}/00000001.json")):
        kept = shop.bucket(bucket).get(key)
        shop.bucket(bucket).put(key, b"{}")
        for name in ("runs", "reports") if bucket == "ledger" else ("runs",):
            with pytest.raises(Exception, match=r"(?i)kept|ledger|envelope|signed"):
                STEPS[name](shop.retention(), datetime.now(UTC) + LATER, is_trial=False)
        shop.bucket(bucket).put(key, kept)
    assert shop.stored().keys() == before.keys()


def test_a_stage_that_pushes_what_is_being_removed_puts_it_back(shop):
    """Its output equals an old one: the push finds the objects, and the sweep does not know its hand-over yet."""
    project = Project(shop.store, shop.folder, "new", stages(json.dumps(VERDICT)))
    project.run("ingest")
    gone = {key: shop.bucket("raw").get(key) for key in shop.keys("raw")}
    shop.bucket("runs").delete(f"{SHOP}/new/handover/ingest.json")
    failed = []

    def run_again():
        try:
            project.run("ingest")
        except BaseException as error:
            failed.append(error)

    worker = threading.Thread(target=run_again)
    with removal.announced(shop.retention()):
        worker.start()
        key, deadline = f"{SHOP}/new/handover/ingest.json", time.monotonic() + 60
        while not shop.bucket("runs").exists(key) and time.monotonic() < deadline:
            time.sleep(0.05)
        for one in gone:
            shop.bucket("raw").delete(one)
        time.sleep(SECOND)
        assert worker.is_alive()
    worker.join(60)
    assert failed == []
    assert {key: shop.bucket("raw").get(key) for key in shop.keys("raw")} == gone
    held = shop.store.settings("ingest", home=shop.folder / "look")
    assert project.read(held, "data/shop/ingest/rows") == b'{"source": {"digest": "new"}}'


def test_a_sweep_that_was_killed_long_ago_holds_up_no_stage(shop, monkeypatch):
    shop.bucket("runs").put(f"{removal.PREFIX}x.json", removal.UNDER_WAY)
    monkeypatch.setattr(removal, "KILLED", timedelta(0))
    before = removal.seen(shop.store.settings("train"))
    assert len(before) == 1
    removal.settle(shop.store.settings("train"), before, shop.folder, [])


def test_reports_quarantine_and_requests_go_by_their_own_ages(shop):
    for name in ("old", "decided"):
        shop.run(name)
    shop.release_rows("decided")
    time.sleep(SECOND)
    shop.run("kept")
    reports, requests = shop.bucket("reports"), shop.bucket("requests")
    for name in ("old", "decided", "kept"):
        for path in (
            "validate/quarantine.json",
            "validate/row_marks.json",
            "validate/report.json",
            "evaluate/verdict.json",
        ):
            reports.put(f"{SHOP}/{name}/{path}", b"{}")
    others = (
        f"{SHOP}/monitor/2026-01-01/report.json",
        f"{SHOP}/notified/{'a' * 64}.json",
        "maintenance/2026-01-01/report.html",
    )
    stay = (f"{SHOP}/monitor/retrains.json", "something/else.bin")
    for key in (*others, *stay):
        reports.put(key, b"{}")
    today = datetime.now(UTC).date()
    days = {back: (today - timedelta(days=back)).isoformat() for back in (0, 365, 366, 5000)}
    for day in days.values():
        requests.put(f"requests/{SHOP}/{day}/1-a-b.jsonl", b"{}")
    requests.put(f"events/{SHOP}/{days[366]}/1-a-b.jsonl", b"{}")
    requests.put("requests/of/nobody", b"x")

    told = numbers(shop.clean("reports", "requests", after=timedelta(seconds=0)))
    assert told == {"reports": 0, "extracts of quarantined rows": 0, "files of the request log": 3}
    assert shop.keys("requests") == [
        "requests/of/nobody", f"requests/{SHOP}/{days[365]}/1-a-b.jsonl", f"requests/{SHOP}/{days[0]}/1-a-b.jsonl",
    ]  # fmt: skip
    assert (
        numbers(shop.clean("reports"))["extracts of quarantined rows"] == 4
    )  # of all but the run that is decided about
    assert reports.exists(f"{SHOP}/decided/validate/quarantine.json")
    assert reports.exists(f"{SHOP}/old/validate/report.json")

    shop.clean("reports", after=timedelta(days=400))
    left = set(shop.keys("reports"))
    assert {*stay, f"{SHOP}/old/evaluate/verdict.json", f"{SHOP}/kept/validate/report.json"} <= left
    assert not left & {*others, f"{SHOP}/old/validate/report.json"}
    assert audit(shop.store.settings("read"), SHOP).documents == 2


def test_a_trial_tells_what_would_go_and_changes_nothing(shop):
    shop.run("gone")
    time.sleep(SECOND)
    shop.run("kept")
    shop.bucket("requests").put(f"requests/{SHOP}/2020-01-01/1-a-b.jsonl", b"{}\n")
    shop.bucket("reports").put(f"{SHOP}/gone/validate/docs/index.html", b"<p>")
    before = shop.stored()
    trial = shop.clean(is_trial=True, after=timedelta(days=500))
    assert shop.stored() == before
    done = shop.clean(after=timedelta(days=500))
    assert [outcome.removed for outcome in trial.values()] == [outcome.removed for outcome in done.values()]
    sizes = {one.kind: one.size for outcome in done.values() for one in outcome.removed}
    assert all(sizes[kind] > 0 for kind in ("outputs in raw", "runs: frozen files and hand-overs", "reports"))
    assert sizes["files of the request log"] == 3
