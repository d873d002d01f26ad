"""Measures whoever competes on the test rows: exported variants, baselines, and the version in production."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ml.contract import Arrays, JsonObject, UseCase
from ml.errors import IntegrityBroken

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Kind: TypeAlias = Literal["variant", "baseline", "production"]
BATCH_ROWS = 512
# What a version's own bytes or state can make a predictor or an encoder raise: that is evidence against it.
UNREADABLE = (IntegrityBroken, OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Contender:
    """What was measured of one contender on the test rows."""

    name: str
    kind: Kind
    values: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """By column of `measure`, one value a test row `(n_rows,)`; not-a-number where the row has no truth to compare with."""
    summary: Mapping[str, float] = field(default_factory=dict)
    """Figures of the whole set, such as coverage."""
    size_bytes: int | None = None
    fault: str | None = None
    """Why it could not be measured; then there are no values."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Test rows as one fitted state sees them: production brings its own vocabulary."""

    use_case: UseCase
    examples: pd.DataFrame
    state: JsonObject

    @cached_property
    def batches(self) -> list[Arrays]:
        """Model inputs, encoded once for all variants that share the state."""
        starts = range(0, len(self.examples), BATCH_ROWS)
        parts = (self.examples.iloc[start : start + BATCH_ROWS] for start in starts)
        return [self.use_case.data.encode(part, self.state) for part in parts]


def measure_exported(name: str, folder: Path, rows: Rows, *, kind: Kind = "variant") -> Contender:
    """Score the rows with an exported model, in batches, and measure it; a model that cannot be read has a fault.

    Args:
        name: Name of the contender.
        folder: Folder of the exported model.
        rows: Test rows, with the state that was fitted with this very model.
        kind: What it is.
    """
    try:
        return measure(name, kind, score(folder, rows), rows)
    except UNREADABLE as error:
        log.warning("contender unreadable name=%s kind=%s error=%s at=%s", name, kind, type(error).__name__, _at(error))
        return Contender(name=name, kind=kind, fault=_reason(error))


def score(folder: Path, rows: Rows) -> NDArray[np.float32]:
    """Return scores `(n_rows, n_outputs)` of an exported model."""
    import numpy as np

    predict = rows.use_case.model.open(folder)
    return np.concatenate([predict(batch) for batch in rows.batches])


def measure(name: str, kind: Kind, scores: NDArray[np.float32], rows: Rows) -> Contender:
    """Measure scores row by row and as a whole.

    Raises:
        ValueError: Scores are not numbers, or rows were lost.
    """
    import numpy as np

    examples, judgement = rows.examples, rows.use_case.judgement
    if len(scores) != len(examples) or np.isnan(scores).any():
        raise ValueError(f"Expected {len(examples)} rows of scores, all numbers. Received {scores.shape}, some not.")
    table = judgement.measure(scores, examples, rows.state)
    if not table.index.equals(examples.index):
        raise ValueError("Expected one row of metrics for each test row, in their order. Received other rows.")
    values = {str(column): table[column].to_numpy(dtype=np.float64) for column in table.columns}
    summary = judgement.summarise(scores, examples, rows.state)
    return Contender(name=name, kind=kind, values=values, summary={key: float(summary[key]) for key in summary})


def align(contenders: list[Contender], reference: str) -> list[Contender]:
    """Refuse values on other rows than the reference's: whether a row counts depends on its truth, not on who guesses.

    Args:
        contenders: All of them.
        reference: Name of the contender whose rows count.

    Returns:
        The contenders; one that left out other rows loses its values and has a fault.
    """
    import numpy as np

    known = next(one for one in contenders if one.name == reference and one.kind == "baseline")
    rows = {metric: np.isnan(values) for metric, values in known.values.items()}

    def checked(one: Contender) -> Contender:
        apart = sorted(m for m, values in one.values.items() if m in rows and (np.isnan(values) != rows[m]).any())
        if not apart:
            return one
        fault = f"{', '.join(apart)} left out other rows than {reference} did"
        return Contender(name=one.name, kind=one.kind, size_bytes=one.size_bytes, fault=fault)

    return [checked(one) for one in contenders]


def _at(error: BaseException) -> str:
    """Return where in the code it happened."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _reason(error: BaseException) -> str:
    """Say what went wrong without repeating values, which may be personal."""
    return error.received if isinstance(error, IntegrityBroken) else f"{type(error).__name__} while it was measured"
