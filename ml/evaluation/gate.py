"""The only door to production: typed rules over figures, pure, and closed wherever evidence is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ml.contract import Metric, Rule, Verdict
from ml.evaluation.bootstrap import Estimate
from ml.parameter import GateParams


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One exported variant and what was measured of it, on the same rows as everything it is compared with."""

    name: str
    size_bytes: int
    figures: Mapping[str, Estimate]
    """By name of metric; the gate wants every metric the use case declares."""
    over_naive: Estimate
    """Gain of the primary metric over the naive baseline, in its unit; positive is better."""
    over_production: Estimate
    """The same over production, relative to it."""
    over_reference: Estimate | None
    """The same over the most faithful variant, relative to it; none for that variant itself."""
    fallen: tuple[str, ...] = ()
    """Parts of the test rows in which the primary metric fell beyond chance against production."""
    fault: str | None = None
    """Why it could not be measured."""
    is_live: bool = False
    """Its bytes and its state are those in production."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All the gate judges by."""

    units: int
    """Test units, such as customers."""
    metrics: tuple[Metric, ...]
    primary: str
    naive: str
    """Name of the baseline to beat."""
    production: str | None
    """Digest of the version in production; none where the verified ledger is empty."""
    production_fault: str | None = None
    """Why production could not be measured."""
    candidates: tuple[Candidate, ...]
    """Most faithful first."""


@dataclass(frozen=True, kw_only=True)
class GateReport:
    """The verdict, and the rules of every variant."""

    verdict: Verdict
    rules: Mapping[str, tuple[Rule, ...]]


def judge(evidence: Evidence, params: GateParams) -> GateReport:
    """Choose the smallest variant that passes every rule, or refuse.

    Each variant must pass on its own; only then does size decide. A variant that is in production already is
    accepted as it stands, since accepting it changes nothing.
    """
    rules = {one.name: rules_of(one, evidence, params) for one in evidence.candidates}
    passed = [one for one in evidence.candidates if _passes(rules[one.name])]
    if not passed:
        return GateReport(verdict=_refusal(rules), rules=rules)
    chosen = min(passed, key=lambda one: (not one.is_live, one.size_bytes, one.name))
    return GateReport(verdict=_acceptance(chosen, evidence, rules[chosen.name]), rules=rules)


def rules_of(candidate: Candidate, evidence: Evidence, params: GateParams) -> tuple[Rule, ...]:
    """Return every rule with what was seen, for one variant."""
    rules = (
        _is_readable(candidate),
        _has_enough_units(evidence, params),
        _has_all_figures(candidate, evidence),
        _beats_naive(candidate, evidence),
        _holds_against_production(candidate, evidence, params),
        _keeps_quality(candidate, evidence, params),
        *_notes(candidate, evidence),
    )
    if not candidate.is_live:
        return rules
    return (_is_already_live(candidate, evidence), *(replace(rule, severity="warn") for rule in rules))


def _passes(rules: tuple[Rule, ...]) -> bool:
    return all(rule.passed or rule.severity != "block" for rule in rules)


def _is_readable(candidate: Candidate) -> Rule:
    return Rule(
        name="readable",
        observed=candidate.fault or "measured",
        limit="measured",
        passed=candidate.fault is None,
        sentence=f"Variant {candidate.name} could not be measured: {candidate.fault}."
        if candidate.fault
        else f"Variant {candidate.name} was measured as exported.",
    )


def _has_enough_units(evidence: Evidence, params: GateParams) -> Rule:
    passed = evidence.units >= params.min_units
    return Rule(
        name="enough_units",
        observed=evidence.units,
        limit=params.min_units,
        passed=passed,
        sentence=f"{evidence.units:,} test units; a verdict needs at least {params.min_units:,}.",
    )


def _has_all_figures(candidate: Candidate, evidence: Evidence) -> Rule:
    missing = [one.name for one in evidence.metrics if not _known(candidate, one.name)]
    wanted = ", ".join(one.name for one in evidence.metrics)
    return Rule(
        name="figures_complete",
        observed=f"without {', '.join(missing)}" if missing else "complete",
        limit="complete",
        passed=not missing,
        sentence=f"No finite figure with an interval for {', '.join(missing)}: missing evidence refuses."
        if missing
        else f"Finite figures with intervals for {wanted}.",
    )


def _known(candidate: Candidate, metric: str) -> bool:
    return metric in candidate.figures and candidate.figures[metric].is_finite()


def _beats_naive(candidate: Candidate, evidence: Evidence) -> Rule:
    gain = candidate.over_naive
    passed = gain.is_finite() and gain.low > 0
    if not gain.is_finite():
        sentence = f"The gain in {evidence.primary} over {evidence.naive} is not known."
    else:
        sentence = (
            f"The gain in {evidence.primary} over {evidence.naive} is {gain.value:+.{_digits(gain)}f} ({_range(gain)}): "
            + ("better beyond chance." if passed else "not better beyond chance.")
        )
    return _rule("beats_naive", gain, 0.0, passed, sentence)


