"""Trains the use case's model on its examples and chooses on `valid`.

Reads `features`; writes `model.weights.h5`, `config.json`, `history.json`, `summary.json` and `machine.json`; the times go to the
report `timing.json`.
"""

from __future__ import annotations

import logging
import time

from ml.files import read_json, write_json
from ml.pipeline.context import StageContext
from ml.training import machine

MACHINE = "machine.json"
SPLITS = ("train", "valid")  # training never sees `test`

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Train and write.

    Raises:
        IntegrityBroken: The features stage's output is not whole.
        ConfigInvalid: This process already runs TensorFlow with other settings.
    """
    import pandas as pd

    began, features, out = time.monotonic(), context.data("features"), context.data("train")
    splits = {name: pd.read_parquet(features / f"{name}.parquet") for name in SPLITS}
    state = read_json(features / "state.json")
    summary = context.use_case.model.train(splits, state, context.params.train, out)
    write_json(out / "summary.json", summary)
    write_json(out / MACHINE, machine.describe())
    seconds = time.monotonic() - began
    write_json(context.reports("train") / "timing.json", {"seconds": round(seconds, 3)})
    log.info("model trained chosen=%s seconds=%.1f", summary["chosen"], seconds)
