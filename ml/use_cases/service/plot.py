"""Charts of how recognised intents turned out on the test rows, for the model card."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject, Plot
from ml.use_cases.service.judgement import recognised

if TYPE_CHECKING:
    import pandas as pd

BINS = 10
SHOWN = 12  # pairs


def reliability(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> Plot:
    """Return how often what was recognised was right, by the probability it was given."""
    sure = scores.max(axis=1).astype(np.float64)
    right = recognised(scores, state) == examples["intent"].to_numpy(dtype=str)
    parts = [part for part in np.array_split(np.argsort(sure, kind="stable"), BINS) if len(part)]
    values = [
        {"said": float(sure[part].mean()), "right": float(right[part].mean()), "utterances": len(part)}
        for part in parts
    ]
    axes = {
        "x": {"field": "said", "type": "quantitative", "title": "probability it gave", "scale": {"domain": [0, 1]}},
        "y": {"field": "right", "type": "quantitative", "title": "share that was right", "scale": {"domain": [0, 1]}},
    }
    ideal = {
        "data": {"values": [{"said": 0, "right": 0}, {"said": 1, "right": 1}]},
        "mark": {"type": "line", "strokeDash": [4, 4]},
    }
    return Plot(
        title="Do probabilities mean what they say?",
        text="Each point is a tenth of the test utterances, by rising probability; on the dashed line they are exact.",
        label=f"Share of right answers by probability given, in {len(values)} groups.",
        spec={
            "layer": [
                {**ideal, "encoding": axes},
                {
                    "data": {"values": values},
                    "mark": {"type": "point", "filled": True, "tooltip": True},
                    "encoding": axes,
                },
            ]
        },
    )


def confused(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> Plot:
    """Return which intents are taken for which others most often."""
    found = recognised(scores, state)
    wanted = examples["intent"].to_numpy(dtype=str)
    wrong = Counter((right, taken) for right, taken in zip(wanted, found, strict=True) if right != taken)
    worst = sorted(wrong.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]
    values = [{"pair": f"{right} taken for {taken}", "utterances": count} for (right, taken), count in worst]
    return Plot(
        title="What is mistaken for what",
        text="The pairs of intents that are mixed up most often on the test utterances.",
        label=f"{len(wrong)} pairs of intents are mixed up; the most frequent are shown.",
        spec={
            "data": {"values": values},
            "mark": {"type": "bar", "tooltip": True},
            "encoding": {
                "y": {"field": "pair", "type": "nominal", "sort": "-x", "title": None},
                "x": {"field": "utterances", "type": "quantitative"},
            },
        },
    )
