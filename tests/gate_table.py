"""The gate's edge cases by hand: what is seen, and which rules then refuse."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ml.contract import Metric
from ml.evaluation.bootstrap import NOTHING, Estimate
from ml.evaluation.evidence import Candidate, Evidence, Footprint, Lost, Parity, Search, Yardstick
from ml.parameter import GateParams

LIVE, BEST = Yardstick(digest="sha256:" + "1" * 64), Yardstick(digest="sha256:" + "2" * 64)
PARAMS = GateParams(
    margin=0.02,
    compression_loss=0.02,
    min_units=100,
    part_loss=0.05,
    parity=0.001,
    agreement=0.9,
    max_bytes=1000,
    max_latency_ms=10.0,
    max_memory_bytes=5000,
)
SUPERIOR = {"policy": "superiority"}
FITS = Footprint(latency_ms=10.0, memory_bytes=5000)
CLOSE = Parity(difference=0.001, agreement=0.9)


def at_least(low: Any, value: Any = None, high: float = 1.0) -> Any:
    """Return an estimate by its lower bound."""
    return Estimate(value=low + 0.01 if value is None else value, low=low, high=high)


GOOD = Candidate(
    name="int8",
    size_bytes=1000,
    figures={"recall": at_least(0.2), "error": Estimate(value=0.1, low=0.05, high=0.3)},
    over_naive=at_least(0.05),
    over_production={"recall": at_least(0.01), "error": at_least(0.0)},
    over_best={"recall": at_least(-0.01), "error": at_least(0.0)},
    over_reference=at_least(0.0),
    search=Search(against="production", parts=12),
    parity=CLOSE,
    footprint=FITS,
)
KNOWN = Evidence(
    units=100,
    metrics=(Metric(name="recall"), Metric(name="error", higher_is_better=False)),
    primary="recall",
    naive="popularity",
    production=LIVE,
    best=BEST,
    candidates=(GOOD,),
)


def lost(*changes: Any) -> Any:
    found = tuple(
        Lost(part=f"group: {at}", units=60, change=change, p_value=0.001) for at, change in enumerate(changes)
    )
    return Search(against="production", parts=12, lost=found)


def over(low: Any, **others: Any) -> Any:
    return {"recall": at_least(low), "error": at_least(0.0), **others}


@dataclass(frozen=True)
class Case:
    """One edge: how a sound candidate is changed, and what must fail then."""

    candidate: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    fails: frozenset[str] = frozenset()
    accepted: bool | None = None
    """None: exactly where nothing fails."""

    def outcome(self, judge: Any) -> Any:
        """Return whether a gate accepts, which variant, and the rules that failed."""
        evidence = replace(KNOWN, candidates=(replace(GOOD, **self.candidate),))
        report = judge(replace(evidence, **self.evidence), PARAMS.model_copy(update=self.params))
        verdict = report.verdict
        return verdict.accepted, verdict.chosen, {rule.name for rule in verdict.rules if not rule.passed}

    @property
    def expected(self) -> Any:
        accepted = not self.fails if self.accepted is None else self.accepted
        return accepted, "int8" if accepted else None, self.fails


def case(*fails: Any, accepted: Any = None, evidence: Any = None, params: Any = None, **candidate: Any) -> Case:
    return Case(candidate, evidence or {}, params or {}, frozenset(fails), accepted)


FULL = replace(GOOD, name="float32", over_reference=None)
CASES = {
    "everything exactly at its limit": case(),
    # --- can it be judged?
    "one unit too few": case("enough_units", evidence={"units": 99}),
    "not readable": case("readable", fault="OSError while it was measured"),
    "a metric is missing": case("figures_complete", figures={"recall": at_least(0.2)}),
    "a metric is no number": case("figures_complete", figures={**GOOD.figures, "error": NOTHING}),
    "a metric's interval never ends": case(
        "figures_complete", figures={**GOOD.figures, "error": at_least(0.0, high=float("inf"))}
    ),
    "no metric at all": case("figures_complete", figures={}),
    # --- the naive baseline
    "naive: exactly equal": case("beats_naive", over_naive=at_least(0.0)),
    "naive: just better": case(over_naive=at_least(1e-9)),
    "naive: not known": case("beats_naive", over_naive=NOTHING),
    # --- production
    "margin itself is too much": case("non_inferiority", over_production=over(-0.02)),
    "just within the margin": case(over_production=over(-0.0199999)),
    "no margin, just as good": case(
        "non_inferiority", over_production=over(0.0), over_best=over(0.01), params={"margin": 0.0}
    ),
    "production: not known": case("non_inferiority", over_production={}),
    "production: only half known": case("non_inferiority", over_production=over(float("nan"))),
    "production is no yardstick": case(
        "non_inferiority", evidence={"production": replace(LIVE, fault="its vocabulary is gone")}
    ),
    "superior: exactly equal": case("superiority", over_production=over(0.0), params=SUPERIOR),
    "superior: just better": case(over_production=over(1e-9), params=SUPERIOR),
    "superior: a further metric within its margin": case(
        over_production=over(0.01, error=at_least(-0.09)),
        over_best=over(0.01, error=at_least(-0.09)),
        params={**SUPERIOR, "margins": {"error": 0.1}},
    ),
    "a further metric falls by its margin": case(
        "non_inferiority_error", over_production=over(0.01, error=at_least(-0.1)), params={"margins": {"error": 0.1}}
    ),
    "a further metric is not known": case(
        "non_inferiority_nothing", "best_of_90_days_nothing", params={"margins": {"nothing": 0.1}}
    ),
    "first version": case(evidence={"production": None, "best": None}, over_production={}, over_best={}),
    "first version, superiority": case(
        evidence={"production": None, "best": None}, over_production={}, over_best={}, params=SUPERIOR
    ),
    "first version, no better than naive": case(
        "beats_naive", evidence={"production": None, "best": None}, over_production={}, over_naive=at_least(0.0)
    ),
    # --- the best of the last 90 days
    "best: margin itself is too much": case("best_of_90_days", over_best=over(-0.02)),
    "best: not known": case("best_of_90_days", over_best={}),
    "best: no yardstick": case(
        "best_of_90_days", evidence={"best": replace(BEST, fault="it learned from the test rows")}
    ),
    "best: need not be beaten": case(over_best=over(-0.01), params=SUPERIOR),
    "best is production": case(evidence={"best": None}, over_best={}),
    # --- parts
    "a part lost": case("no_part_lost", search=lost(-0.01, -0.0500001)),
    "a part lost just what is allowed": case(search=lost(-0.05)),
    "parts were not looked at": case("no_part_lost", search=None),
    # --- fixed limits: a floor for recall (low 0.2), a ceiling for the error (high 0.3)
    "floor just reached": case(params={"limits": {"recall": 0.2}}),
    "floor not reached": case("limit_recall", params={"limits": {"recall": 0.2000001}}),
    "ceiling just kept": case(params={"limits": {"error": 0.3}}),
    "ceiling not kept": case("limit_error", params={"limits": {"error": 0.2999999}}),
    "limit of a metric nobody declared": case("limit_nothing", params={"limits": {"nothing": 0.0}}),
    "limit of a metric that was not measured": case(
        "figures_complete", "limit_error", figures={"recall": at_least(0.2)}, params={"limits": {"error": 0.3}}
    ),
    # --- compression, parity, budgets
    "compression costs too much": case("compression_loss", over_reference=at_least(-0.0200001)),
    "compression costs just what is allowed": case(over_reference=at_least(-0.02)),
    "compression: not known": case("compression_loss", over_reference=NOTHING),
    "most faithful": case(over_reference=None),
    "most faithful, but too far from the network": case(
        "parity", over_reference=None, parity=Parity(difference=0.0010001, agreement=1.0)
    ),
    "smaller, and far from the network": case(parity=Parity(difference=0.5, agreement=0.9)),
    "other order than the network": case("agreement", parity=Parity(difference=0.0, agreement=0.8999999)),
    "parity not known": case("parity", parity=None),
    "too large": case("size", size_bytes=1001),
    "too slow": case("latency", footprint=replace(FITS, latency_ms=10.0001)),
    "too much memory": case("memory", footprint=replace(FITS, memory_bytes=5001)),
    "footprint not measured": case("latency", "memory", footprint=None),
    # --- already live, and which of several ships
    "already live": case(is_live=True),
    "already live, though superiority is asked": case(
        "superiority", is_live=True, over_production=over(0.0), params=SUPERIOR, accepted=True
    ),
    "already live, with an empty ledger": case(
        "already_live", is_live=True, evidence={"production": None, "best": None}, accepted=False
    ),
    "nothing to judge": case("readable", evidence={"candidates": ()}),
}
