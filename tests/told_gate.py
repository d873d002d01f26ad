"""What a gate wrote about a few contenders, as little of it as pages read."""

from __future__ import annotations

from typing import Any


def estimate(value: Any) -> Any:
    return {"value": value, "low": round(value - 0.01, 4), "high": round(value + 0.01, 4)}


def measured(**contenders: Any) -> Any:
    """Return what a gate wrote: everybody's recall, over all rows and in two parts of them."""
    figures = {name: {"recall@10": estimate(value)} for name, value in contenders.items()}
    kinds = {"production": "production", "popularity": "baseline"}
    keys = {name: f"{kinds.get(name, 'variant')}:{name}" for name in contenders}
    gain = {"of": "int8", "against": "production", "metric": "recall@10"}
    gains = [{**gain, "gain": estimate(0.02)}] if "production" in contenders else []
    part = {
        "column": "tenure",
        "rows": 600,
        "units": 600,
        "figures": {keys[name]: figures[name] for name in contenders},
    }
    return {
        "primary": "recall@10",
        "metrics": [{"name": "recall@10", "unit": "", "higher_is_better": True}],
        "interval": {"confidence": 0.95},
        "test": {"rows": 1300, "units": 1234, "unit": "customers", "first": "2017-12-04", "last": "2017-12-31"},
        "contenders": [
            {"name": name, "kind": kinds.get(name, "variant"), "figures": told} for name, told in figures.items()
        ],
        "differences": [{**one, "kind": "production", "relative": estimate(0.15)} for one in gains],
        "slices": [{**part, "value": value, "gains": gains} for value in ("new", "known")],
    }
