"""How recognised intents are judged on held-out utterances, and what a shop could do without the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import Frames, JsonObject
from ml.use_cases.service.corpus import OUT_OF_SCOPE

if TYPE_CHECKING:
    import pandas as pd

Scores = NDArray[np.float32]
LEAST = 1e-7  # of a probability


def measure(scores: Scores, examples: pd.DataFrame, state: JsonObject) -> pd.DataFrame:
    """Return the columns that the metrics are worked out from, one row an utterance.

    `hit` and `share` sum to the accuracy in scope in which each intent counts the same; `declined` and `outside` to the
    recall of what is out of scope; `confidence` is the probability of what was recognised, and `right` whether it was that.
    """
    import pandas as pd

    wanted = examples["intent"].to_numpy(dtype=str)
    right = recognised(scores, state) == wanted
    outside = wanted == OUT_OF_SCOPE
    share = np.where(
        outside, 0.0, 1 / examples.groupby("intent")["intent"].transform("count").to_numpy(dtype=np.float64)
    )
    values = {
        "hit": right * share,
        "share": share,
        "declined": (right & outside).astype(np.float64),
        "outside": outside.astype(np.float64),
        "confidence": scores.max(axis=1).astype(np.float64),
        "right": right.astype(np.float64),
        "log_loss": -np.log(np.maximum(_of_wanted(scores, wanted, state), LEAST)),
    }
    return pd.DataFrame(values, index=examples.index)


def summarise(scores: Scores, examples: pd.DataFrame, state: JsonObject) -> dict[str, float]:
    """Return `right`, the share of all utterances, and `wrongly_declined`, the share of those in scope."""
    found, wanted = recognised(scores, state), examples["intent"].to_numpy(dtype=str)
    inside = wanted != OUT_OF_SCOPE
    return {
        "right": float((found == wanted).mean()),
        "wrongly_declined": float((found[inside] == OUT_OF_SCOPE).mean()) if inside.any() else 0.0,
    }


def recognised(scores: Scores, state: JsonObject) -> NDArray[np.str_]:
    """Return the most probable intent of each row, out of scope being one."""
    found: NDArray[np.str_] = np.array(state["classes"], dtype=str)[scores.argmax(axis=1)]
    return found


def most_frequent(splits: Frames, state: JsonObject) -> Scores:
    """Say how often each intent occurs in training, whatever is asked."""
    counts = splits["train"]["intent"].value_counts(normalize=True)
    shares = counts.reindex(state["classes"], fill_value=0.0).to_numpy(dtype=np.float32)
    return np.tile(shares, (len(splits["test"]), 1))


def tfidf_linear(splits: Frames, state: JsonObject) -> Scores:
    """Fit a linear model on character n-grams, calibrated on `valid`, as a shop without a network would."""
    from ml.use_cases.service.tfidf import fit

    return fit(splits["train"], splits["valid"], state["classes"])(splits["test"]["text"])


def _of_wanted(scores: Scores, wanted: NDArray[np.str_], state: JsonObject) -> NDArray[np.float64]:
    """Return the probability of the right intent; none where the model does not know that intent."""
    numbers = {name: number for number, name in enumerate(state["classes"])}
    at = np.array([numbers.get(name, -1) for name in wanted])
    found = scores[np.arange(len(at)), at].astype(np.float64)
    return np.where(at >= 0, found, 0.0)
