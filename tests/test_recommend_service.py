"""Recommendations are asked for, explained and updated without TensorFlow, by the exported model alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from ml.contract import OUT_OF_STOCK
from ml.use_cases.recommend.record import USE_CASE
from tests.recommend_shop import Shop, shop_with_new_products, small_shop, write

pytestmark = pytest.mark.filterwarnings("ignore")

SERVICE = USE_CASE.service
SERVE = """
import json, sys
from pathlib import Path
from ml.use_cases.recommend.record import USE_CASE
folder = Path(sys.argv[1])
state = json.loads((folder / "state.json").read_text())
predictor = USE_CASE.model.open(folder / "exported" / "int8")
request = USE_CASE.service.request.model_validate(json.loads(sys.argv[2]))
answer = USE_CASE.service.answer(predictor, state, request, None)
assert USE_CASE.service.explain(predictor, state, request, None)
heavy = [name for name in ("tensorflow", "pandas", "ibis", "keras", "scipy") if name in sys.modules]
print(json.dumps({"heavy": heavy, "answer": answer.model_dump(mode="json")}))
"""


@pytest.fixture(scope="module")
def shop() -> Shop:
    return small_shop()


@pytest.fixture(scope="module")
def fresh() -> Shop:
    """The same shop with products too new to be learned: its vocabulary, and so the model's, is the same."""
    return shop_with_new_products()


@pytest.fixture(scope="module")
def folder(shop, tmp_path_factory) -> Path:
    """State and exported variants of a network trained for one pass."""
    from ml.use_cases.recommend.params import RecommendTrain

    place = tmp_path_factory.mktemp("served")
    write(shop, place)
    USE_CASE.model.train(shop.built.splits, shop.state, RecommendTrain(epochs=1), place / "trained")
    USE_CASE.model.export(place / "trained", place / "exported", shop.built.splits, shop.state)
    return place


@pytest.fixture(scope="module")
def predictor(folder):
    return USE_CASE.model.open(folder / "exported" / "float32")


def request(**fields):
    return SERVICE.request.model_validate(fields)


def known_history(shop) -> dict:
    return json.loads(shop.built.histories["history"].iloc[0])


def test_an_answer_ranks_k_products_with_names(shop, predictor):
    answer = SERVICE.answer(predictor, shop.state, request(customer_id="x", k=7), known_history(shop))
    assert [item.rank for item in answer.items] == list(range(1, 8))
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    names = dict(zip(shop.state["products"], shop.state["names"], strict=True))
    assert all(names[item.product_id] == item.name for item in answer.items)
    assert not answer.fallback


def test_a_stranger_gets_what_sells_now_from_many_categories(shop, predictor):
    answer = SERVICE.answer(predictor, shop.state, request(customer_id="never seen"), None)
    assert answer.fallback
    sold = shop.tables["purchases"].query("'2026-05-06' <= purchased_at < '2026-06-03'")
    assert answer.items[0].product_id == sold["product_id"].value_counts().index[0]
    categories = [item.category for item in answer.items]
    assert len(answer.items) == 10
    assert max(map(categories.count, categories)) <= 2
    assert {item.reason for item in answer.items} == {"popular now"}


def test_a_strangers_age_group_changes_the_list_and_is_its_reason(shop, predictor):
    asked = request(customer_id="never seen", age_group="25-34", income_group="250K+")
    answer, told = (
        SERVICE.answer(predictor, shop.state, asked, None),
        SERVICE.explain(predictor, shop.state, asked, None),
    )
    assert answer.fallback
    assert {item.reason for item in answer.items} == {"popular now, age group 25-34"}
    assert [item.score for item in answer.items] != [
        item.score for item in SERVICE.answer(predictor, shop.state, request(), None).items
    ]
    for item, one in zip(answer.items, told, strict=True):
        assert one.subject == item.name
        assert one.base + sum(reason.contribution for reason in one.reasons) == pytest.approx(item.score, abs=1e-6)
    nobody = SERVICE.answer(predictor, shop.state, request(age_group="no such group"), None)
    assert nobody == SERVICE.answer(predictor, shop.state, request(), None)


