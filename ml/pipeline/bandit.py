"""Learns from what the server drew and logged, and judges it; changes nothing but its report.

Acts on the world: reads `requests`, writes `<use case>/bandit/<day>.json` to the `reports` bucket. What it accepts is for a
person to put into `params.yaml`: a policy goes live in a version, through the gate, like anything else that is shown.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from ml.bandit.gather import explored, feature_names, gather
from ml.bandit.interval import clustered
from ml.bandit.learn import Evidence, learn
from ml.config import Settings
from ml.contract import DrawnPlace, JsonObject, UseCase
from ml.errors import ConfigInvalid, ModelNotFound
from ml.evaluation.bootstrap import Estimate
from ml.files import canonical
from ml.monitoring.quality import with_later
from ml.monitoring.traffic import lines
from ml.store import Bucket

BANDIT_SCHEMA = "tradewind/bandit/1"
SEED = 20260101

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which answers are looked at."""

    day: date
    """Last day whose events are known, UTC."""
    days: int
    """How many days of answers."""
    outcome_days: int
    """For so long after an answer what the customer did counts; younger answers are left out [days]."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the drawn places earned and would have earned."""

    names: tuple[str, ...]
    """Features, in the order of the evidence's weights."""
    earned: Estimate
    """Mean reward a place as it was drawn."""
    evidence: Evidence
    explore: float
    """Share of draws that explore, under the learned policy as in the log."""
    as_of: str
    """Newest moment of the answers, on the data's own clock."""

    def policy(self) -> JsonObject:
        """Return the section that puts the learned policy into `params.yaml`."""
        weights = dict(zip(self.names, (round(weight, 6) for weight in self.evidence.weights), strict=True))
        return {"weights": weights, "gain_low": round(self.evidence.gain.low, 6), "as_of": self.as_of}


def judge(settings: Settings, use_case: UseCase, window: Window) -> Judged:
    """Learn from a window of the request log, judge, and keep the report.

    Args:
        settings: A role that may read `requests` and write `reports`.
        use_case: A record whose answers draw.
        window: Which answers.

    Raises:
        ConfigInvalid: The use case draws nothing.
        ModelNotFound: Nothing was drawn in the window, or too little came of it to learn from.
    """
    drawn = list(_drawn(Bucket.open(settings, "requests"), use_case, window))
    if not drawn:
        raise ModelNotFound(
            f"drawn places in the answers of {use_case.name} up to {window.day - timedelta(window.outcome_days)}",
            "none",
            "Let lists explore: see docs/bandit.md.",
        )
    units, places = zip(*drawn, strict=True)
    names = feature_names(places)
    gathered = gather(units, places, names)
    share = explored(gathered)
    try:
        evidence = learn(gathered, share, SEED)
    except ValueError as error:
        raise ModelNotFound("enough rewards to learn from", str(error), "Explore longer, or a larger share.") from error
    found = Judged(
        names=names,
        earned=clustered(gathered.reward, gathered.units, (0.0, 1.0)),
        evidence=evidence,
        explore=share,
        as_of=max(place.as_of for place in places),
    )
    _write(settings, use_case, window, found)
    return found


def _drawn(bucket: Bucket, use_case: UseCase, window: Window) -> Iterator[tuple[str, DrawnPlace]]:
    """Yield customer and place, of answers old enough for their outcome to be known."""
    drawn = use_case.service.drawn
    if drawn is None:
        raise ConfigInvalid("a use case whose answers draw", use_case.name, "Name another: recommend.")
    waited = timedelta(days=window.outcome_days)
    answers = lines(bucket, "requests", use_case.name, window.day - waited, window.days)
    events = list(lines(bucket, "events", use_case.name, window.day, window.days + window.outcome_days))
    for answer, later in with_later((line for line in answers if line["unit"]), events):
        until = (datetime.fromisoformat(answer["time"]) + waited).isoformat(timespec="milliseconds")
        for place in drawn(answer, [line["event"] for line in later if line["time"] <= until]):
            yield str(answer["unit"]), place


def _write(settings: Settings, use_case: UseCase, window: Window, found: Judged) -> None:
    report = {"schema": BANDIT_SCHEMA, "use_case": use_case.name, **asdict(found)}
    report |= {"is_accepted": found.evidence.is_accepted, "policy": found.policy()}
    key = f"{use_case.name}/bandit/{window.day.isoformat()}.json"
    Bucket.open(settings, "reports").put(key, canonical(json.loads(json.dumps(report))), "application/json")
    log.info(
        "bandit judged use_case=%s places=%d accepted=%s", use_case.name, found.evidence.n_rows, report["is_accepted"]
    )
