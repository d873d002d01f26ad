"""Watches what is live: drift of its requests and quality of its answers, a report, and a verdict.

Acts on the world: reads the request log and the profile that travels with the live version; writes
`report.json` and `report.html` to the `reports` bucket under `<use case>/monitor/<day>/`, and when it requested
retrainings to `<use case>/monitor/retrains.json`.
"""

from __future__ import annotations

import io
import json
import logging
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, time, timedelta

import pandas as pd

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.errors import DataRejected
from ml.files import canonical, parse
from ml.monitoring.decision import Finding, decide
from ml.monitoring.drift import Drift, compare
from ml.monitoring.quality import Quality, beside_offline, outcomes, summarise
from ml.monitoring.report import render
from ml.monitoring.traffic import lines
from ml.monitoring.trigger import refusal
from ml.packaging import artifact
from ml.parameter import MonitorParams
from ml.registry.fetch import fetch_document
from ml.registry.ledger import live
from ml.registry.live import Live
from ml.store import Bucket

MONITOR_SCHEMA = "tradewind/monitor/1"
CHANNEL = "production"
SCORE = "score"  # the drift feature that every use case has
REQUESTS_KEPT = 1000  # more than any budget counts

log = logging.getLogger(__name__)


def run(
    settings: Settings, use_case: UseCase, params: MonitorParams, day: date, at: datetime | None = None
) -> JsonObject:
    """Judge the requests of the window that ends with a day, and write the report.

    Args:
        settings: A role that may read `ledger`, `models` and `requests`, and write `reports`.
        use_case: The record.
        params: Window and thresholds.
        day: Last day of the window, UTC.
        at: The moment of this run, by which the cool-down and the budget of retrainings count; default the day's start.

    Returns:
        `decision` and `sentences`; `wait` while nothing is live, and while a retraining may not be requested again.

    Raises:
        DataRejected: The requests lack a feature: a data incident that no retraining mends.
    """
    now = live(settings, use_case.name, CHANNEL)
    if now is None:
        log.info("nothing is live yet use_case=%s", use_case.name)
        return {"decision": "wait", "sentences": ["Nothing is live yet."]}
    answers = _answers(settings, use_case.name, now.digest, day, max(params.window_days, params.outcome_days))
    recent = [line["features"] for line in answers if line["time"][:10] > str(day - timedelta(params.window_days))]
    drifts = compare(_reference(settings, now), pd.DataFrame(recent))
    quality = _quality(settings, use_case, now, day, answers, params)
    moment = at or datetime.combine(day, time(), UTC)
    finding = _limited(settings, use_case.name, decide(drifts, len(recent), params, quality), moment, params)
    _write(settings, use_case, day, _report(use_case, now.digest, (finding, drifts, quality), len(recent)))
    log.info("monitored use_case=%s requests=%d decision=%s", use_case.name, len(recent), finding.decision)
    if finding.decision == "data incident":
        raise DataRejected(
            "requests with all features", " ".join(finding.sentences), "Mend what sends them; see the report."
        )
    return {"decision": finding.decision, "sentences": list(finding.sentences)}


def _limited(settings: Settings, use_case: str, finding: Finding, moment: datetime, params: MonitorParams) -> Finding:
    """Return the finding, turned into `wait` where the cool-down or the budget forbids a retraining; keep the request."""
    if finding.decision != "retrain":
        return finding
    reports, key = Bucket.open(settings, "reports"), f"{use_case}/monitor/retrains.json"
    earlier = [datetime.fromisoformat(one) for one in parse(reports.find(key) or b"[]", key, f"Delete {key}.")]
    if why := refusal(earlier, moment, params):
        return replace(finding, decision="wait", sentences=(*finding.sentences, why))
    kept = sorted({*earlier, moment})[-REQUESTS_KEPT:]
    reports.put(key, canonical([one.isoformat() for one in kept]), "application/json")
    return finding


def _answers(settings: Settings, use_case: str, digest: str, day: date, days: int) -> list[JsonObject]:
    """Return what a version answered in the days up to one."""
    requests = Bucket.open(settings, "requests")
    return [line for line in lines(requests, "requests", use_case, day, days) if line["version"] == digest]


def _quality(
    settings: Settings, use_case: UseCase, now: Live, day: date, answers: list[JsonObject], params: MonitorParams
) -> tuple[Quality, ...]:
    """Join answers with what was observed later, over more days than drift looks at: outcomes take time."""
    events = lines(Bucket.open(settings, "requests"), "events", use_case.name, day, params.outcome_days)
    figures = summarise(outcomes(answers, events, use_case.service.outcome), params.seed)
    gate = fetch_document(settings, now.use_case, now.digest, artifact.GATE, now.run_id)
    chosen = json.loads(gate["verdict.json"])["chosen"]
    return beside_offline(figures, json.loads(gate["metrics.json"]), chosen)


def _reference(settings: Settings, now: Live) -> dict[str, pd.Series]:
    """Return the version's profile, and beside it the scores it gave to test customers as the server would."""
    documents = fetch_document(settings, now.use_case, now.digest, artifact.PROFILE, now.run_id)
    profile = pd.read_parquet(io.BytesIO(documents["profile.parquet"]))
    card = fetch_document(settings, now.use_case, now.digest, artifact.CARD, now.run_id)
    scores = pd.Series(json.loads(card["explanations.json"])["scores"], name=SCORE, dtype=float)
    return {**{str(name): profile[name] for name in profile.columns}, SCORE: scores}


def _report(
    use_case: UseCase, digest: str, found: tuple[Finding, tuple[Drift, ...], tuple[Quality, ...]], n_requests: int
) -> JsonObject:
    finding, drifts, quality = found
    return {
        "schema": MONITOR_SCHEMA,
        "use_case": use_case.name,
        "version": digest,
        "n_requests": n_requests,
        "finding": asdict(finding),
        "drift": [asdict(drift) for drift in drifts],
        "quality": [asdict(figure) for figure in quality],
    }


def _write(settings: Settings, use_case: UseCase, day: date, report: JsonObject) -> None:
    reports = Bucket.open(settings, "reports")
    prefix = f"{use_case.name}/monitor/{day.isoformat()}"
    reports.put(f"{prefix}/report.json", canonical(json.loads(json.dumps(report))), "application/json")
    reports.put(f"{prefix}/report.html", render(use_case.title, day, report).encode(), "text/html")
