"""The record's part on data: the tables, and how they become examples and model inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.contract import Data, Expressions, Features
from ml.use_cases.service.about import TABLES
from ml.use_cases.service.encode import encode

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pydantic import BaseModel


def _sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:
    from ml.use_cases.service.sample import sample

    return sample(rng, n_customers)


def _build(tables: Expressions, params: BaseModel) -> Features:
    from ml.use_cases.service.examples import build

    return build(tables, params)


DATA = Data(tables=TABLES, sample=_sample, split="unit", build=_build, encode=encode)
