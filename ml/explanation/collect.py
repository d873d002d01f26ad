"""Explains a sample of answers and checks that each explanation adds up to its score."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ml.contract import Explanation, JsonObject, Predictor, Reason, UseCase
from ml.errors import IntegrityBroken

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-4  # of the largest term: what float32 sums and a dropped reason cannot both hide behind

MIN_SEEN = 0.05  # smallest share of explanations in which a kind of reason is told by name
OTHER = "(other)"


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """How well explanations add up."""

    explanations: int
    largest_gap: float
    """Largest |base + contributions + residual − score|, relative to the explanation's largest term."""
    residual_share: float
    """Mean share of a score's movement that no reason accounts for [0..1]."""


def sample_requests(
    use_case: UseCase, examples: pd.DataFrame, state: JsonObject, n: int, seed: int
) -> list[JsonObject]:
    """Return up to `n` requests from a seeded sample of examples; equal examples give equal requests."""
    chosen = examples.sample(n=min(n, len(examples)), random_state=seed).sort_index()
    requests = use_case.service.from_examples or use_case.service.golden
    return requests(chosen, state, n)


def explain_each(
    use_case: UseCase, predictor: Predictor, state: JsonObject, requests: Sequence[JsonObject]
) -> list[list[Explanation]]:
    """Return the explanations of each request's answer, as the server would give them."""
    service = use_case.service
    return [service.explain(predictor, state, service.request.model_validate(one), None) for one in requests]


def scores_of_each(
    use_case: UseCase, predictor: Predictor, state: JsonObject, requests: Sequence[JsonObject]
) -> list[float]:
    """Return the drift feature `score` of each request's answer, as the server logs it."""
    service = use_case.service
    found = []
    for one in requests:
        request = service.request.model_validate(one)
        answer = service.answer(predictor, state, request, None)
        found.append(float(service.features(request, answer, None)["score"]))
    return found


def check(explained: Sequence[Sequence[Explanation]]) -> Completeness:
    """Check that base + contributions + residual = score for every explanation.

    Raises:
        IntegrityBroken: There is none, or one does not add up.
    """
    flat = [one for answer in explained for one in answer]
    if not flat:
        raise IntegrityBroken("explanations of test examples", "none", "Look at the use case's `golden` and `explain`.")
    gaps = [_gap(one) for one in flat]
    broken = sum(not gap <= TOLERANCE for gap in gaps)
    if broken:
        raise IntegrityBroken(
            f"base + contributions + residual = score, to {TOLERANCE:g} of the largest term",
            f"{broken} of {len(flat)} explanations that do not add up",
            "Look at the use case's `explain`.",
            broken=broken,
        )
    share = sum(map(_residual_share, flat)) / len(flat)
    return Completeness(explanations=len(flat), largest_gap=max(gaps), residual_share=share)


def reason_importance(explained: Sequence[Sequence[Explanation]]) -> list[JsonObject]:
    """Return each kind of reason with its mean |contribution| over all explanations, largest first.

    An explanation without that kind counts as 0, so that a rare strong reason does not look like a common one. What
    hardly ever occurs is added up as `(other)`: it says nothing general, and it may say something of one customer.
    """
    flat = [one for answer in explained for one in answer]
    seen = Counter(kind for one in flat for kind in {_kind(reason) for reason in one.reasons})
    fewest = max(MIN_SEEN * len(flat), 1)
    totals: dict[str, float] = defaultdict(float)
    having: dict[str, set[int]] = defaultdict(set)
    for number, one in enumerate(flat):
        for reason in one.reasons:
            kind = _kind(reason) if seen[_kind(reason)] >= fewest else OTHER
            totals[kind] += abs(reason.contribution)
            having[kind].add(number)
    ordered = sorted(totals, key=lambda kind: (-totals[kind], kind))
    n = len(flat)
    return [{"reason": kind, "mean": totals[kind] / n, "share": len(having[kind]) / n} for kind in ordered]


def _kind(reason: Reason) -> str:
    return reason.kind or reason.text


def plain(explanation: Explanation) -> JsonObject:
    """Return an explanation as JSON, its strongest reasons first."""
    reasons = sorted(explanation.reasons, key=lambda one: (-abs(one.contribution), one.text))
    return {**asdict(explanation), "reasons": [asdict(one) for one in reasons]}


def _gap(one: Explanation) -> float:
    terms = [one.base, one.residual, *(reason.contribution for reason in one.reasons)]
    scale = max(abs(one.score), *map(abs, terms))
    return abs(sum(terms) - one.score) / scale if scale else 0.0


def _residual_share(one: Explanation) -> float:
    moved = abs(one.residual) + sum(abs(reason.contribution) for reason in one.reasons)
    return abs(one.residual) / moved if moved else 0.0
