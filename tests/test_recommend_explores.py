"""Lists explore as far as they may: the last places, with chances that are told; whatever is missing shows the base list."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from pydantic import ValidationError
from rich.console import Console

from ml.contract import OUT_OF_STOCK, REQUEST_ID, JsonObject
from ml.errors import ModelNotFound
from ml.pipeline.bandit import Window, judge
from ml.stack.summary import show_judged
from ml.store import Bucket
from ml.use_cases.recommend.entry import Entry
from ml.use_cases.recommend.explore import Explorer, Known
from ml.use_cases.recommend.explore_params import LearnedPolicy, RecommendExplore
from ml.use_cases.recommend.params import RecommendFeatures
from ml.use_cases.recommend.record import USE_CASE
from ml.use_cases.recommend.service import Asked
from ml.use_cases.recommend.vocabulary import vocabulary_of
from tests.recommend_shop import PARAMS, Shop, small_shop

SERVICE = USE_CASE.service
ON = RecommendExplore(share=0.3, chance=0.5)
DAY = date(2026, 11, 20)


@dataclass(frozen=True)
class ByPopularity:
    """An exported model that ranks every customer's products by popularity."""

    n_products: int

    def __call__(self, inputs):
        rows = len(next(iter(inputs.values())))
        return np.tile(-np.arange(self.n_products, dtype=np.float32) / 10, (rows, 1))


@pytest.fixture(scope="module")
def shop() -> Shop:
    return small_shop(params=PARAMS.model_copy(update={"explore": ON, "new_share": 0.0}))


@pytest.fixture(scope="module")
def ask(shop):
    predictor = ByPopularity(len(shop.state["products"]))

    def answer(request_id: str | None = "request 1", k: int = 10, customer="someone", policy=None, like=None, **known):
        state = shop.state
        if policy is not None:
            state = {**state, "explore": ON.model_copy(update={"policy": policy}).model_dump(mode="json")}
        history = {"baskets": [["2026-06-20T10:00:00", [shop.state["products"][20]]]], "last": None, **known}
        history |= {} if request_id is None else {REQUEST_ID: request_id}
        request = SERVICE.request.model_validate({"customer_id": customer, "k": k, "similar_to": like})
        return SERVICE.answer(predictor, state, request, history)

    return answer


def learned(shop, **changes) -> LearnedPolicy:
    known = {"weights": {"challenger": 5.0}, "gain_low": 0.01, "as_of": datetime.fromisoformat(shop.state["as_of"])}
    return LearnedPolicy(**{**known, **changes})


def products(answer) -> list[str]:
    return [item.product_id for item in answer.items]


def test_only_the_last_places_are_drawn_among_what_would_come_next(ask, shop):
    ranked = shop.state["products"]
    seen = [ask(f"request {number}") for number in range(300)]
    assert {tuple(products(one)[:7]) for one in seen} == {tuple(ranked[:7])}
    assert all(len(set(products(one))) == 10 for one in seen)
    # three places of three candidates each, dealt out in rank order
    assert [{products(one)[at] for one in seen} for at in (7, 8, 9)] == [
        {ranked[at], ranked[at + 3], ranked[at + 6]} for at in (7, 8, 9)
    ]
    explored = np.mean([place.shown > 0 for one in seen for place in one.explored.places])
    assert explored == pytest.approx(0.5 * 2 / 3, abs=0.065)  # 4 standard errors of 900 draws


def test_an_answer_tells_what_was_drawn_and_how_likely_it_was(ask):
    answer = ask()
    assert answer.explored.policy == "base"
    for place in answer.explored.places:
        assert answer.items[place.rank - 1].product_id == place.candidates[place.shown].product_id
        assert [one.chance for one in place.candidates] == pytest.approx([0.5 + 0.5 / 3, 0.5 / 3, 0.5 / 3])


def test_the_same_request_gets_the_same_list_again(ask):
    assert ask("request 7") == ask("request 7")
    assert len({tuple(products(ask(f"request {number}"))) for number in range(20)}) > 1


@pytest.mark.parametrize(
    "known",
    [{"request_id": None}, {"customer": None}, {"k": 3}],
    ids=["without a request's id", "of nobody to learn from", "in a list of which a share is no place"],
)
def test_nothing_is_drawn(ask, shop, known):
    answer = ask(**known)
    assert answer.explored is None
    assert products(answer) == shop.state["products"][: len(answer.items)]


@pytest.mark.parametrize("known", [{"baskets": []}, {"like": "1003"}], ids=["for a stranger", "beside a product"])
def test_lists_that_are_no_next_basket_are_not_drawn(ask, known):
    assert ask(**known).explored is None