def test_products_nobody_knows_are_ignored_and_counted(shop, predictor):
    known = {"product_id": shop.state["products"][3], "purchased_at": "2026-06-20T10:00:00"}
    strange = {"product_id": "no such product", "purchased_at": "2026-06-21T10:00:00"}
    answer = SERVICE.answer(predictor, shop.state, request(history=[known, strange]), None)
    assert answer.unknown_products == 1
    assert not answer.fallback
    assert len(answer.items) == 10
    lost = SERVICE.answer(predictor, shop.state, request(similar_to="no such product"), known_history(shop))
    assert (lost.unknown_products, lost.fallback) == (1, True)


def test_similar_items_come_with_names_and_reasons_and_without_what_is_out_of_stock(shop, predictor):
    asked = request(similar_to=shop.state["products"][0])
    answer = SERVICE.answer(predictor, shop.state, asked, None)
    products = [item.product_id for item in answer.items]
    assert len(products) == 10
    assert shop.state["products"][0] not in products
    assert not answer.fallback
    assert {item.reason for item in answer.items} <= {
        "often bought together",
        "same category",
        "same brand",
        "same department",
    }
    assert "often bought together" in {item.reason for item in answer.items}
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    known = {OUT_OF_STOCK: frozenset(products[:2])}
    assert [item.product_id for item in SERVICE.answer(predictor, shop.state, asked, known).items][:8] == products[2:]
    for one in SERVICE.explain(predictor, shop.state, asked, None):
        assert sum(reason.contribution for reason in one.reasons) == pytest.approx(one.score)


def test_what_is_often_bought_together_is_similar(shop, predictor):
    """In the made-up shop the product that follows in the list is bought beside 15 % of the time."""
    products = shop.state["products"]
    found = 0
    for product in products:
        answer = SERVICE.answer(predictor, shop.state, request(similar_to=product), None)
        after = f"{1000 + (int(product) - 1000 + 1) % 60}"
        found += after in [item.product_id for item in answer.items]
    assert found / len(products) > 2 * 10 / len(products)


def test_a_new_product_is_similar_to_its_category_and_stands_tenth_beside_it(fresh, predictor):
    bread = fresh.tables["products"]["category"].iloc[0]
    alike = SERVICE.answer(predictor, fresh.state, request(similar_to="new"), None)
    assert not alike.fallback
    of_kind = [
        name for name, kind in zip(fresh.state["products"], fresh.state["categories"], strict=True) if kind == bread
    ]
    n = len(of_kind)
    assert {item.product_id for item in alike.items[:n]} == set(of_kind)
    assert {item.reason for item in alike.items[:n]} == {"same category"}
    beside = SERVICE.answer(predictor, fresh.state, request(similar_to=of_kind[0]), None)
    assert [item.product_id for item in beside.items if item.is_new] == [beside.items[9].product_id] == ["new"]


def test_a_new_product_gets_the_tenth_place_of_those_who_like_its_category(fresh, predictor):
    bread = fresh.tables["products"]["category"].iloc[0]
    kinds = dict(zip(fresh.state["products"], fresh.state["categories"], strict=True))
    fans = [product for product, kind in kinds.items() if kind == bread]
    others = [product for product, kind in kinds.items() if kind != bread][:3]

    def asked(products, **more):
        bought = [
            {"product_id": product, "purchased_at": f"2026-06-{day}T10:00:00"}
            for product in products
            for day in range(10, 28)
        ]
        return request(history=bought, **more)

    answer = SERVICE.answer(predictor, fresh.state, asked(fans), None)
    assert [(item.rank, item.name) for item in answer.items if item.is_new] == [(10, "New rye")]
    assert not any(item.is_new for item in SERVICE.answer(predictor, fresh.state, asked(others), None).items)
    without = SERVICE.answer(predictor, fresh.state, asked(fans, exclude=["new"]), None)
    assert "new" not in [item.product_id for item in without.items]
    assert answer.items[:9] == without.items[:9]
    gone = SERVICE.answer(predictor, fresh.state, asked(fans), {OUT_OF_STOCK: frozenset(["new"])})
    assert "new" not in [item.product_id for item in gone.items]
    early = SERVICE.answer(predictor, fresh.state, asked(fans, now="2026-06-02T10:00:00"), None)
    assert not any(item.is_new for item in early.items)
    told = SERVICE.explain(predictor, fresh.state, asked(fans), None)[9]
    assert told.reasons[0].text == f"because of what you bought of {bread}"
    assert told.base + told.reasons[0].contribution == pytest.approx(told.score)
    assert told.reasons[0].contribution > 0


