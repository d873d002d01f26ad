"""Over HTTP a payment is judged by what is known of its card and of its terminal, and both learn from events."""

from __future__ import annotations

from datetime import date

import pytest

from ml.files import read_json
from ml.packaging.golden import differences
from ml.privacy.pseudonym import pseudonym
from ml.serving.app import create_app
from ml.use_cases.fraud.record import USE_CASE
from tests.fraud_shop import export, small_shop
from tests.recommend_shop import prepare
from tests.served_shop import Shop, first_run, listening, promote_first, wait

pytestmark = pytest.mark.filterwarnings("ignore")

AS_OF = date(2026, 6, 30)
PAID = {"terminal_id": "9-1", "amount": 20.0, "paid_at": "2026-07-01T15:00:00", "channel": "till"}


@pytest.fixture(scope="module")
def promoted(object_store, tmp_path_factory):
    """A version that was trained on the made-up shop, in production with its histories."""
    prepare()
    folder = tmp_path_factory.mktemp("served")
    shop = Shop(object_store, folder, "fraud")
    context = first_run(USE_CASE, shop.promoter, folder, AS_OF)
    export(small_shop(), context.data("features").parent)
    promote_first(context, AS_OF)
    shop.record = USE_CASE
    return shop


@pytest.fixture(scope="module")
def client(promoted):
    import httpx

    app = create_app(promoted.settings, {"fraud": USE_CASE})
    headers = {"Authorization": f"Bearer {promoted.token}"}
    with listening(app) as url, httpx.Client(base_url=url, headers=headers, timeout=30) as opened:
        wait(lambda: promoted.is_live(opened) and opened.get("/v1/fraud/version").json()["histories"])
        yield opened


def predict(client, **body):
    answered = client.post("/v1/fraud/predict", json={**PAID, **body})
    assert answered.status_code == 200, answered.text
    return answered.json()


def tell(client, who, **event):
    return client.post("/v1/fraud/events", json={"customer_id": who, "event": event})


def reasons(client, **body):
    (told,) = client.post("/v1/fraud/explain", json={**PAID, **body}).json()["explanations"]
    assert told["base"] + sum(one["contribution"] for one in told["reasons"]) == pytest.approx(told["score"], abs=1e-3)
    return {one["kind"]: one["text"] for one in told["reasons"]}


def test_answers_are_those_of_the_packaged_golden_requests(promoted, client):
    folder = next((promoted.settings.home).rglob("golden.json"))
    for case in read_json(folder)["cases"]:
        answered = client.post("/v1/fraud/predict", json=case["request"]).json()
        assert list(differences(case["answer"], answered)) == []


def test_a_terminal_has_a_history_that_any_card_adds_to(client):
    place = {"terminal_id": "77-1"}
    assert "no payments in a week, no charge-backs" in reasons(client, customer_id="nobody", **place)["terminal"]
    for who in ("anna", "ben"):
        assert tell(client, who, amount=10.0, paid_at="2026-07-01T10:00:00", **place).json() == {"counted": True}
    moments = {"reported_at": "2026-07-01T12:00:00", "payment_at": "2026-07-01T10:00:00"}
    assert tell(client, "ben", **place, **moments, was_odd=False).json() == {"counted": True}
    told = reasons(client, customer_id="nobody", **place)
    assert "2 payments in a week, 1 charge-back reported" in told["terminal"]
    assert told["card"] == "a card that was never seen before"
    assert "no payments in a week" in reasons(client, customer_id="nobody", terminal_id="78-1")["terminal"]


def test_a_card_has_a_history_at_whatever_terminal(client):
    for hour in (9, 10, 11):
        tell(client, "carla", amount=5.0, paid_at=f"2026-07-01T{hour:02d}:00:00", terminal_id=f"5{hour}-1")
    told = reasons(client, customer_id="carla")
    assert told["pace"] == "payment 4 of this card within a day, 4 within a week; the one before 4 hours ago"
    assert told["amount"] == "20.00 paid, 4.0 times its usual"


def test_a_charge_back_that_comes_late_joins_its_answer_by_the_hidden_payment(promoted, client):
    answered = predict(client, customer_id="dora", payment_id="p-4711")
    key = bytes.fromhex(promoted.promoter.pseudonym_key.get_secret_value())
    assert answered["payment_id"] == pseudonym(key, "payment_id", "p-4711")
    tell(client, "dora", **{name: PAID[name] for name in ("amount", "paid_at", "terminal_id")})
    notice = {"payment_id": "p-4711", "reported_at": "2026-07-01T15:00:01", "payment_at": PAID["paid_at"]}
    assert tell(client, "dora", terminal_id=PAID["terminal_id"], was_odd=answered["is_odd"], **notice).is_success
    assert "1 charge-back" in reasons(client, customer_id="dora", paid_at="2026-07-01T16:00:00")["card"]


def test_an_event_that_is_none_is_refused_and_changes_nothing(client):
    before = predict(client, customer_id="emil")
    refused = tell(client, "emil", terminal_id="9-1", paid_at="2026-07-01T10:00:00")
    assert refused.status_code == 422
    assert predict(client, customer_id="emil") == before
