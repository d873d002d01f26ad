"""Turns anonymised tables into examples, fitted state, a profile for drift, and histories for serving.

Reads `anonymise/tables`; writes `train.parquet`, `valid.parquet`, `test.parquet`, `state.json`, `profile.parquet` and
`histories.parquet`.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from ml.errors import DataRejected
from ml.files import write_json, write_parquet
from ml.pipeline.context import StageContext
from ml.shop_time import TIME_ZONE

if TYPE_CHECKING:
    import pandas as pd

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
    # With the zone, the server tells times with an offset as ingest did; a run frozen before there was one says nothing.
    zone = {TIME_ZONE: source[TIME_ZONE]} if TIME_ZONE in (source := context.inputs.get("source", {})) else {}
    write_json(out / "state.json", {**built.state, **zone})
    write_parquet(out / "profile.parquet", _unlinked(built.profile["reference"]))
    write_parquet(out / "histories.parquet", built.histories)
    rows = " ".join(f"{name}={len(frame)}" for name, frame in built.splits.items())
    log.info("features built %s seconds=%.1f", rows, time.monotonic() - began)


def _unlinked(profile: pd.DataFrame) -> pd.DataFrame:
    """Return each column in its own order: drift is looked for column by column, and no row is any customer's any more."""
    apart = {name: profile[name].sort_values(kind="stable", ignore_index=True) for name in profile.columns}
    return profile.reset_index(drop=True).assign(**apart)
