"""Monitoring what is really live: a quiet day waits, a shift asks for a retraining, a lost feature is an incident."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from ml.errors import DataRejected
from ml.parameter import MonitorParams
from ml.pipeline import monitor
from ml.store import Bucket
from tests.accessible import faults
from tests.promoted_toy import make_live, prepare
from tests.toy_use_case import TOY, examples

DAY = date(2026, 2, 3)
PARAMS = MonitorParams(min_requests=200, outcome_days=3)


@pytest.fixture(scope="module")
def version(tmp_path_factory, object_store):
    """The use case and the digest of its version in production."""
    context = prepare(tmp_path_factory.mktemp("live"), object_store.settings("train"), "toy-monitored")
    digest = make_live(context, object_store.settings("promote"))
    return context.use_case, digest


@pytest.fixture
def clean(object_store, version):
    """An empty request log."""
    bucket, reader = (Bucket.open(object_store.settings(role), "requests") for role in ("serve", "read"))
    for kind in ("requests", "events"):
        for key in list(reader.keys(f"{kind}/{version[0].name}/")):
            bucket.put(key, b"")
    return bucket


@pytest.fixture
def logged(clean, version, rng):
    """Write what the server would have logged of `n` customers' answers; a change alters each line's features."""

    def write(n: int, change=lambda features: features, day: date = DAY, digest: str | None = None) -> list[dict]:
        rows = examples(rng, n, "2026-02-01", 1).to_dict("records")
        found = [line_of({**row, "unit": f"{day}-{row['unit']}"}, version, day, digest) for row in rows]
        changed = [{**one, "features": change(one["features"])} for one in found]
        put(clean, f"requests/{version[0].name}/{day}/{n}.jsonl", changed)
        return changed

    return write


def line_of(row, version, day, digest):
    use_case, live = version
    x = np.array([row["age"], row["visits"], row["spend"]])
    scores = x @ np.array([[2.0, -1.0, 0.0, 0.5], [0.0, 2.0, -1.5, 0.0], [-1.0, 0.0, 2.0, -1.0]])
    aisle = ("bread", "dairy", "fruit", "tea")[int(scores.argmax())]
    return {
        "schema": "tradewind/request/1",
        "time": f"{day}T08:00:00.000000",
        "use_case": use_case.name,
        "version": digest or live,
        "request_id": row["unit"],
        "unit": row["unit"],
        "features": {"age": row["age"], "visits": row["visits"], "aisle": row["aisle"], "score": float(scores.max())},
        "answer": {"aisle": aisle, "score": float(scores.max())},
        "latency_ms": 1.0,
        "truth": row["aisle"],
    }


def put(bucket, key, found):
    bucket.put(key, "".join(json.dumps(one) + "\n" for one in found).encode())


@pytest.fixture
def watch(object_store, version):
    return partial(monitor.run, object_store.settings("train"), version[0], PARAMS, DAY)


@pytest.fixture
def report(object_store, version):
    reports = Bucket.open(object_store.settings("read"), "reports")
    prefix = f"{version[0].name}/monitor/{DAY}"
    return lambda: (json.loads(reports.get(f"{prefix}/report.json")), reports.get(f"{prefix}/report.html").decode())


def test_quiet_day_waits(logged, watch, report):
    logged(400)
    assert watch()["decision"] == "wait"
    written, page = report()
    assert {row["feature"] for row in written["drift"]} == {"age", "visits", "aisle", "score"}
    assert max(row["effect"] for row in written["drift"]) < 0.2
    assert "Wait." in page


def test_shifted_feature_asks_for_a_retraining(logged, watch, report):
    logged(400, lambda features: {**features, "visits": features["visits"] + 1.0})
    done = watch()
    assert done["decision"] == "retrain"
    assert done["sentences"][0].startswith("visits moved")
    assert report()[0]["finding"]["drifted"] == ["visits"]


def test_shifted_scores_alone_ask_for_a_retraining(logged, watch):
    logged(400, lambda features: {**features, "score": features["score"] * 0.2})
    assert watch()["sentences"][0].startswith("score moved")


def test_shift_in_a_category_asks_for_a_retraining(logged, watch):
    logged(400, lambda features: {**features, "aisle": "tea" if features["age"] > -1 else features["aisle"]})
    assert watch()["sentences"][0].startswith("aisle moved")


def test_lost_feature_is_an_incident_and_its_report_is_there(logged, watch, report):
    logged(400, lambda features: {name: value for name, value in features.items() if name != "visits"})
    with pytest.raises(DataRejected, match="visits is missing in 100%"):
        watch()
    assert report()[0]["finding"]["decision"] == "data incident"


def test_few_requests_wait_whatever_they_hold(logged, watch):
    logged(199, lambda features: {**features, "visits": features["visits"] + 5.0})
    assert watch()["decision"] == "wait"


def test_answers_of_another_version_or_day_do_not_count(logged, watch):
    logged(300, lambda features: {**features, "visits": 9.0}, digest=f"sha256:{'0' * 64}")
    logged(301, lambda features: {**features, "visits": 9.0}, day=date(2026, 2, 2))
    assert watch()["sentences"][0].startswith("0 requests")


def test_quality_of_earlier_answers_stands_beside_the_gates_figure(logged, clean, version, watch, report):
    logged(400)
    answered = logged(300, day=date(2026, 2, 2))
    events = [
        {
            "schema": "tradewind/event/1",
            "time": f"{DAY}T09:00:00",
            "unit": one["unit"],
            "event": {"aisle": one["truth"]},
        }
        for one in answered
    ]
    put(clean, f"events/{version[0].name}/{DAY}/1.jsonl", events)
    watch()
    (figure,) = report()[0]["quality"]
    assert (figure["name"], figure["n_answers"], figure["n_units"]) == ("hit", 300, 300)
    assert figure["mean"] == pytest.approx(np.mean([one["answer"]["aisle"] == one["truth"] for one in answered]))
    assert figure["offline"] == pytest.approx(figure["mean"], abs=0.1)


def test_fallen_quality_asks_for_a_retraining_only_where_a_loss_is_set(logged, clean, version, object_store):
    answered = logged(400, day=date(2026, 2, 2))
    logged(400)
    events = [{"time": f"{DAY}T09:00:00", "unit": one["unit"], "event": {"aisle": "none"}} for one in answered]
    put(clean, f"events/{version[0].name}/{DAY}/1.jsonl", events)
    run = partial(monitor.run, object_store.settings("train"), version[0])
    assert run(PARAMS, DAY)["decision"] == "wait"
    strict = PARAMS.model_copy(update={"max_quality_loss": 0.2})
    done = run(strict, DAY)
    assert done["decision"] == "retrain"
    assert "at the gate" in done["sentences"][0]


def test_while_nothing_is_live_it_waits(object_store):
    done = monitor.run(object_store.settings("train"), TOY, PARAMS, DAY)
    assert done == {"decision": "wait", "sentences": ["Nothing is live yet."]}


def test_its_page_can_be_used_by_keyboard_with_a_screen_reader_and_on_a_phone(logged, watch, report, chromium):
    logged(400, lambda features: {**features, "visits": features["visits"] + 1.0})
    watch()
    tab = chromium.new_page()
    tab.set_content(report()[1])
    assert faults(tab) == []


def test_drift_that_stays_requests_one_retraining_until_the_cool_down_ends(
    logged, object_store, version, report, clean
):
    logged(400, lambda features: {**features, "visits": features["visits"] + 1.0})
    hour = datetime(2026, 2, 5, 9, tzinfo=UTC)
    run = partial(monitor.run, object_store.settings("train"), version[0], PARAMS, DAY)
    done = [run(hour + timedelta(hours=passed))["decision"] for passed in (0, 1, 23, 24, 25)]
    assert done == ["retrain", "wait", "wait", "retrain", "wait"]
    assert run(hour)["decision"] == "retrain", "the same task tried again"
    run(hour + timedelta(hours=26))
    written, page = report()
    assert written["finding"]["sentences"][0].startswith("visits moved"), "the drift is still told"
    assert "cooldown_hours is 24" in page