def test_a_product_without_a_name_is_called_by_its_number_and_category(fresh, predictor):
    kind = fresh.tables["products"]["category"].iloc[25]
    answer = SERVICE.answer(
        predictor, fresh.state, request(similar_to=fresh.tables["products"]["product_id"].iloc[25]), None
    )
    assert [item.name for item in answer.items if item.is_new] == [f"nameless ({kind})"]
    assert all(item.name for item in answer.items)


def test_excluded_products_leave_their_places_to_the_next(shop, predictor):
    history = known_history(shop)
    before = [item.product_id for item in SERVICE.answer(predictor, shop.state, request(k=12), history).items]
    unwanted = [before[0], before[3], "no such product"]
    after = SERVICE.answer(predictor, shop.state, request(k=10, exclude=unwanted), history)
    assert [item.product_id for item in after.items] == [product for product in before if product not in unwanted]


def test_no_list_of_10000_holds_a_product_out_of_stock(shop, predictor, rng):
    products = shop.state["products"]
    for drawn in rng.random((10_000, len(products))):
        bought = [products[at] for at in drawn.argpartition(3)[:3]]
        known = {"baskets": [["2026-06-01T10:00:00", bought]], "last": None}
        out = frozenset(product for product, chance in zip(products, drawn, strict=True) if chance < 2 * drawn[0])
        items = SERVICE.answer(predictor, shop.state, request(k=10), known | {OUT_OF_STOCK: out}).items
        assert len(items) == min(10, len(products) - len(out))
        assert out.isdisjoint(item.product_id for item in items)


def test_own_purchases_in_a_request_are_used_before_a_known_history(shop, predictor):
    bought = [
        {"product_id": shop.state["products"][20], "purchased_at": f"2026-06-{day}T10:00:00"} for day in (10, 20, 28)
    ]
    brought = SERVICE.answer(predictor, shop.state, request(customer_id="x", history=bought), known_history(shop))
    alone = SERVICE.answer(predictor, shop.state, request(history=bought), None)
    assert brought == alone
    assert shop.state["products"][20] in [item.product_id for item in alone.items]


def test_an_event_changes_the_next_answer(shop, predictor):
    known, product = known_history(shop), shop.state["products"][-1]
    grown = known
    for day in (1, 4, 7):
        grown = SERVICE.observe(grown, {"product_id": product, "purchased_at": f"2026-07-0{day}T10:00:00"})
    before = {i.product_id: i.score for i in SERVICE.answer(predictor, shop.state, request(k=50), known).items}
    after = {i.product_id: i.score for i in SERVICE.answer(predictor, shop.state, request(k=50), grown).items}
    assert after[product] > before.get(product, min(before.values()))


@pytest.mark.parametrize("variant", ["float32", "float16", "int8"])
def test_reasons_add_up_to_the_score_of_what_ships(shop, folder, variant):
    predict = USE_CASE.model.open(folder / "exported" / variant)
    asked, history = request(customer_id="x"), known_history(shop)
    answer, told = (
        SERVICE.answer(predict, shop.state, asked, history),
        SERVICE.explain(predict, shop.state, asked, history),
    )
    assert [one.subject for one in told] == [item.name for item in answer.items]
    for item, one in zip(answer.items, told, strict=True):
        total = one.base + sum(reason.contribution for reason in one.reasons)
        assert total + one.residual == pytest.approx(one.score, abs=1e-9)
        assert one.score == pytest.approx(item.score, abs=1e-5)
        tolerance = 1e-4 if variant != "int8" else 0.05 * max(1, abs(one.score))
        assert abs(one.residual) < tolerance
        assert all(reason.text.startswith(("because you bought", "although you bought")) for reason in one.reasons[:-1])


