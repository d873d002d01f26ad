"""The gate's rules on how good a candidate is: against the naive baseline, earlier versions, and fixed limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ml.contract import Metric, Rule
from ml.evaluation.bootstrap import NOTHING, Estimate
from ml.evaluation.evidence import Candidate, Evidence, Lost, Search, Yardstick
from ml.evaluation.wording import between, digits, percent, rule, signed
from ml.parameter import GateParams

BEST = "best_of_90_days"
PARTS_SHOWN = 3


def beats_naive(candidate: Candidate, evidence: Evidence) -> Rule:
    """Better than the naive baseline beyond chance: always, also where there is a version in production."""
    gain = candidate.over_naive
    if not gain.is_finite():
        sentence = f"The gain in {evidence.primary} over {evidence.naive} is not known."
        return rule("beats_naive", gain, 0.0, passed=False, sentence=sentence)
    passed = gain.low > 0
    shown = "better" if passed else "not better"
    sentence = (
        f"The gain in {evidence.primary} over {evidence.naive} is {gain.value:+.{digits(gain)}f} ({between(gain)}): "
        f"{shown} beyond chance."
    )
    return rule("beats_naive", gain, 0.0, passed=passed, sentence=sentence)


def holds_against_earlier(candidate: Candidate, evidence: Evidence, params: GateParams) -> Iterator[Rule]:
    """Yield the rules against production and against the best version of the last 90 days."""
    margins = {evidence.primary: params.margin, **params.margins}
    limits = {name: 0.0 - margin for name, margin in margins.items()}
    if evidence.production is None:
        sentence = "Nothing is in production yet, so there is no model to hold against."
        yield Rule(name=params.policy, observed="empty ledger", limit=None, passed=True, sentence=sentence)
        return
    asked = {**limits, evidence.primary: 0.0} if params.policy == "superiority" else limits
    yield from _against(params.policy, "production", evidence.production, candidate.over_production, asked)
    if evidence.best is None:
        sentence = "The version in production is the best of the last 90 days."
        yield Rule(name=BEST, observed=evidence.production.digest, limit=None, passed=True, sentence=sentence)
        return
    yield from _against(BEST, "the best version of the last 90 days", evidence.best, candidate.over_best, limits)


def loses_no_part(candidate: Candidate, evidence: Evidence, params: GateParams) -> Rule:
    """No part of the test rows in which the primary metric fell beyond chance and by more than is allowed."""
    name, limit, found = "no_part_lost", 0.0 - params.part_loss, candidate.search
    if found is None:
        sentence = "Whether a part of the test rows lost is not known."
        return Rule(name=name, observed=None, limit=limit, passed=False, sentence=sentence)
    heavy = [one for one in found.lost if one.change < limit]
    worst = min((one.change for one in found.lost), default=0.0)
    sentence = _searched(found, evidence, params, heavy)
    return Rule(name=name, observed=worst, limit=limit, passed=not heavy, sentence=sentence)


def keeps_quality(candidate: Candidate, evidence: Evidence, params: GateParams) -> Rule:
    """A smaller variant costs no more of the primary metric than is allowed."""
    name, limit = "compression_loss", 0.0 - params.compression_loss
    if candidate.over_reference is None:
        sentence = f"{candidate.name} is the most faithful variant: nothing is lost by compression."
        return Rule(name=name, observed=0.0, limit=limit, passed=True, sentence=sentence)
    change = candidate.over_reference
    if not change.is_finite():
        sentence = f"What compression costs in {evidence.primary} is not known."
        return rule(name, change, limit, passed=False, sentence=sentence)
    sentence = (
        f"Compression to {candidate.name} moves {evidence.primary} by {signed(change.value)} ({percent(change)}); "
        f"a loss of {params.compression_loss:.1%} is allowed."
    )
    return rule(name, change, limit, passed=change.low >= limit, sentence=sentence)


def stays_within_limits(candidate: Candidate, evidence: Evidence, params: GateParams) -> Iterator[Rule]:
    """Yield one rule for each limit: the whole interval stays on the good side of it."""
    declared = {one.name: one for one in evidence.metrics}
    for name, limit in sorted(params.limits.items()):
        figure = candidate.figures.get(name, NOTHING)
        yield _within(declared.get(name), f"limit_{name}", name, figure, limit)


def _against(
    name: str, whom: str, yardstick: Yardstick, changes: Mapping[str, Estimate], limits: Mapping[str, float]
) -> Iterator[Rule]:
    if yardstick.fault is not None:
        sentence = f"{whom[0].upper()}{whom[1:]} is no yardstick: {yardstick.fault}."
        yield Rule(name=name, observed=None, limit=None, passed=False, sentence=sentence)
        return
    for at, (metric, limit) in enumerate(limits.items()):
        change = changes.get(metric, NOTHING)
        passed = change.is_finite() and change.low > limit
        sentence = _compared(change, metric, whom, limit, passed=passed)
        yield rule(f"{name}_{metric}" if at else name, change, limit, passed=passed, sentence=sentence)


def _compared(change: Estimate, metric: str, whom: str, limit: float, *, passed: bool) -> str:
    if not change.is_finite():
        return f"The change of {metric} against {whom} is not known."
    wanted = f"no more than {-limit:.1%} worse" if limit else "better beyond chance"
    shown = "shown" if passed else "not shown"
    return f"{metric} is {signed(change.value)} against {whom} ({percent(change)}): {wanted} is {shown}."


def _searched(found: Search, evidence: Evidence, params: GateParams, heavy: list[Lost]) -> str:
    tried = f"Of {found.parts} parts of at least {params.part_units} {evidence.unit}"
    if not found.lost:
        return f"{tried}, none lost {evidence.primary} beyond chance against {found.against}."
    if not heavy:
        allowed = f"none by more than {params.part_loss:.1%}"
        return f"{tried}, {len(found.lost)} lost {evidence.primary} beyond chance against {found.against}, {allowed}."
    told = "; ".join(_told(one, evidence) for one in heavy[:PARTS_SHOWN])
    return f"{tried}, {len(heavy)} lost {evidence.primary} beyond chance against {found.against}, worst first: {told}."


def _told(one: Lost, evidence: Evidence) -> str:
    return f"{one.part} {signed(one.change)} ({one.units} {evidence.unit}, corrected p = {one.p_value:.2g})"


def _within(metric: Metric | None, rule_name: str, name: str, figure: Estimate, limit: float) -> Rule:
    if metric is None or not figure.is_finite():
        sentence = f"A limit is set for {name}, whose figure is not known."
        return rule(rule_name, NOTHING, limit, passed=False, sentence=sentence)
    # Turned so that more is better, floor and ceiling are one comparison.
    worst = min(metric.sign * figure.low, metric.sign * figure.high)
    asked = "at least" if metric.higher_is_better else "at most"
    sentence = f"{name} is {figure.value:.{digits(figure)}f} ({between(figure)}); {asked} {limit:g} is asked for."
    return rule(rule_name, figure, limit, passed=worst >= metric.sign * limit, sentence=sentence)
