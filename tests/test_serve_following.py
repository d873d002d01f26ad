"""The server follows the ledger: it swaps without a gap, and a bad version changes nothing."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from ml.files import sha256
from ml.registry import ledger
from ml.store import Bucket
from tests.served_shop import Shop, answer, append, expected, items, problem, spoil, wait

ROLLBACK_SECONDS = 5  # promised: from the decision until the answers have changed back


@pytest.fixture
def shop(object_store, tmp_path, request):
    return Shop(object_store, tmp_path, f"toy-{sha256(request.node.nodeid.encode())[7:15]}")


def test_nothing_promoted_is_503_with_what_to_do_and_health_says_so(shop):
    with shop.open() as client:
        found = shop.predict(client)
        assert found.status_code == 503
        assert "make run" in found.json()["error"]["action"]
        assert client.get("/health").json()["use_cases"][shop.name] == {"ready": False, "origin": None, "problems": {}}
        assert client.get("/health", params={"ready": "all"}).status_code == 503
        shop.promote()
        wait(lambda: client.get("/health", params={"ready": shop.name}).status_code == 200)
        assert shop.predict(client).status_code == 200


def test_a_promotion_and_a_rollback_swap_within_seconds_and_drop_no_request(shop):
    first, first_weights = shop.promote(1)
    with shop.serving(first) as client:
        answers, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                answers.append(shop.predict(client, history=["p1"], k=5))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        second, second_weights = shop.promote(2)
        truth = {first: expected(first_weights, ["p1"], 5), second: expected(second_weights, ["p1"], 5)}
        wait(lambda: shop.is_live(client, second))
        metrics = client.get("/metrics").text
        decided = time.monotonic()
        shop.roll_back(first)
        wait(lambda: items(shop.predict(client, history=["p1"], k=5)) == truth[first])
        time_taken = time.monotonic() - decided
        time.sleep(0.2)
        stop.set()
        for thread in threads:
            thread.join()
        counts = client.get("/metrics").text
    assert {found.headers["Tradewind-Version"] for found in answers} == {first, second}
    assert all(items(found) == truth[found.headers["Tradewind-Version"]] for found in answers)
    assert answers[-1].headers["Tradewind-Version"] == first
    assert f'tradewind_model_info{{digest="{second}",use_case="{shop.name}"}} 1.0' in metrics
    assert first not in metrics
    assert f'tradewind_model_ledger_seq{{use_case="{shop.name}"}} 2.0' in metrics
    succeeded = f'tradewind_requests_total{{status="200",use_case="{shop.name}",verb="predict"}}'
    assert succeeded in counts
    assert succeeded.replace("200", "503") not in counts
    assert time_taken < ROLLBACK_SECONDS


def test_a_version_with_changed_bytes_leaves_the_old_one_serving_and_shows(shop):
    first, weights = shop.promote(1)
    second, _ = shop.promote(2)
    shop.roll_back(first)
    spoil(shop, 2)
    with shop.serving(first) as client:
        append(shop, second)
        wait(lambda: problem(client, shop) == "IntegrityBroken")
        assert items(shop.predict(client, history=["p1"])) == expected(weights, ["p1"], 3)
        assert shop.is_live(client, first)
        assert 'tradewind_model_load_failures_total{kind="IntegrityBroken"' in client.get("/metrics").text
    with shop.serving(first) as client:
        wait(lambda: problem(client, shop) == "IntegrityBroken")
        assert client.get("/health").json()["use_cases"][shop.name]["origin"] == "cache"


def test_a_version_nobody_published_leaves_the_old_one_serving(shop):
    first, _ = shop.promote()
    with shop.serving(first) as client:
        append(shop, sha256(b"nothing"), known=False)
        wait(lambda: problem(client, shop) == "ModelNotFound")
        assert shop.is_live(client, first)


def test_a_version_that_answers_otherwise_than_recorded_is_not_served(shop):
    def shifted(predictor, state, request, history):
        found = answer(predictor, state, request, history)
        return found.model_copy(update={"items": [i.model_copy(update={"score": i.score + 1}) for i in found.items]})

    shop.promote()
    with shop.open(service=replace(shop.record.service, answer=shifted)) as client:
        wait(lambda: problem(client, shop) == "IntegrityBroken")
        assert shop.predict(client).status_code == 503


def test_a_cut_ledger_is_refused_even_after_a_restart(shop, object_store):
    first, _ = shop.promote(1)
    second, _ = shop.promote(2)
    with shop.serving(second):
        pass
    bucket = Bucket.open(shop.promoter, "ledger")
    bucket.delete(ledger.entry_key(shop.name, 2))
    with shop.serving(second) as client:
        wait(lambda: problem(client, shop) == "IntegrityBroken")
        assert shop.is_live(client, second)
        assert not shop.is_live(client, first)


def test_a_restart_without_the_store_serves_the_last_verified_version(shop):
    first, weights = shop.promote()
    with shop.serving(first):
        pass
    away = shop.settings.model_copy(update={"s3_endpoint": "http://127.0.0.1:9"})
    with shop.serving(first, settings=away) as client:
        health = client.get("/health").json()["use_cases"][shop.name]
        assert (health["ready"], health["origin"]) == (True, "cache")
        assert items(shop.predict(client, history=["p1"])) == expected(weights, ["p1"], 3)
        wait(lambda: problem(client, shop) == "StorageUnavailable")
    with shop.serving(first) as client:
        wait(lambda: len(shop.logged("requests")) == 1)
        assert client.get("/health").json()["use_cases"][shop.name] == {
            "ready": True,
            "origin": "store",
            "problems": {},
        }


def test_a_broken_copy_on_disk_is_fetched_again(shop):
    first, weights = shop.promote()
    with shop.serving(first):
        pass
    copy = next((shop.settings.home / "server" / "versions").rglob("weights.npy"))
    np.save(copy, weights * 2)
    with shop.serving(first) as client:
        assert items(shop.predict(client, history=["p1"])) == expected(weights, ["p1"], 3)
