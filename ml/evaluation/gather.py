"""Puts together what the gate judges by, from figures that all come from the same rows and draws."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ml.evaluation.contender import Contender
from ml.evaluation.evidence import Candidate, Evidence, Search, Yardstick
from ml.evaluation.exported import Exported
from ml.evaluation.figures import Figures
from ml.evaluation.worst_part import search
from ml.parameter import GateParams

PRODUCTION, BEST = "production", "best_90_days"


def gather(
    figures: Figures,
    exported: Sequence[Exported],
    yardsticks: Mapping[str, Yardstick],
    live: Collection[str],
    params: GateParams,
) -> Evidence:
    """Return the evidence.

    Args:
        figures: Every contender's figures.
        exported: The variants, most faithful first.
        yardsticks: The versions they are held against, by `PRODUCTION` and `BEST`.
        live: Names of the variants whose bytes and state are those in production.
        params: The gate's.
    """
    judgement = figures.judgement
    return Evidence(
        units=figures.units,
        unit=judgement.units,
        metrics=judgement.metrics,
        primary=judgement.primary,
        naive=judgement.naive,
        production=yardsticks.get(PRODUCTION),
        best=yardsticks.get(BEST),
        candidates=tuple(_candidate(figures, one, exported[0], one.name in live, params) for one in exported),
    )


def _candidate(
    figures: Figures, exported: Exported, faithful: Exported, is_live: bool, params: GateParams
) -> Candidate:
    primary = figures.judgement.primary
    variant, reference = figures.contender("variant", exported.name), figures.contender("variant", faithful.name)
    naive = figures.contender("baseline", figures.judgement.naive)
    production = figures.find("production", PRODUCTION)
    best = figures.find("production", BEST)
    return Candidate(
        name=exported.name,
        size_bytes=exported.size_bytes,
        figures=figures.of(variant),
        over_naive=figures.gain(variant, naive, primary),
        over_production=figures.relative_gains(variant, production) if production else {},
        over_best=figures.relative_gains(variant, best) if best else {},
        over_reference=None if variant is reference else figures.relative_gain(variant, reference, primary),
        search=_search(figures, variant, production or naive, params),
        parity=exported.parity,
        footprint=exported.footprint,
        fault=variant.fault,
        is_live=is_live,
    )


def _search(figures: Figures, variant: Contender, yardstick: Contender, params: GateParams) -> Search | None:
    """Look for parts that lose; none where there is nothing to compare."""
    if not variant.values or not yardstick.values:
        return None
    return search(figures, variant, yardstick, params.confidence)
