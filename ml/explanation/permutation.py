"""Finds what a model leans on: shuffles one of its inputs among the rows and sees what the metric loses.

Breiman 2001, "Random Forests", Machine Learning 45; here for each model input, on test rows, with the gate's metric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ml.contract import JsonObject, Predictor, UseCase

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

BATCH_ROWS = 512
Values: TypeAlias = "dict[str, NDArray[np.float64]]"


def shuffled_values(
    use_case: UseCase, predictor: Predictor, examples: pd.DataFrame, state: JsonObject, seed: int
) -> tuple[Values, dict[str, Values]]:
    """Return what is measured of each row as it is, and with each model input shuffled among the rows.

    Args:
        use_case: Its record.
        predictor: The exported model.
        examples: Test rows `(n_rows, …)`.
        state: Fitted state.
        seed: All inputs are shuffled by the same permutation.

    Returns:
        Columns `(n_rows,)` of `Judgement.measure`, and the same for each model input.
    """
    import numpy as np

    inputs = use_case.data.encode(examples, state)
    order = np.random.default_rng(seed).permutation(len(examples))

    def values(changed: dict[str, NDArray[np.float64]]) -> Values:
        scores = _scores(predictor, {**inputs, **changed}, len(examples))
        measured = use_case.judgement.measure(scores, examples, state)
        return {str(name): measured[name].to_numpy(dtype=np.float64) for name in measured.columns}

    return values({}), {name: values({name: inputs[name][order]}) for name in sorted(inputs)}


def _scores(predictor: Predictor, inputs: dict[str, NDArray[np.float64]], n_rows: int) -> NDArray[np.float32]:
    import numpy as np

    starts = range(0, n_rows, BATCH_ROWS)
    batches = ({name: rows[start : start + BATCH_ROWS] for name, rows in inputs.items()} for start in starts)
    return np.concatenate([predictor(batch) for batch in batches])
