"""Payments are answered, explained and remembered without TensorFlow, by the exported model alone."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ml.use_cases.fraud.encode import encode
from ml.use_cases.fraud.evidence import GROUPS
from ml.use_cases.fraud.predictor import DECISION, EXPLAINED, TREES, open_fraud
from ml.use_cases.fraud.record import USE_CASE
from tests.fraud_shop import export, give_share, small_shop
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).parent.parent / "docs" / "fraud.md"
SERVICE = USE_CASE.service
ASKED = {"terminal_id": "0-2", "amount": 12.5, "paid_at": "2026-07-01T15:00:00", "channel": "till"}
SERVE = """
import json, sys
from pathlib import Path
from ml.use_cases.fraud.record import USE_CASE
folder = Path(sys.argv[1])
predictor = USE_CASE.model.open(folder / "compress" / "int8")
state = json.loads((folder / "features" / "state.json").read_text())
request = USE_CASE.service.request.model_validate(json.loads(sys.argv[2]))
assert USE_CASE.service.explain(predictor, state, request, None)
answer = USE_CASE.service.answer(predictor, state, request, None)
heavy = [name for name in ("tensorflow", "keras", "ibis", "altair") if name in sys.modules]
print(json.dumps({"heavy": heavy, "answer": answer.model_dump(mode="json")}))
"""


@pytest.fixture(scope="module")
def shop():
    prepare()
    return small_shop(n_customers=120)


@pytest.fixture(scope="module")
def folder(shop, tmp_path_factory):
    place = tmp_path_factory.mktemp("fraud")
    export(shop, place)
    return place


@pytest.fixture(scope="module")
def predictor(folder):
    return open_fraud(folder / "compress" / "float32")


def with_share(folder, place, share):
    """Copy a variant, and let the trees have another share."""
    for path in (folder / "compress" / "float32").iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    give_share(place, share)
    return place


def answer(predictor, shop, body):
    return SERVICE.answer(predictor, shop.state, SERVICE.request.model_validate(body), None)


def test_serving_loads_no_heavy_library(folder, shop, predictor):
    (body,) = SERVICE.golden(shop.test, shop.state, 1)
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(folder), json.dumps(body)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["heavy"] == []
    assert told["answer"]["p_fraud"] == pytest.approx(answer(predictor, shop, body).p_fraud, abs=0.05)


def test_frauds_are_told_from_genuine_payments(predictor, shop):
    scores = predictor(encode(shop.test, shop.state))[:, 0]
    is_fraud = shop.test["is_fraud"].to_numpy() == 1
    assert np.median(scores[is_fraud]) > np.quantile(scores[~is_fraud], 0.95)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_what_each_kind_of_evidence_adds_sums_to_the_score(folder, tmp_path, shop, share):
    opened = open_fraud(with_share(folder, tmp_path, share))
    encoded = encode(shop.test.head(40), shop.state)
    told = opened({**encoded, EXPLAINED: np.ones((40, 1))})
    np.testing.assert_allclose(told[:, 3:].sum(axis=1), told[:, 0], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(told[:, :3], opened(encoded))


def test_the_trees_part_is_lightgbms_own(folder, tmp_path, shop):
    import lightgbm

    opened = open_fraud(with_share(folder, tmp_path, 1.0))
    encoded = encode(shop.test.head(5), shop.state)
    features = np.concatenate([encoded[kind] for kind in GROUPS], axis=1)
    features[features == -1e9] = np.nan
    theirs = lightgbm.Booster(model_str=(tmp_path / TREES).read_text()).predict(features, pred_contrib=True)
    told = opened({**encoded, EXPLAINED: np.ones((5, 1))})
    np.testing.assert_allclose(told[:, 3], theirs[:, -1], rtol=1e-5)
    n_amount = len(GROUPS["amount"])
    np.testing.assert_allclose(told[:, 4], theirs[:, :n_amount].sum(axis=1), rtol=1e-4, atol=1e-5)


def test_evidence_that_is_typical_adds_nothing_to_the_network(folder, tmp_path, shop):
    opened = open_fraud(with_share(folder, tmp_path, 0.0))
    scale = json.loads((tmp_path / DECISION).read_text())["scale"]
    typical = np.expm1(np.array(scale["means"]))[None]
    edges = np.cumsum([len(names) for names in GROUPS.values()])[:-1]
    told = opened({**dict(zip(GROUPS, np.split(typical, edges, axis=1), strict=True)), EXPLAINED: np.ones((1, 1))})
    np.testing.assert_allclose(told[0, 4:], 0, atol=1e-4)
    assert told[0, 3] == pytest.approx(told[0, 0], abs=1e-4)


def test_a_payment_that_is_not_approved_says_why(predictor, shop):
    answers = [answer(predictor, shop, body) for body in SERVICE.from_examples(shop.test, shop.state, len(shop.test))]
    flagged = [one for one in answers if one.decision != "approve"]
    assert flagged
    assert len(flagged) < len(answers)
    assert all(not one.reasons for one in answers if one.decision == "approve")
    for one in flagged:
        assert 1 <= len(one.reasons) <= 3
        assert [reason.contribution for reason in one.reasons] == sorted(
            (reason.contribution for reason in one.reasons), reverse=True
        )
        assert {reason.code for reason in one.reasons} <= set(GROUPS)


def test_reasons_are_in_words_a_reviewer_reads(predictor, shop):
    card = {"count": 10, "cents": 20_000, "squares": 40_000_000, "usual_count": 10, "usual_cents": 20_000}
    card |= {"last": 1_782_917_000, "payments": [[1_782_917_000, 2000, 0]], "known": []}
    terminal = {"payments": [[1_782_900_000]], "known": [[1_782_910_000, 1_782_000_000, 0]]}
    asked = {**ASKED, "amount": 84.0, "channel": "online", "n_items": 1, "coupon_amount": 21.0}
    body = SERVICE.request.model_validate({**asked, "card": card, "terminal": terminal})
    (told,) = SERVICE.explain(predictor, shop.state, body, None)
    assert {reason.kind: reason.text for reason in told.reasons} == {
        "amount": "84.00 paid, 4.2 times its usual",
        "time": "paid at 15 o'clock, by day",
        "order": "1 item bought online, 20% of the price paid by coupon",
        "pace": "payment 2 of this card within a day, 2 within a week; the one before 16 minutes ago",
        "card": "a card with 10 payments before, 0 unusual in two weeks, no charge-backs reported in 30 days",
        "terminal": "a terminal with 1 payment in a week, 1 charge-back reported in 30 days",
    }


def test_an_offset_is_taken_to_utc_and_the_request_is_told_when_it_was(predictor, shop):
    told = answer(predictor, shop, {**ASKED, "paid_at": "2026-07-01T15:00:00+02:00", "payment_id": 7})
    assert (told.paid_at.isoformat(), told.payment_id) == ("2026-07-01T13:00:00", "7")


@pytest.mark.parametrize("field", ["terminal_id", "amount", "paid_at", "channel"])
def test_a_request_without_what_counts_is_refused(field):
    with pytest.raises(ValidationError, match=field):
        SERVICE.request.model_validate({name: value for name, value in ASKED.items() if name != field})


def test_a_charge_back_must_say_whether_the_amount_was_odd():
    event = {"reported_at": "2026-07-09T08:00:00", "payment_at": "2026-07-01T15:00:00"}
    with pytest.raises(ValueError, match="was_odd"):
        SERVICE.observe(None, event)


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_pages_requests_and_events_are_what_the_service_takes(predictor, shop):
    asked, told = blocks("json")
    assert answer(predictor, shop, json.loads(asked)).decision
    decoder, rest, known = json.JSONDecoder(), told.strip(), {}
    while rest:
        sent, end = decoder.raw_decode(rest)
        known = SERVICE.observe(known, sent["event"])
        rest = rest[end:].strip()
    assert (known["count"], len(known["known"])) == (1, 1)


def test_the_pages_tables_have_the_columns_of_the_contract():
    found = [block.splitlines()[0].split(",") for block in blocks("csv")]
    assert found == [[column.name for column in table.columns] for table in USE_CASE.data.tables]
