"""The only door to production: typed rules over figures, pure, and closed wherever evidence is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ml.contract import Rule, Verdict
from ml.evaluation import quality_rule, soundness_rule
from ml.evaluation.evidence import Candidate, Evidence
from ml.evaluation.wording import between, digits
from ml.parameter import GateParams


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
        soundness_rule.is_readable(candidate),
        soundness_rule.has_enough_units(evidence, params),
        *soundness_rule.is_not_older(evidence),
        soundness_rule.has_all_figures(candidate, evidence),
        quality_rule.beats_naive(candidate, evidence),
        *quality_rule.holds_against_earlier(candidate, evidence, params),
        quality_rule.loses_no_part(candidate, evidence, params),
        *quality_rule.stays_within_limits(candidate, evidence, params),
        quality_rule.keeps_quality(candidate, evidence, params),
        *soundness_rule.agrees_with_network(candidate, params),
        *soundness_rule.fits_budgets(candidate, params),
    )
    if not candidate.is_live:
        return rules
    return (_is_already_live(candidate, evidence), *(replace(rule, severity="warn") for rule in rules))


def _passes(rules: tuple[Rule, ...]) -> bool:
    return all(rule.passed or rule.severity != "block" for rule in rules)


def _is_already_live(candidate: Candidate, evidence: Evidence) -> Rule:
    digest = evidence.production.digest if evidence.production else None
    sentence = f"The bytes and the state of {candidate.name} are those in production: accepting it changes nothing."
    return Rule(name="already_live", observed=digest, limit=digest, passed=digest is not None, sentence=sentence)


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
        shown = f"{figure.value:.{digits(figure)}f} (interval {between(figure)})"
        summary = f"Accepted: {chosen.name} with {evidence.primary} {shown}."
    return Verdict(stage="evaluate", accepted=True, rules=rules, summary=summary, chosen=chosen.name)
