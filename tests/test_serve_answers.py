"""Answers come from the promoted bytes and the customer's history, over HTTP."""

import logging
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

import ml
from ml.contract import REQUEST_ID
from ml.files import sha256
from ml.privacy.pseudonym import pseudonym
from ml.serving import snapshot
from ml.store import Bucket

PROJECT = Path(ml.__file__).parent.parent


from tests.served_shop import PERSON, Shop, expected, items, problem, wait


@pytest.fixture
def shop(object_store, tmp_path, request):
    return Shop(object_store, tmp_path, f"toy-{sha256(request.node.nodeid.encode())[7:15]}")


def test_answers_come_from_the_promoted_bytes_and_the_customers_history(shop):
    digest, weights = shop.promote()
    mark = shop.histories(**{PERSON: ["p1", "p1", "p4"]}).mark
    with shop.serving() as client:
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"])
        answered = shop.predict(client, customer_id=PERSON, k=4)
        assert items(answered) == expected(weights, ["p1", "p1", "p4"], 4)
        assert answered.headers["Tradewind-Version"] == digest
        assert items(shop.predict(client, history=["p2"], customer_id=PERSON)) == expected(weights, ["p2"], 3)
        assert items(shop.predict(client, customer_id="a stranger")) == expected(weights, [], 3)
        by_pseudonym = client.post(
            f"/v1/{shop.name}/predict", json={"k": 4}, headers={"Tradewind-Unit": shop.unit(PERSON)}
        )
        assert items(by_pseudonym) == expected(weights, ["p1", "p1", "p4"], 4)
        told = client.get(f"/v1/{shop.name}/version").json()
    assert (told["digest"], told["seq"], told["who"], told["why"]) == (digest, 1, "ada", "run 1")
    assert told["histories"] == {"mark": mark, "as_of": "2017-12-31T23:59:59.999999", "units": 1}
    assert told["verdict"]["summary"] == "Better."
    assert told["figures"]["recall"] == {"value": 0.1, "low": 0.08, "high": 0.12}


def test_reasons_and_residual_sum_to_the_score(shop):
    shop.promote()
    with shop.serving() as client:
        found = client.post(f"/v1/{shop.name}/explain", json={"history": ["p1", "p3"], "k": 2}).json()["explanations"]
        scores = [score for _, score in items(shop.predict(client, history=["p1", "p3"], k=2))]
    assert [explanation["score"] for explanation in found] == pytest.approx(scores)
    for explanation in found:
        total = explanation["base"] + sum(r["contribution"] for r in explanation["reasons"]) + explanation["residual"]
        assert total == pytest.approx(explanation["score"])
        assert {r["text"] for r in explanation["reasons"]} == {"because you bought p1", "because you bought p3"}


def test_a_purchase_changes_the_next_answer_and_is_logged_without_the_name(shop, caplog):
    _, weights = shop.promote()
    caplog.set_level(logging.DEBUG)
    with shop.serving() as client:
        assert items(shop.predict(client, customer_id=PERSON)) == expected(weights, [], 3)
        assert shop.buy(client, "p5", event={"basket_id": "basket-0815"}, event_id="1").json() == {"counted": True}
        assert shop.buy(client, "p5", event_id="1").json() == {"counted": False}
        assert items(shop.predict(client, customer_id=PERSON, basket_id="basket-0815")) == expected(weights, ["p5"], 3)
    events, requests = shop.logged("events"), shop.logged("requests")
    assert events[0]["schema"] == "tradewind/event/1"
    assert events[0]["unit"] == shop.unit(PERSON)
    assert events[0]["event"]["basket_id"] == pseudonym(shop.key, "basket_id", "basket-0815")
    assert [line["features"]["n_bought"] for line in requests] == [0.0, 1.0]
    assert {line["unit"] for line in requests} == {shop.unit(PERSON)}
    assert all(line["answer"]["items"] and line["latency_ms"] > 0 for line in requests)
    for secret in (PERSON, "basket-0815"):
        assert secret.encode() not in shop.seen()
        assert secret not in caplog.text


def test_an_answer_that_draws_knows_the_id_it_is_logged_under(shop):
    def answer(predictor, state, request, history):
        told = shop.record.service.answer(predictor, state, request, history)
        return told.model_copy(update={"customer_id": (history or {}).get(REQUEST_ID)})

    shop.promote()
    with shop.serving(service=replace(shop.record.service, answer=answer, drawn=lambda logged, events: [])) as client:
        answered = shop.predict(client, k=1)
    (line,) = shop.logged("requests")
    assert answered.json()["customer_id"] == answered.headers["Tradewind-Request-Id"] == line["request_id"]


def test_new_histories_are_taken_over_and_later_purchases_stay(shop):
    _, weights = shop.promote()
    shop.histories(**{PERSON: ["p0"]})
    with shop.serving() as client:
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"])
        shop.buy(client, "p1", event={"purchased_at": "2018-01-02T10:00:00"})
        shop.buy(client, "p2", event={"purchased_at": "2018-01-09T10:00:00"})
        mark = shop.histories(date(2018, 1, 5), **{PERSON: ["p3"]}).mark
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"]["mark"] == mark)
        assert items(shop.predict(client, customer_id=PERSON)) == expected(weights, ["p3", "p2"], 3)


def test_histories_under_another_pseudonym_key_are_not_taken_over(shop):
    shop.promote()
    shop.histories(**{PERSON: ["p1"]})
    other = shop.settings.model_copy(update={"pseudonym_key": SecretStr("0" * 64)})
    with shop.serving(settings=other) as client:
        wait(lambda: problem(client, shop, "state") == "ConfigInvalid")
        assert client.get(f"/v1/{shop.name}/version").json()["histories"] is None


def test_histories_that_are_not_the_ones_named_are_not_taken_over(shop):
    shop.histories(**{PERSON: ["p1"]})
    Bucket.open(shop.promoter, "state").put(snapshot.newest(shop.promoter, shop.name).table, b"other bytes")
    with shop.open() as client:
        wait(lambda: problem(client, shop, "state") == "IntegrityBroken")


def test_the_server_imports_neither_tensorflow_nor_pandas():
    script = (
        "import sys, ml.serving.run, ml.serving.app, ml.serving.batch, pyarrow.parquet, ai_edge_litert.interpreter\n"
        "from ml.use_cases import NAMES, load\n"
        "[load(name) for name in NAMES]\n"
        "print([name for name in ('tensorflow', 'pandas', 'airflow', 'ibis', 'dvc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("record", [b"not json", b"[]", b'{"schema": "tradewind/snapshot/9"}'])
def test_a_record_of_histories_that_is_none_is_refused_and_answers_go_on(shop, record):
    _, weights = shop.promote()
    Bucket.open(shop.promoter, "state").put(snapshot.record_key(shop.name), record)
    with shop.serving() as client:
        wait(lambda: problem(client, shop, "state") == "IntegrityBroken")
        assert items(shop.predict(client)) == expected(weights, [], 3)


def test_histories_that_are_no_table_are_refused_and_the_known_ones_stay(shop):
    shop.promote()
    shop.histories(**{PERSON: ["p1"]})
    with shop.serving() as client:
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"])
        (shop.folder / "broken").write_bytes(b"PAR1 this is no table PAR1")
        snapshot.publish(shop.promoter, shop.name, shop.folder / "broken", date(2018, 1, 1))
        wait(lambda: problem(client, shop, "state") == "IntegrityBroken")
        assert client.get(f"/v1/{shop.name}/version").json()["histories"]["as_of"].startswith("2017-12-31")
        assert client.get("/health").json()["alive"]
