"""Monitoring's verdict: too few requests wait, a lost feature is an incident, a moved one a reason to retrain."""

from datetime import date

from ml.monitoring.decision import decide
from ml.monitoring.drift import Drift
from ml.monitoring.report import render
from ml.parameter import MonitorParams

PARAMS = MonitorParams(min_requests=100, effect=0.2, alpha=0.01, max_missing=0.5)


def drift(effect: float, p_value: float, missing: float = 0.0) -> Drift:
    return Drift(
        feature="basket",
        kind="numeric",
        effect=effect,
        p_value=p_value,
        missing=missing,
        reference="10",
        current="<b>14</b>",
    )


def test_too_few_requests_wait_whatever_they_say():
    assert decide([drift(0.9, 1e-9)], 99, PARAMS).decision == "wait"
    assert decide([drift(0.9, 1e-9)], 100, PARAMS).decision == "retrain"


def test_effect_and_p_value_decide_together():
    assert decide([drift(0.2, 0.01)], 1000, PARAMS).decision == "retrain"
    assert decide([drift(0.19, 1e-30)], 1000, PARAMS).decision == "wait"
    assert decide([drift(0.9, 0.011)], 1000, PARAMS).decision == "wait"


def test_a_lost_feature_is_an_incident_and_no_reason_to_retrain():
    found = decide([drift(0.9, 1e-9, missing=0.51)], 1000, PARAMS)
    assert found.decision == "data incident"
    assert "51%" in found.sentences[0]


def test_the_page_says_the_verdict_first_and_escapes_what_it_shows():
    report = {
        "version": "sha256:0",
        "n_requests": 1234,
        "finding": {"decision": "retrain", "sentences": ["basket moved."]},
        "drift": [vars(drift(0.5, 1e-5))],
        "quality": [],
    }
    page = render("Recommendations", date(2026, 1, 2), report)
    assert page.index("Retrain.") < page.index("<table>")
    assert "1,234 requests" in page
    assert "<b>14" not in page
    assert "http" not in page
