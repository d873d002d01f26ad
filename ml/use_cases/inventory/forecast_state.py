"""What is fitted before the network: plain JSON that travels with it."""

from __future__ import annotations

from ml.contract import JsonObject
from ml.use_cases.inventory.demand_score import QUANTILES
from ml.use_cases.inventory.demand_table import DemandTable
from ml.use_cases.inventory.forecast_params import FeatureParams, WindowParams
from ml.use_cases.inventory.hierarchy import fit_hierarchy


def fit_state(known: DemandTable, window: WindowParams, features: FeatureParams) -> JsonObject:
    """Return everything that encoding needs beside an example.

    Args:
        known: Demand as known when training starts (`DemandTable.before`).
        window: Lengths of the examples.
        features: What the network sees.
    """
    return {
        **features.model_dump(mode="json"),
        "history": window.history,
        "horizon": window.horizon,
        "quantiles": list(QUANTILES),
        "drivers": list(known.drivers),
        "plans": list(known.plans),
        "hierarchy": fit_hierarchy(known, QUANTILES),
    }
