"""Which earlier version a run is held against beside production: the best one that was live in the last 90 days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ml.errors import IntegrityBroken
from ml.pipeline.yardstick import best_version
from ml.registry.collect import Kept, collect
from ml.store import Bucket
from tests.promotable_run import roll_back, use_case, walk_in


@pytest.fixture
def promoted(ready, promoter, name):
    """Promote versions with these errors, one after the other; return their digests."""

    def promote_all(*errors):
        digests = []
        for seed, error in enumerate(errors, start=1):
            figures = {"error": {"value": error, "low": 0.0, "high": 1.0}}
            metrics = {"contenders": [{"name": "int8", "kind": "variant", "figures": figures}]}
            root, digest = ready(seed=seed, production=digests[-1] if digests else None, metrics=metrics)
            walk_in(promoter, name, root)
            digests.append(digest)
        return digests

    return promote_all


@pytest.fixture
def best(object_store, name):
    """Ask as the role that freezes a run's inputs, some days from now."""

    def ask(days=0):
        now = datetime.now(UTC) + timedelta(days=days)
        return best_version(object_store.settings("ingest"), use_case(name), "production", now)

    return ask


def test_nothing_was_live_so_nothing_is_best(best):
    assert best() is None


def test_small_losses_cannot_add_up_since_the_first_of_them_stays_the_yardstick(promoted, best):
    first, *_ = promoted(0.10, 0.11, 0.12)
    assert best() == first


def test_after_90_days_only_what_was_live_in_them_counts(promoted, best):
    _, _, latest = promoted(0.10, 0.11, 0.12)
    assert best(days=91) == latest


def test_of_equals_the_latest_counts(promoted, best):
    _, second = promoted(0.10, 0.10)
    assert best() == second


def test_version_that_a_person_rolled_back_is_no_yardstick(promoted, best, promoter, name):
    first, _ = promoted(0.10, 0.01)
    roll_back(promoter, name, first, "it answers nonsense")
    assert best() == first


def test_deleted_pointer_changes_nothing(promoted, best, promoter, name):
    (only,) = promoted(0.10)
    Bucket.open(promoter, "ledger").delete(f"channels/{name}/production.json")
    assert best() == only


def test_version_without_the_figure_is_passed_over(promoted, best):
    _, second = promoted(None, 0.5)
    assert best() == second


def test_version_whose_record_is_gone_is_missing_evidence(promoted, best, promoter, name):
    (only,) = promoted(0.10)
    models = Bucket.open(promoter, "models")
    for key in list(models.keys(f"{name}/referrers/sha256/{only[7:]}/")):
        models.delete(key)
    with pytest.raises(IntegrityBroken, match="trusted key"):
        best()


def test_version_that_was_collected_is_passed_over_and_stops_no_run(promoted, best, promoter, name):
    """Whoever keeps fewer days than the gate looks back on must still be able to retrain."""
    _, _, latest = promoted(0.10, 0.11, 0.12)
    collect(promoter, name, Kept(newest=1, horizon_days=0), "ada")
    assert best() == latest