def test_the_place_of_a_product_too_new_to_be_learned_stays(shop):
    request = SERVICE.request.model_validate({"customer_id": "someone"})
    asked = Asked(shop.state, request, None)
    vocabulary = vocabulary_of(shop.state)
    n_products = len(vocabulary.products)
    known = Known(
        scores=np.zeros(n_products, np.float32), events=asked.events, found=asked.found, vocabulary=vocabulary
    )
    ranked = [Entry(number=number, score=0.0, said="") for number in range(16)]
    listed = [*ranked[:9], Entry(number=n_products, score=0.0, said="new")]
    shown, explored = Explorer(shop.state, 10, asked.now, "request 1").rerank(listed, ranked[10:], known)
    assert [place.rank for place in explored.places] == [7, 8, 9]
    assert shown[9] == listed[9]


def test_the_base_list_is_shown_where_stock_leaves_too_few_candidates(ask, shop):
    kept = shop.state["products"][:15]  # ten, and five of the six challengers
    short = ask(**{OUT_OF_STOCK: frozenset(shop.state["products"][15:])})
    assert short.explored is None
    assert products(short) == kept[:10]


def test_products_out_of_stock_are_never_drawn(ask, shop):
    out = frozenset(shop.state["products"][8:14])
    for number in range(50):
        answer = ask(f"request {number}", **{OUT_OF_STOCK: out})
        assert answer.explored is not None
        assert out.isdisjoint(products(answer))


def test_a_learned_policy_shows_what_it_prefers(ask, shop):
    answer = ask(policy=learned(shop))
    assert answer.explored.policy.startswith("learned 20")
    chances = [[one.chance for one in place.candidates] for place in answer.explored.places]
    # all challengers are alike to it, so it prefers the first
    assert chances == [pytest.approx([0.5 / 3, 0.5 + 0.5 / 3, 0.5 / 3])] * 3


@pytest.mark.parametrize(
    "fault",
    [{"gain_low": 0.0}, {"weights": {"no such feature": 1.0}}, {"as_of": datetime(2020, 1, 1)}],
    ids=["not surely better", "of other features", "stale"],
)
def test_a_learned_policy_that_cannot_be_trusted_is_not_used(ask, shop, fault):
    assert ask(policy=learned(shop, **fault)).explored.policy == "base"


def test_lists_do_not_explore_by_default():
    assert RecommendFeatures().explore.share == 0
    assert "explore" not in small_shop().state


def test_more_than_half_a_list_is_never_explored():
    with pytest.raises(ValidationError):
        RecommendExplore(share=0.6)


# --- From the log back to a policy ----------------------------------------------------------------


def lines_of(ask, shop, rng, n: int) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return lines of answers and of purchases: customers buy challengers four times as often as what they are shown else."""
    time = datetime(2026, 11, 10, 12, tzinfo=UTC)
    answers, events = [], []
    for number in range(n):
        unit = f"customer {number}"
        answer = ask(f"request {number}", customer=unit)
        answers.append(
            {"unit": unit, "time": time.isoformat(timespec="milliseconds"), "answer": answer.model_dump(mode="json")}
        )
        for place in answer.explored.places:
            if rng.random() < (0.4 if place.shown else 0.1):
                product = place.candidates[place.shown].product_id
                later = (time + timedelta(hours=1)).isoformat(timespec="milliseconds")
                events.append({"unit": unit, "time": later, "event": {"product_id": product}})
    return answers, events


def put(settings, kind: str, written: list[JsonObject]) -> None:
    text = "\n".join(json.dumps(line) for line in written)
    Bucket.open(settings, "requests").put(f"{kind}/recommend/2026-11-10/0000000000000.jsonl", text.encode())


def test_what_the_log_teaches_is_shown_by_the_next_version(ask, shop, object_store, rng):
    answers, events = lines_of(ask, shop, rng, 400)
    put(object_store.settings("serve"), "requests", answers)
    put(object_store.settings("serve"), "events", events)
    window = Window(day=DAY, days=14, outcome_days=7)
    found = judge(object_store.settings("train"), USE_CASE, window)
    assert found.explore == pytest.approx(0.5)
    assert found.evidence.is_accepted
    # drawn evenly in half of the draws: challengers stand at a third of the places; a learned list shows them at 5/6
    assert found.earned.low < 2 / 3 * 0.1 + 1 / 3 * 0.4 < found.earned.high
    assert found.evidence.gain.low < 5 / 6 * 0.3 < found.evidence.gain.high
    policy = LearnedPolicy.model_validate(found.policy())
    assert ask(policy=policy).explored.policy.startswith("learned")
    report = json.loads(Bucket.open(object_store.settings("read"), "reports").get("recommend/bandit/2026-11-20.json"))
    assert report["policy"] == found.policy()
    told = Console(record=True, width=200, file=io.StringIO())
    show_judged(told, "recommend", found)
    assert "below recommend.features.explore and retrain" in told.export_text()


def test_answers_whose_outcome_is_not_known_yet_teach_nothing(object_store):
    window = Window(day=date(2026, 11, 12), days=14, outcome_days=7)
    with pytest.raises(ModelNotFound, match=r"docs/bandit\.md"):
        judge(object_store.settings("train"), USE_CASE, window)
