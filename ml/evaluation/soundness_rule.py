"""The gate's rules on whether a candidate can be judged at all, and on the bytes that would ship."""

from __future__ import annotations

from collections.abc import Iterator

from ml.contract import Rule
from ml.evaluation.evidence import Candidate, Evidence
from ml.parameter import GateParams

KNOWN = "measured"


def is_readable(candidate: Candidate) -> Rule:
    """The variant could be opened and scored every row with numbers."""
    return Rule(
        name="readable",
        observed=candidate.fault or KNOWN,
        limit=KNOWN,
        passed=candidate.fault is None,
        sentence=f"Variant {candidate.name} could not be measured: {candidate.fault}."
        if candidate.fault
        else f"Variant {candidate.name} was measured as exported.",
    )


def has_enough_units(evidence: Evidence, params: GateParams) -> Rule:
    """The verdict rests on enough units."""
    return Rule(
        name="enough_units",
        observed=evidence.units,
        limit=params.min_units,
        passed=evidence.units >= params.min_units,
        sentence=f"{evidence.units:,} test {evidence.unit}; a verdict needs at least {params.min_units:,}.",
    )


def is_not_older(evidence: Evidence) -> Iterator[Rule]:
    """Yield, where both are known, whether the data reach as far as those of production; promotion refuses what is older."""
    own, known = evidence.last_day, evidence.production.last_day if evidence.production else None
    if own is None or known is None:
        return
    older = f"The data end on {own}, those of production on {known}: it goes live only if a person approves it."
    yield Rule(
        name="data_not_older",
        observed=own.isoformat(),
        limit=known.isoformat(),
        passed=own >= known,
        severity="warn",
        sentence=older if own < known else f"The data end on {own}, those of production on {known}.",
    )


def has_all_figures(candidate: Candidate, evidence: Evidence) -> Rule:
    """Every declared metric has a finite figure and a finite interval."""
    missing = [one.name for one in evidence.metrics if not _is_known(candidate, one.name)]
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


def agrees_with_network(candidate: Candidate, params: GateParams) -> Iterator[Rule]:
    """Yield the rules on how close the exported scores are to the trained network's."""
    found = candidate.parity
    if found is None:
        sentence = f"How far {candidate.name} is from the trained network is not known."
        yield Rule(name="parity", observed=None, limit=params.parity, passed=False, sentence=sentence)
        return
    if candidate.over_reference is None:
        yield Rule(
            name="parity",
            observed=found.difference,
            limit=params.parity,
            passed=found.difference <= params.parity,
            sentence=f"The scores of {candidate.name} differ from the trained network's by {found.difference:.2g} of their "
            f"range at most; {params.parity:g} is allowed.",
        )
    yield Rule(
        name="agreement",
        observed=found.agreement,
        limit=params.agreement,
        passed=found.agreement >= params.agreement,
        sentence=f"The scores of {candidate.name} and of the trained network have a rank correlation of "
        f"{found.agreement:.4f}; at least {params.agreement:g} is asked for.",
    )


def fits_budgets(candidate: Candidate, params: GateParams) -> Iterator[Rule]:
    """Yield the rules on size, latency and memory; what was seen of the last two differs from run to run."""
    size = f"{candidate.name} is {candidate.size_bytes / 1e6:,.2f} MB; {params.max_bytes / 1e6:,g} MB are allowed."
    yield Rule(
        name="size",
        observed=candidate.size_bytes,
        limit=params.max_bytes,
        passed=candidate.size_bytes <= params.max_bytes,
        sentence=size,
    )
    took = candidate.footprint
    is_fast = None if took is None else took.latency_ms <= params.max_latency_ms
    is_light = None if took is None else took.memory_bytes <= params.max_memory_bytes
    slow, heavy = f"{params.max_latency_ms:g} ms for 95 % of single requests", f"{params.max_memory_bytes / 1e6:,g} MB"
    yield _budget("latency", params.max_latency_ms, is_fast, f"{candidate.name} may take {slow}")
    yield _budget("memory", params.max_memory_bytes, is_light, f"A process with {candidate.name} may take {heavy}")


def _budget(name: str, limit: float, is_kept: bool | None, sentence: str) -> Rule:
    """Say within or over, not how much: equal inputs give an equal report."""
    observed = {True: "within", False: "over", None: None}[is_kept]
    said = {True: "it took no more", False: "it took more", None: "that was not measured"}[is_kept]
    return Rule(name=name, observed=observed, limit=limit, passed=is_kept is True, sentence=f"{sentence}: {said}.")


def _is_known(candidate: Candidate, metric: str) -> bool:
    figure = candidate.figures.get(metric)
    return figure is not None and figure.is_finite()
