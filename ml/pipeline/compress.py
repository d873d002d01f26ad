"""Exports the trained model in several precisions, and measures size, speed and fidelity of each.

Reads `features` and `train`; writes a folder a variant, `variants.json` and `parity.json`; the times go to the report
`latency.json`.
"""

from __future__ import annotations

import logging
import platform
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml.compression.latency import measure_latency
from ml.compression.parity import parity
from ml.contract import JsonObject, Variant
from ml.files import read_json, sha256_file, write_json
from ml.pipeline.context import StageContext

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "valid")  # what an export may calibrate with
VARIANTS_SCHEMA = "tradewind/variants/1"
PARITY_SCHEMA = "tradewind/parity/1"
REQUESTS = 100  # single requests that are timed
ROWS = 256  # test rows on which exports are compared with the trained network

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Export, list, time.

    Raises:
        IntegrityBroken: The output of an earlier stage is not whole.
    """
    import pandas as pd

    features, out = context.data("features"), context.data("compress")
    splits = {name: pd.read_parquet(features / f"{name}.parquet") for name in SPLITS}
    state = read_json(features / "state.json")
    shutil.rmtree(out, ignore_errors=True)
    variants = context.use_case.model.export(context.data("train"), out, splits, state)
    write_json(out / "variants.json", {"schema": VARIANTS_SCHEMA, "variants": [_listed(one) for one in variants]})
    write_json(out / "parity.json", _parity(context, variants, state))
    requests = [context.use_case.data.encode(one, state) for one in _single(splits["valid"])]
    times = {one.name: measure_latency(context.use_case.model.open(one.path), requests) for one in variants}
    found = {"threads": 1, "machine": platform.processor() or platform.machine(), "variants": times}
    write_json(context.reports("compress") / "latency.json", found)
    for name, figures in times.items():
        log.info("variant exported name=%s p50_ms=%.2f p95_ms=%.2f", name, figures["p50_ms"], figures["p95_ms"])


def _listed(variant: Variant) -> JsonObject:
    """Return a variant's files with their sizes and digests."""
    files = sorted(path for path in variant.path.rglob("*") if path.is_file())
    return {
        "name": variant.name,
        "bytes": sum(path.stat().st_size for path in files),
        "files": [_file(path, variant.path) for path in files],
    }


def _file(path: Path, folder: Path) -> JsonObject:
    name = path.relative_to(folder).as_posix()
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _parity(context: StageContext, variants: Sequence[Variant], state: JsonObject) -> JsonObject:
    """Return how far each variant is from the trained network, on test rows that no export saw."""
    import pandas as pd

    model = context.use_case.model
    rows = _spread(pd.read_parquet(context.data("features") / "test.parquet"), ROWS)
    inputs = context.use_case.data.encode(rows, state)
    trained = model.reference(context.data("train"))(inputs)
    found = {one.name: parity(model.open(one.path)(inputs), trained) for one in variants}
    return {"schema": PARITY_SCHEMA, "rows": len(rows), "variants": found}


def _spread(examples: pd.DataFrame, n: int) -> pd.DataFrame:
    """Return up to `n` examples, spread over all."""
    return examples.iloc[:: max(1, len(examples) // n)].head(n)


def _single(examples: pd.DataFrame) -> Iterator[pd.DataFrame]:
    chosen = _spread(examples, REQUESTS)
    return (chosen.iloc[at : at + 1] for at in range(len(chosen)))
