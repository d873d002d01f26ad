"""Runs all file-to-file stages of a use case on its own sample, in one process and one folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np

from ml.pipeline import FILE_STAGES
from ml.pipeline.context import StageContext, typed_params
from ml.pipeline.file_stage import PARTS
from ml.pipeline.freeze import RunRequest, run_params
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import fingerprint
from ml.sources.opening import open_source
from ml.use_cases import load, load_parts
from tests.conftest import ObjectStore
from tests.recommend_shop import THREADS
from tests.sample_shop import land

KEY = "07" * 32
CUSTOMERS = 260
LAST = date(2026, 6, 30)


def frozen(name: str, zone: Path, root: Path, object_store: ObjectStore) -> StageContext:
    """Land a use case's sample in a zone, unless it is there, and return what a run of it is frozen on."""
    use_case = load(name)
    if not any(zone.iterdir()):
        land(zone, use_case.data.sample(np.random.default_rng(11), CUSTOMERS), use_case.data.tables)
    section = run_params(use_case, RunRequest(run_id="contract", as_of=LAST, train={"epochs": 2, "threads": THREADS}))
    section["features"].pop("exclude_departments", None)  # of the shipped data; the sample has others
    spec, settings = {"kind": "files", "location": str(zone)}, object_store.settings("ingest", pseudonym_key=KEY)
    source = open_source(spec, settings).freeze(use_case.data.tables, LAST)
    inputs = {
        "use_case": use_case.name,
        "as_of": {"requested": str(LAST), "data": str(source.as_of_data), "clock": source.clock},
        "source": {"spec": spec, "digest": source.digest, "last_day": str(source.last_day)},
        "production": {"digest": None, "seq": 0, "last_day": None},
        "best": {"digest": None, "days": 90},
        "accepted": [],
        "decisions": [],
        "erasures": [],
        "key_ring": KeyRing.open(settings, use_case.name).id,
        "pseudonym_key": fingerprint(bytes.fromhex(KEY)),
    }
    (root / "uv.lock").write_bytes((Path(__file__).parent.parent / "uv.lock").read_bytes())
    return StageContext(
        use_case=use_case, params=typed_params(use_case, section), inputs=inputs, settings=settings, root=root
    )


def run_all(context: StageContext, between: Callable[[Path], None] = lambda _: None) -> None:
    """Run the stages in order, each with no part of the use case that it does not declare.

    Args:
        context: With the whole use case.
        between: Called with the folder of all reports after each stage.
    """
    for stage in FILE_STAGES:
        for folder in (context.data(stage), context.reports(stage)):
            folder.mkdir(parents=True, exist_ok=True)
        own = replace(context, use_case=load_parts(context.use_case.name, PARTS[stage]))
        import_module(f"ml.pipeline.{stage}").run(own)
        between(context.root / "reports")
