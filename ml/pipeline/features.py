"""Turns anonymised tables into examples, fitted state, a profile for drift, and histories for serving.

Reads `anonymise/tables`; writes `train.parquet`, `valid.parquet`, `test.parquet`, `state.json`, `profile.parquet` and
`histories.parquet`.
"""

from __future__ import annotations

import logging
import time

from ml.errors import DataRejected
from ml.files import write_json, write_parquet
from ml.pipeline.context import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Build and write.

    Raises:
        DataRejected: The tables hold too little to learn from.
        IntegrityBroken: There are no tables.
    """
    from ml.sources.engine import open_tables

    began, data = time.monotonic(), context.use_case.data
    tables = open_tables(context.data("anonymise") / "tables", only=[table.name for table in data.tables])
    try:
        built = data.build(tables, context.params.features)
    except ValueError as error:
        raise DataRejected("tables that examples can be cut from", str(error), "Look at the parameters.") from error
    empty = [name for name, frame in built.splits.items() if frame.empty]
    if empty:
        raise DataRejected("examples in every split", f"none in {', '.join(empty)}", "Bring a longer period of data.")
    out = context.data("features")
    for name, frame in built.splits.items():
        write_parquet(out / f"{name}.parquet", frame)
    write_json(out / "state.json", built.state)
    write_parquet(out / "profile.parquet", built.profile["reference"])
    write_parquet(out / "histories.parquet", built.histories)
    rows = " ".join(f"{name}={len(frame)}" for name, frame in built.splits.items())
    log.info("features built %s seconds=%.1f", rows, time.monotonic() - began)