def test_a_reason_names_the_product_that_was_bought_most(shop, predictor):
    product = shop.state["products"][12]
    bought = [{"product_id": product, "purchased_at": f"2026-06-{day}T10:00:00"} for day in (10, 17, 24)]
    asked = request(history=bought, k=1, now="2026-06-30T10:00:00")
    (told,) = SERVICE.explain(predictor, shop.state, asked, None)
    assert told.subject == shop.state["names"][12]
    assert told.reasons[0].text == "because you bought it 3 times, last 6 days ago"
    assert told.reasons[0].contribution > 0


def test_the_server_needs_no_heavy_library(folder):
    body = json.dumps({"history": [{"product_id": "1003", "purchased_at": "2026-06-20T10:00:00"}], "k": 3})
    command = [sys.executable, "-c", SERVE, str(folder), body]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["heavy"] == []
    assert len(told["answer"]["items"]) == 3


def test_golden_requests_are_made_up_of_what_many_bought(shop, predictor):
    """Most bring a history, whose products at least the tenth most bought product's customers bought; the rest is odd."""
    bodies = SERVICE.golden(shop.split("test"), shop.state, 20)
    answers = [SERVICE.answer(predictor, shop.state, request(**body), None) for body in bodies]
    customers = dict(zip(shop.state["products"], shop.state["customers"], strict=True))
    least = min(20, sorted(customers.values())[-10])
    assert [answer.fallback for answer in answers][:16] == [False] * 16
    assert {answer.fallback for answer in answers[16:]} == {False, True}
    assert {customers[one["product_id"]] >= least for body in bodies[:16] for one in body["history"]} == {True}
    assert len({len(body["history"]) for body in bodies[:16]}) > 4
    assert len({tuple(item.product_id for item in answer.items) for answer in answers}) > 10


def test_requests_of_examples_bring_their_own_history_and_name_nobody(shop, predictor):
    bodies = SERVICE.from_examples(shop.split("test"), shop.state, 5)
    assert len(bodies) == 5
    units = set(shop.split("test")["unit"])
    for body in bodies:
        assert not any(unit in json.dumps(body) for unit in units)
        assert not SERVICE.answer(predictor, shop.state, request(**body), None).fallback


def test_drift_features_are_the_columns_of_the_profile(shop, predictor):
    asked = request(customer_id="x")
    answer = SERVICE.answer(predictor, shop.state, asked, known_history(shop))
    told = SERVICE.features(asked, answer, known_history(shop))
    assert set(told) == {*shop.built.profile["reference"].columns, "score"}
    assert SERVICE.features(asked, SERVICE.answer(predictor, shop.state, asked, None), None) == {}
    beside = request(similar_to=shop.state["products"][0])
    assert SERVICE.features(beside, SERVICE.answer(predictor, shop.state, beside, None), None) == {}


def test_an_outcome_is_known_once_something_was_bought():
    logged = {"answer": {"items": [{"product_id": "1"}, {"product_id": "2"}]}}
    assert SERVICE.outcome(logged, []) == {}
    found = SERVICE.outcome(logged, [{"product_id": "2"}, {"product_id": "9"}, {"product_id": "9"}])
    assert found == {"hit": 1.0, "recall": 0.5, "precision": 0.5}
    assert SERVICE.outcome(logged, [{"product_id": "9"}])["hit"] == 0.0


@pytest.mark.parametrize(
    "fields",
    [
        {"k": 0},
        {"k": 51},
        {"wish": 1},
        {"history": [{"product_id": "1"}]},
        {"now": "some day"},
        {"exclude": ["a"] * 1001},
    ],
)
def test_requests_outside_their_ranges_are_refused(fields):
    with pytest.raises(ValidationError):
        request(**fields)