def _holds_against_production(candidate: Candidate, evidence: Evidence, params: GateParams) -> Rule:
    if evidence.production is None:
        sentence = "Nothing is in production yet, so there is no model to hold against."
        return Rule(name=params.policy, observed="empty ledger", limit=None, passed=True, sentence=sentence)
    if evidence.production_fault is not None:
        sentence = f"The version in production could not be measured: {evidence.production_fault}."
        return Rule(name=params.policy, observed=None, limit=None, passed=False, sentence=sentence)
    limit = 0.0 if params.policy == "superiority" else 0.0 - params.margin
    change = candidate.over_production
    passed = change.is_finite() and change.low > limit
    return _rule(params.policy, change, limit, passed, _against(change, evidence.primary, limit, passed=passed))


def _against(change: Estimate, primary: str, limit: float, *, passed: bool) -> str:
    if not change.is_finite():
        return f"The change of {primary} against production is not known."
    wanted = "better beyond chance" if limit == 0 else f"no more than {-limit:.1%} worse"
    shown = "shown" if passed else "not shown"
    return f"{primary} is {change.value:+.1%} against production ({_percent(change)}): {wanted} is {shown}."


def _keeps_quality(candidate: Candidate, evidence: Evidence, params: GateParams) -> Rule:
    name, limit = "compression_loss", 0.0 - params.compression_loss
    if candidate.over_reference is None:
        sentence = f"{candidate.name} is the most faithful variant: nothing is lost by compression."
        return Rule(name=name, observed=0.0, limit=limit, passed=True, sentence=sentence)
    change = candidate.over_reference
    passed = change.is_finite() and change.low >= limit
    if not change.is_finite():
        sentence = f"What compression costs in {evidence.primary} is not known."
    else:
        sentence = (
            f"Compression to {candidate.name} moves {evidence.primary} by {change.value:+.1%} ({_percent(change)}); "
            f"a loss of {params.compression_loss:.1%} is allowed."
        )
    return _rule(name, change, limit, passed, sentence)


def _notes(candidate: Candidate, evidence: Evidence) -> tuple[Rule, ...]:
    """Tell who loses, without refusing: of many parts some seem to lose by chance."""
    if evidence.production is None:
        return ()
    parts = ", ".join(candidate.fallen)
    sentence = (
        f"Against production {evidence.primary} fell beyond chance in {parts}: look at the slices."
        if parts
        else f"In no part of the test rows {evidence.primary} fell beyond chance against production."
    )
    return (
        Rule(
            name="no_part_falls",
            observed=len(candidate.fallen),
            limit=0,
            passed=not parts,
            severity="warn",
            sentence=sentence,
        ),
    )


def _is_already_live(candidate: Candidate, evidence: Evidence) -> Rule:
    sentence = f"The bytes and the state of {candidate.name} are those in production: accepting it changes nothing."
    return Rule(
        name="already_live", observed=evidence.production, limit=evidence.production, passed=True, sentence=sentence
    )


def _rule(name: str, seen: Estimate, limit: float, passed: bool, sentence: str) -> Rule:
    if not seen.is_finite():
        return Rule(name=name, observed=None, limit=limit, passed=False, sentence=sentence)
    return Rule(
        name=name,
        observed=seen.value,
        limit=limit,
        passed=passed,
        sentence=sentence,
        interval=(seen.low, seen.high),
    )


def _refusal(rules: Mapping[str, tuple[Rule, ...]]) -> Verdict:
    """Tell the story of the variant that came closest."""
    if not rules:
        empty = Rule(name="readable", observed=0, limit=1, passed=False, sentence="There is no exported variant.")
        return Verdict(stage="evaluate", accepted=False, rules=(empty,), summary="Refused: there is nothing to judge.")
    closest = min(rules, key=lambda name: sum(not rule.passed for rule in rules[name]))
    failed = [rule for rule in rules[closest] if not rule.passed]
    summary = f"Refused: no variant passed. Closest was {closest}. " + " ".join(rule.sentence for rule in failed)
    return Verdict(stage="evaluate", accepted=False, rules=rules[closest], summary=summary)


def _acceptance(chosen: Candidate, evidence: Evidence, rules: tuple[Rule, ...]) -> Verdict:
    if chosen.is_live:
        summary = f"Accepted: {chosen.name} is in production already; nothing changes."
    else:
        figure = chosen.figures[evidence.primary]
        summary = f"Accepted: {chosen.name} with {evidence.primary} {figure.value:.{_digits(figure)}f} (interval {_range(figure)})."
    return Verdict(stage="evaluate", accepted=True, rules=rules, summary=summary, chosen=chosen.name)


def _range(estimate: Estimate) -> str:
    digits = _digits(estimate)
    return f"{estimate.low:.{digits}f} to {estimate.high:.{digits}f}"


def _digits(estimate: Estimate) -> int:
    """Return the decimals that show two digits of an interval's width."""
    width = estimate.high - estimate.low
    return min(max(1 - math.floor(math.log10(width)), 0), 6) if width > 0 else 4


def _percent(estimate: Estimate) -> str:
    return f"{estimate.low:+.1%} to {estimate.high:+.1%}"
