"""Replenishment policies against textbook problems whose answers are known (stockpyl's, MIT licence)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.benchmark.comparison import Bar, Comparison, Figures
from ml.errors import SourceInvalid
from ml.files import read_json
from ml.use_cases.inventory import policy_band, policy_lot, policy_newsvendor, policy_reorder

TOLERANCE = 1e-6  # of a figure, relative where it is above 1
LETTERS = {"quantity": "Q", "quantities": "Q", "units": "S", "point": "r", "reorder": "s", "up_to": "S"}
LETTERS |= {"cost": "cost", "share_backordered": "x"}


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One textbook problem with its answer."""

    name: str
    model: str
    given: Mapping[str, Any]
    answer: Mapping[str, Any]


def load_problems(file: Path) -> list[Problem]:
    """Return the problems of a file of reference solutions.

    Raises:
        SourceInvalid: There is none, one is incomplete, or one asks for a model that is not known.
    """
    found = read_json(file).get("solutions", {})
    unusable = [name for name, entry in found.items() if not {"model", "inputs", "result"} <= set(entry)]
    unusable += [name for name, entry in found.items() if name not in unusable and entry["model"] not in SOLVERS]
    if unusable or not found:
        raise SourceInvalid(
            "solutions that each have inputs, a result and one of the models " + ", ".join(SOLVERS),
            f"{len(found)} solutions; not usable: {', '.join(unusable[:5]) or 'none'}",
            "Take reference_solutions.json as it was published.",
        )
    return [
        Problem(name=name, model=entry["model"], given=entry["inputs"], answer=entry["result"])
        for name, entry in found.items()
    ]


def largest_error(problem: Problem) -> float:
    """Solve a problem and return the largest error of its figures, relative where the answer is above 1."""
    solved = {LETTERS[name]: value for name, value in dataclasses.asdict(SOLVERS[problem.model](problem.given)).items()}
    errors = (abs(ours - theirs) / max(1.0, abs(theirs)) for ours, theirs in _pairs(solved, problem.answer))
    return float(max(errors))


def _pairs(solved: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[tuple[float, float]]:
    for name, theirs in answer.items():
        if isinstance(theirs, list):
            yield from zip(solved[name], theirs[1:], strict=True)  # published schedules count from an empty period 0
        else:
            yield solved[name], theirs


def _measure(problems: list[Problem], _seed: int) -> Figures:
    errors = [largest_error(problem) for problem in problems]
    return {
        "problems": len(errors),
        "reproduced": sum(error <= TOLERANCE for error in errors),
        "largest error": max(errors),
    }


def _price(given: Mapping[str, Any]) -> policy_newsvendor.Price:
    return policy_newsvendor.Price(holding=given["holding_cost"], shortage=given["stockout_cost"])


def _eoq(given: Mapping[str, Any]) -> policy_lot.Lot:
    return policy_lot.economic_order(
        rate=given["demand_rate"], order_cost=given["fixed_cost"], holding_cost=given["holding_cost"]
    )


def _eoq_with_backorders(given: Mapping[str, Any]) -> policy_lot.Lot:
    return policy_lot.economic_order_with_backorders(
        rate=given["demand_rate"],
        order_cost=given["fixed_cost"],
        holding_cost=given["holding_cost"],
        shortage_cost=given["stockout_cost"],
    )


def _epq(given: Mapping[str, Any]) -> policy_lot.Lot:
    return policy_lot.economic_production(
        rate=given["demand_rate"],
        production_rate=given["production_rate"],
        order_cost=given["fixed_cost"],
        holding_cost=given["holding_cost"],
    )


def _wagner_whitin(given: Mapping[str, Any]) -> policy_lot.Schedule:
    return policy_lot.wagner_whitin(
        given["demand"],
        order_cost=given["fixed_cost"],
        holding_cost=given["holding_cost"],
        purchase_cost=given.get("purchase_cost", 0.0),
    )


def _base_stock(given: Mapping[str, Any]) -> policy_newsvendor.Level:
    return policy_newsvendor.base_stock_normal(
        given["demand_mean"], given["demand_sd"], _price(given), lead_time=given.get("lead_time", 0)
    )


def _newsvendor_poisson(given: Mapping[str, Any]) -> policy_newsvendor.Level:
    from scipy import stats

    return policy_newsvendor.newsvendor_count(stats.poisson(given["demand_mean"]), _price(given))


def _lots_by_expected_inventory(given: Mapping[str, Any]) -> policy_reorder.ReorderPoint:
    demand = policy_reorder.NormalDemand(rate=given["demand_mean"], sd=given["demand_sd"], lead_time=given["lead_time"])
    return policy_reorder.lots_by_expected_inventory(demand, _price(given), order_cost=given["fixed_cost"])


def _lots_of_poisson(given: Mapping[str, Any]) -> policy_reorder.ReorderPoint:
    from scipy import stats

    during = stats.poisson(given["demand_mean"] * given["lead_time"])
    return policy_reorder.lots_of_counts(
        during, _price(given), rate=given["demand_mean"], order_cost=given["fixed_cost"]
    )


def _band_of_poisson(given: Mapping[str, Any]) -> policy_band.Band:
    from scipy import stats

    return policy_band.band_of_counts(
        stats.poisson(given["demand_mean"]), _price(given), order_cost=given["fixed_cost"]
    )


def _band_by_power(given: Mapping[str, Any]) -> policy_band.Band:
    return policy_band.band_by_power(
        given["demand_mean"], given["demand_sd"], _price(given), order_cost=given["fixed_cost"]
    )


SOLVERS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "EOQ": _eoq,
    "EOQ backorders": _eoq_with_backorders,
    "EPQ": _epq,
    "Wagner-Whitin": _wagner_whitin,
    "newsvendor/base-stock normal": _base_stock,
    "newsvendor poisson": _newsvendor_poisson,
    "(r,Q) EIL approximation (textbook heuristic, not exact optimum)": _lots_by_expected_inventory,
    "(r,Q) poisson exact": _lots_of_poisson,
    "(s,S) discrete exact (Poisson)": _band_of_poisson,
    "(s,S) power approximation": _band_by_power,
}
"""How each model of the file is solved; an approximation is compared with the same approximation."""

COMPARISONS = (
    Comparison(
        name="textbook-policies",
        use_case="inventory",
        title="Replenishment policies against textbook answers",
        protocol=(
            "Single-item problems of Snyder and Shen, Fundamentals of Supply Chain Theory, with the answers of stockpyl "
            "1.0.2. A problem counts as reproduced if every figure of its answer is met to 1e-6 (relative above 1). "
            "Nothing is learned, so nothing is split."
        ),
        data="stockpyl_instances/reference_solutions.json",
        load=load_problems,
        peers={"tradewind": _measure},
        ours="tradewind",
        fixed=frozenset({"tradewind"}),
        bars=(
            Bar(figure="reproduced", limit=23, side="at least"),
            Bar(figure="largest error", limit=TOLERANCE, side="at most"),
        ),
    ),
)
