"""What the shop cannot deliver is never recommended: not over HTTP, not in a batch, by no server, after no restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.contract import OUT_OF_STOCK
from ml.privacy.pseudonym import pseudonym, read_key
from ml.serving import batch
from ml.store import Bucket
from tests.served_shop import PERSON, VOCABULARY, Shop, items, wait

AWAY = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def shop(object_store, tmp_path):
    """A promoted shop, all of whose products are in stock before and after."""
    shop = Shop(object_store, tmp_path, "toy-out-of-stock")
    shop.promote()
    shop.histories(**{PERSON: ["p1", "p4"], "another": []})
    yield shop
    bucket = Bucket.open(shop.settings, "state")
    for key in list(bucket.keys("shop/out_of_stock/")):
        bucket.delete(key)


def recommended(shop, client, **body):
    return {product for product, _ in items(shop.predict(client, k=5, **body))}


def out_of_stock(client):
    return set(client.get("/v1/out-of-stock").json()["out_of_stock"])


def test_a_product_that_ran_out_is_in_no_answer_until_it_is_back(shop):
    with shop.serving() as client:
        best = items(shop.predict(client, customer_id=PERSON, k=1))[0][0]
        assert client.put(f"/v1/out-of-stock/{best}").status_code == 204
        assert best not in recommended(shop, client, customer_id=PERSON)
        assert best not in recommended(shop, client, customer_id="a stranger")
        told = client.post(f"/v1/{shop.name}/explain", json={"customer_id": PERSON, "k": 5}).json()["explanations"]
        assert best not in {explanation["subject"] for explanation in told}
        assert client.delete(f"/v1/out-of-stock/{best}").status_code == 204
        assert best in recommended(shop, client, customer_id=PERSON)


def test_the_whole_list_can_be_set_and_only_by_who_holds_the_token(shop):
    with shop.serving() as client:
        body = {"out_of_stock": ["p0", "p3", "a/b c"]}
        assert client.put("/v1/out-of-stock", json=body, headers={"Authorization": "Bearer x"}).status_code == 401
        assert out_of_stock(client) == set()
        client.put("/v1/out-of-stock", json=body)
        assert out_of_stock(client) == {"p0", "p3", "a/b c"}
        client.delete("/v1/out-of-stock/a/b c")
        assert out_of_stock(client) == {"p0", "p3"}
        client.put("/v1/out-of-stock", json={"out_of_stock": ["p3", "p5"]})
        assert recommended(shop, client) == set(VOCABULARY) - {"p3", "p5"}
        client.put("/v1/out-of-stock", json={"out_of_stock": VOCABULARY})
        assert recommended(shop, client) == set()
        assert client.put("/v1/out-of-stock", json={"out_of_stock": "p3"}).status_code == 422


def test_batches_and_other_servers_leave_it_out_as_well(shop, tmp_path):
    other = shop.settings.model_copy(update={"home": tmp_path / "other"})
    with shop.serving() as client, shop.open(settings=other) as second:
        client.put("/v1/out-of-stock/p2")
        second.put("/v1/out-of-stock/p4")
        wait(lambda: out_of_stock(client) == out_of_stock(second) == {"p2", "p4"})
    done = batch.batch(shop.settings, shop.record, 5)
    rows = pq.read_table(pa.BufferReader(Bucket.open(shop.settings, "state").get(done.key)))
    assert set(rows["product_id"].to_pylist()) == set(VOCABULARY) - {"p2", "p4"}


def test_a_restart_without_the_store_still_knows(shop):
    with shop.serving() as client:
        client.put("/v1/out-of-stock/p2")
    away: Settings = shop.settings.model_copy(update={"s3_endpoint": AWAY})
    with shop.serving(settings=away) as client:
        assert out_of_stock(client) == {"p2"}
        assert "p2" not in recommended(shop, client, customer_id=PERSON)
        assert client.put("/v1/out-of-stock/p3").status_code == 503


def test_a_long_list_is_one_object_and_the_marks_of_an_earlier_release_count_until_it_is_set(shop):
    bucket = Bucket.open(shop.settings, "state")
    for key in ("p1", "p3", "Rot%2FGr%C3%BCn%204"):
        bucket.put(f"shop/out_of_stock/{key}", b'{"since": "2026-11-01T00:00:00+00:00"}')
    long = [f"Größe {number}/4" if number % 2 else f"{number}" for number in range(20_000)]
    with shop.serving() as client:
        wait(lambda: out_of_stock(client) == {"p1", "p3", "Rot/Grün 4"})
        assert client.delete("/v1/out-of-stock/p1").status_code == 204
        assert client.put("/v1/out-of-stock/p4").status_code == 204
        assert out_of_stock(client) == {"p3", "p4", "Rot/Grün 4"}
        assert recommended(shop, client) == set(VOCABULARY) - {"p3", "p4"}
        assert client.put("/v1/out-of-stock", json={"out_of_stock": long}).status_code == 200
        assert len(out_of_stock(client)) == 20_000
        assert len(list(bucket.keys("shop/out_of_stock/"))) == 1


def test_marks_of_many_servers_at_once_are_all_kept(shop, tmp_path):
    products = [f"q{number}" for number in range(40)]
    other = shop.settings.model_copy(update={"home": tmp_path / "other"})
    with shop.serving() as first, shop.open(settings=other) as second, ThreadPoolExecutor(8) as pool:
        servers = zip(products, cycle([first, second]), strict=False)
        asked = list(pool.map(lambda one: one[1].put(f"/v1/out-of-stock/{one[0]}").status_code, servers))
        assert asked == [204] * 40
        wait(lambda: out_of_stock(first) == out_of_stock(second) == set(products))


def test_a_spoilt_list_is_told_and_setting_it_anew_mends_it(shop):
    with shop.serving() as client:
        client.put("/v1/out-of-stock/p2")
        Bucket.open(shop.settings, "state").put("shop/out_of_stock/=list.json", b'{"products": 5')
        assert client.put("/v1/out-of-stock/p3").status_code == 500
        assert "PUT /v1/out-of-stock" in client.put("/v1/out-of-stock/p3").json()["error"]["action"]
        assert "p2" not in recommended(shop, client)
        assert client.put("/v1/out-of-stock", json={"out_of_stock": ["p3"]}).status_code == 200
        assert out_of_stock(client) == {"p3"}


@pytest.mark.parametrize("sent", ["anna.kowalska@example.com", "Anna Kowalska", "+44 20 7946 0958", "Größe XL"])
def test_what_may_be_a_person_is_kept_under_a_digest_until_a_version_knows_it_as_a_product(shop, sent):
    hidden = pseudonym(read_key(shop.settings), "product_id", sent)
    with shop.serving() as client:
        assert client.put("/v1/out-of-stock", json={"out_of_stock": ["p1", sent]}).status_code == 200
        assert out_of_stock(client) == {"p1", hidden}
        assert client.delete(f"/v1/out-of-stock/{quote(sent)}").status_code == 204
        assert out_of_stock(client) == {"p1"}
        assert client.put(f"/v1/out-of-stock/{quote(sent)}").status_code == 204
        assert out_of_stock(client) == {"p1", hidden}
        wait(lambda: client.get("/health").status_code == 200)
    assert sent.encode() not in shop.seen()
    service = shop.record.service

    def answer(predictor, state, request, history):
        """Answer as if the first product bore that name."""
        out = {"p0" if product == sent else product for product in (history or {}).get(OUT_OF_STOCK, ())}
        return service.answer(predictor, state, request, {**(history or {}), OUT_OF_STOCK: out})

    with shop.serving(service=replace(service, catalogue=lambda _: [sent], answer=answer)) as client:
        assert recommended(shop, client) == set(VOCABULARY) - {"p0", "p1"}
        assert client.put("/v1/out-of-stock", json={"out_of_stock": [sent]}).status_code == 200
        assert out_of_stock(client) == {sent}
        assert recommended(shop, client) == set(VOCABULARY) - {"p0"}
