"""A store that is down, refuses or does not answer: bounded tries, a clear error, nothing half-done."""

import pytest

from ml.errors import StorageUnavailable
from ml.registry import ledger
from tests.promotable_run import walk_in
from tests.unreliable_relay import relay

ATTEMPTS = 2
TIMEOUT_S = 0.5


def through(held, endpoint):
    return held.model_copy(update={"s3_endpoint": endpoint, "s3_attempts": ATTEMPTS, "s3_timeout_s": TIMEOUT_S})


@pytest.mark.parametrize("fate", ["refuse", "hang"])
def test_a_call_is_tried_as_often_as_the_settings_say(promoter, name, fate):
    with relay(promoter.s3_endpoint, lambda _: fate) as (endpoint, asked):
        with pytest.raises(StorageUnavailable, match="Try again"):
            ledger.live(through(promoter, endpoint), name, "production")
        assert len(asked) == ATTEMPTS
        assert len(set(asked)) == 1


def test_a_store_that_is_down_is_said_and_is_never_a_first_run(promoter, name):
    with pytest.raises(StorageUnavailable, match="Is the object store up"):
        ledger.live(through(promoter, "http://127.0.0.1:9"), name, "production")


@pytest.mark.parametrize(
    ("gone_at", "is_committed"),
    [
        ("PUT /tradewind-models/{name}/blobs/", False),
        ("GET /tradewind-models/{name}/manifests/", False),
        ("PUT /tradewind-ledger/{name}/00000002.json", False),
        ("PUT /tradewind-ledger/channels/{name}/", True),
        ("PUT /tradewind-ledger/checkpoints/{name}.json", True),
    ],
)
def test_a_store_that_goes_away_within_a_promotion_leaves_the_old_or_the_new_version(
    ready, promoter, name, gone_at, is_committed
):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    start = gone_at.format(name=name)

    def fate(asked):
        return "refuse" if any(request.startswith(start) for request in asked) else "pass"

    with relay(promoter.s3_endpoint, fate) as (endpoint, asked):
        with pytest.raises(StorageUnavailable):
            walk_in(through(promoter, endpoint), name, second)
        assert sum(fate(asked[: n + 1]) == "refuse" for n in range(len(asked))) == ATTEMPTS
    assert ledger.live(promoter, name, "production").digest == (new if is_committed else old)
    assert walk_in(promoter, name, second)["is_new"] is not is_committed
    assert ledger.repair(promoter, name) == ()
    assert len(ledger.history(promoter, name)) == 2
