"""A value of another type is refused by its field, never taken for a number or a time that nobody meant."""

from __future__ import annotations

import pytest

PAYMENT = {"terminal_id": "1", "amount": 12.5, "paid_at": "2017-12-20T10:00:00", "channel": "till"}
RATING = {"age": 25, "gender": 1, "purchase_history": 10, "avg_rating": 3.5}
PURCHASE = {"product_id": "1", "purchased_at": "2017-12-20T10:00:00"}
CARD = {"count": 1, "cents": 100, "squares": 10000, "usual_count": 1, "usual_cents": 100, "payments": [], "known": []}


@pytest.fixture(scope="module")
def client(whole_shop, tmp_path_factory):
    with whole_shop.open(tmp_path_factory.mktemp("typed")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("rating/predict", {**RATING, "age": True}, "age"),
        ("rating/predict", {**RATING, "avg_rating": False}, "avg_rating"),
        ("fraud/predict", {**PAYMENT, "amount": True}, "amount"),
        ("fraud/explain", {**PAYMENT, "n_items": True}, "n_items"),
        ("fraud/predict", {**PAYMENT, "card": {**CARD, "payments": [[True, 1, 0]]}}, "card.payments"),
        ("recommend/predict", {"customer_id": "a", "k": True}, "k"),
        ("recommend/events", {"customer_id": "a", "event": {**PURCHASE, "quantity": True}}, "event.quantity"),
        (
            "fraud/events",
            {"customer_id": "a", "event": {"amount": True, "paid_at": "2018-01-01"}},
            "event.payment.amount",
        ),
        *(
            ("fraud/predict", {**PAYMENT, "paid_at": at}, "paid_at")
            for at in (1795428000, 1.5e9, "1795428000000", True)
        ),
        (
            "recommend/events",
            {"customer_id": "a", "event": {**PURCHASE, "purchased_at": 1514800000}},
            "event.purchased_at",
        ),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_field(client, path, body, field):
    refused = client.post(f"/v1/{path}", json=body)
    assert refused.status_code == 422, refused.text
    assert [fault["field"] for fault in refused.json()["error"]["fields"]] == [field]


@pytest.mark.parametrize("at", ["2017-12-20", "2017-12-20T10:00", "2017-12-20 10:00:00.5", "2017-12-20T10:00:00+08:00"])
def test_times_as_text_are_taken(client, at):
    assert client.post("/v1/fraud/predict", json={**PAYMENT, "paid_at": at}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_json_that_is_declared_as_something_else_is_told_the_header(client, kind):
    refused = client.post("/v1/rating/predict", content=b'{"age": 25}', headers={"Content-Type": kind})
    assert refused.status_code == 422
    assert "Content-Type: application/json" in refused.json()["error"]["action"]


def test_readiness_of_a_use_case_that_nobody_serves_is_not_waited_for(client):
    for name in ("frud", "", "all,fraud"):
        assert client.get("/health", params={"ready": name}).status_code == 404
    assert client.get("/health", params={"ready": "fraud"}).status_code == 200
