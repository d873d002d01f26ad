"""What is live never goes back to earlier data, unless a person says so with a reason."""

import json
from datetime import date

import pandas as pd
import pytest
import yaml

from ml.errors import GateFailed
from ml.files import write_parquet
from ml.packaging.signing import Verifier
from ml.pipeline import serve
from ml.registry import ledger
from ml.registry.fetch import newest_day
from ml.serving import snapshot
from ml.serving.state import StateStore
from ml.store import Bucket
from tests.judged_run import signed
from tests.promotable_run import answered, asked, walk_in

NEWEST = date(2017, 12, 31)
LATER, EARLIER = date(2017, 12, 30), date(2017, 12, 1)


@pytest.fixture
def live(ready, promoter, name):
    """Promote a version with data up to the newest day: its digest."""
    root, digest = ready(last_day=NEWEST.isoformat())
    walk_in(promoter, name, root)
    return digest


def backfill(ready, promoter, name, live, day, *, asks=False):
    """Return the workspace of a run on earlier data, and what it packaged."""
    root, digest = ready(seed=2, run_id="run-2", production=live, last_day=day.isoformat())
    if asks:
        section = yaml.safe_load((root / "params.yaml").read_text())[name]
        (root / "params.yaml").write_text(yaml.safe_dump({name: {**section, "release": {"approval": "required"}}}))
        signed(promoter, name, "run-2", root)
    return root, digest


@pytest.mark.parametrize("day", [LATER, EARLIER])
def test_a_run_on_earlier_data_replaces_nothing(ready, promoter, name, live, day):
    root, _ = backfill(ready, promoter, name, live, day)
    with pytest.raises(GateFailed, match=rf"data that reach to {NEWEST}.*Received data up to {day}"):
        walk_in(promoter, name, root)
    assert ledger.live(promoter, name, "production").digest == live


def test_a_run_on_data_of_the_same_day_replaces_it(ready, promoter, name, live):
    root, digest = backfill(ready, promoter, name, live, NEWEST)
    walk_in(promoter, name, root)
    assert ledger.live(promoter, name, "production").digest == digest


def test_a_person_goes_back_with_a_reason_and_the_ledger_names_both(ready, promoter, name, live):
    root, digest = backfill(ready, promoter, name, live, EARLIER, asks=True)
    asked(promoter, name, root, "run-2")
    with pytest.raises(GateFailed, match="a person's approval"):
        walk_in(promoter, name, root)
    answered(promoter, name, root, "Approve", run_id="run-2")
    assert serve.is_approved(promoter, name, "run-2")
    walk_in(promoter, name, root)
    entry = ledger.history(promoter, name)[-1]
    assert (entry.to_digest, entry.approval["by"]) == (digest, "ada")
    assert newest_day(promoter, name, digest) == EARLIER


def test_an_equal_version_of_a_later_run_counts_as_of_that_run(ready, promoter, name, live):
    again, digest = ready(run_id="run-3", production=live, last_day="2018-01-31")
    assert digest == live
    walk_in(promoter, name, again)
    assert newest_day(promoter, name, live) == date(2018, 1, 31)
    root, _ = backfill(ready, promoter, name, live, NEWEST)
    with pytest.raises(GateFailed, match="data that reach to 2018-01-31"):
        walk_in(promoter, name, root)


class Desk:
    """Histories of one customer, who bought one product a day, as published and as a server took them over."""

    def __init__(self, promoter, name, folder):
        self.promoter, self.name, self.folder = promoter, name, folder
        self.store = StateStore(folder / "state.sqlite")
        self.bucket, self.verifier = Bucket.open(promoter, "state"), Verifier.open(promoter)

    def publish(self, day, **options):
        path = self.folder / "histories.parquet"
        history = json.dumps({"bought": [str(day)]})
        write_parquet(path, pd.DataFrame({"unit": ["0" * 32], "history": [history]}))
        return snapshot.publish(self.promoter, self.name, path, day, **options)

    def follow(self):
        snapshot.follow(self.bucket, self.verifier, self.store, self.name, lambda unit, history, event: history)
        return self.store.snapshot(self.name).as_of[:10]


@pytest.fixture
def desk(promoter, name, tmp_path):
    made = Desk(promoter, name, tmp_path)
    yield made
    made.store.close()


def test_histories_of_an_earlier_day_are_published_by_a_persons_word_alone(desk):
    desk.publish(NEWEST)
    assert desk.follow() == str(NEWEST)
    with pytest.raises(GateFailed, match=rf"published, up to {NEWEST}.*Received histories up to {EARLIER}"):
        desk.publish(EARLIER)
    assert desk.follow() == str(NEWEST)
    desk.publish(EARLIER, may_go_back=True)
    assert desk.follow() == str(EARLIER)
    desk.publish(LATER)  # later than what is published now
    assert desk.follow() == str(LATER)


def test_a_server_that_slept_while_a_person_went_back_follows_what_came_after(desk):
    desk.publish(NEWEST)
    assert desk.follow() == str(NEWEST)
    desk.publish(EARLIER, may_go_back=True)
    desk.publish(LATER)
    assert desk.follow() == str(LATER)
