"""Measures every exported variant, the baselines and earlier versions on the same test rows, and judges.

Reads `features` (splits, state) and `compress`, and the versions the frozen inputs name; writes `metrics.json`,
`verdict.json`, `golden.json`, `judged.json` (the digests of everything that was judged) and the report `footprint.json`. It
ends well when it refuses; it fails, and leaves no verdict, where a version cannot be fetched.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.evaluation.contender import Contender, Rows, align, measure, measure_exported
from ml.evaluation.evidence import Evidence, Yardstick
from ml.evaluation.exported import Exported, read_variants
from ml.evaluation.figures import Figures, document, work_out
from ml.evaluation.footprint import measure_footprint
from ml.evaluation.gate import GateReport, judge
from ml.evaluation.gather import BEST, PRODUCTION, gather
from ml.evaluation.yardstick import learned, overlap
from ml.files import read_json, sha256_file, write_json, write_verdict
from ml.packaging import artifact
from ml.pipeline.context import StageContext
from ml.pipeline.judge import list_judged
from ml.registry.fetch import fetch_document, fetch_version

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "valid", "test")
FOOTPRINT_SCHEMA = "tradewind/footprint/1"
REQUESTS = 50  # single requests by which latency and memory are measured

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A version that was live, unpacked."""

    name: str
    digest: str
    folder: Path
    learned: JsonObject | None
    """What its gate report says it learned from."""


def run(context: StageContext) -> None:
    """Measure, judge, and write both.

    Raises:
        IntegrityBroken: The stage's inputs are not whole, or an earlier version's bytes do not bear its digest.
        ModelNotFound: A version that the frozen inputs name is not in the store.
        StorageUnavailable: The store did not answer.
    """
    splits, state = read_features(context.data("features"))
    exported = list(_with_footprints(context, read_variants(context.data("compress")), splits["test"], state))
    with _earlier(context) as earlier:
        contenders = _contenders(context, splits, state, exported, earlier)
        live = next((one.folder for one in earlier if one.name == PRODUCTION), None)
        same = {one.name for one in exported if live and _is_same(one, context.data("features"), live)}
        yardsticks = {one.name: _yardstick(one, contenders, splits["test"]) for one in earlier}
    figures = work_out(context.use_case.judgement, contenders, splits["test"], context.params.gate)
    evidence = gather(figures, exported, yardsticks, same, context.params.gate)
    report = judge(_dated(evidence, context.inputs), context.params.gate)
    _write(context, figures, splits, report)
    list_judged(context, report.verdict)
    _report(context, exported)
    log.info("gate judged accepted=%s summary=%s", report.verdict.accepted, report.verdict.summary)


def read_features(folder: Path) -> tuple[dict[str, pd.DataFrame], JsonObject]:
    """Return the splits and the fitted state."""
    import pandas as pd

    splits = {name: pd.read_parquet(folder / f"{name}.parquet") for name in SPLITS}
    return splits, read_json(folder / "state.json")


def _with_footprints(
    context: StageContext, exported: list[Exported], test: pd.DataFrame, state: JsonObject
) -> Iterator[Exported]:
    """Yield the variants with what each takes for single test rows, spread over all."""
    chosen = test.iloc[:: max(1, len(test) // REQUESTS)].head(REQUESTS)
    requests = [context.use_case.data.encode(chosen.iloc[at : at + 1], state) for at in range(len(chosen))]
    for one in exported:
        yield replace(one, footprint=measure_footprint(context.use_case.model.open, one.folder, requests))


@contextmanager
def _earlier(context: StageContext) -> Iterator[list[Earlier]]:
    """Give the versions that the frozen inputs name, unpacked: production, and the best one unless that is production."""
    production, best = (context.inputs[name]["digest"] for name in ("production", "best"))
    named = {PRODUCTION: production, BEST: best if best != production else None}
    with tempfile.TemporaryDirectory() as scratch:
        yield [_fetched(context, name, digest, Path(scratch)) for name, digest in named.items() if digest is not None]


def _fetched(context: StageContext, name: str, digest: str, folder: Path) -> Earlier:
    settings, use_case = context.settings, context.use_case.name
    report = json.loads(fetch_document(settings, use_case, digest, artifact.GATE)["metrics.json"])
    unpacked = fetch_version(settings, use_case, digest, folder)
    return Earlier(name=name, digest=digest, folder=unpacked, learned=report.get("learned"))


def _contenders(
    context: StageContext,
    splits: dict[str, pd.DataFrame],
    state: JsonObject,
    exported: list[Exported],
    earlier: list[Earlier],
) -> list[Contender]:
    use_case, test = context.use_case, splits["test"]
    rows = Rows(use_case=use_case, examples=test, state=state)
    found = [replace(measure_exported(one.name, one.folder, rows), size_bytes=one.size_bytes) for one in exported]
    for name, baseline in use_case.judgement.baselines.items():
        found.append(measure(name, "baseline", baseline(splits, state), rows))
    for one in earlier:
        own = Rows(use_case=use_case, examples=test, state=read_json(one.folder / "state.json"))
        found.append(measure_exported(one.name, one.folder / "model", own, kind="production"))
    return align(found, use_case.judgement.naive)


def _yardstick(one: Earlier, contenders: list[Contender], test: pd.DataFrame) -> Yardstick:
    measured = next(found for found in contenders if (found.kind, found.name) == ("production", one.name))
    fault = f"it could not be measured: {measured.fault}" if measured.fault else overlap(one.learned, test)
    return Yardstick(digest=one.digest, fault=fault)


def _dated(evidence: Evidence, inputs: JsonObject) -> Evidence:
    """Return the evidence with the newest day of the run's data and of production's, as far as the frozen inputs know them."""
    own, known = (inputs[name].get("last_day") for name in ("source", "production"))
    production = evidence.production
    if production is not None and known is not None:
        production = replace(production, last_day=date.fromisoformat(known))
    return replace(evidence, production=production, last_day=date.fromisoformat(own) if own else None)


def _is_same(exported: Exported, features: Path, live: Path) -> bool:
    """Tell whether a variant and the state fitted with it are, byte for byte, those in production."""
    same_state = sha256_file(features / "state.json") == sha256_file(live / "state.json")
    return same_state and exported.folder.is_dir() and _folder_digest(exported.folder) == _folder_digest(live / "model")


def _folder_digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = "\n".join(f"{path.relative_to(folder).as_posix()} {sha256_file(path)}" for path in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def _write(context: StageContext, figures: Figures, splits: dict[str, pd.DataFrame], report: GateReport) -> None:
    out, params, use_case = context.data("evaluate"), context.params.gate, context.use_case
    told = {
        **document(figures, splits["test"], params),
        "use_case": use_case.name,
        "learned": learned(splits, use_case.data.split),
    }
    write_json(out / "metrics.json", told)
    write_verdict(
        out / "verdict.json",
        report.verdict,
        production=context.inputs["production"]["digest"],
        best=context.inputs["best"]["digest"],
        policy=params.model_dump(),
        rules={name: [asdict(rule) for rule in rules] for name, rules in report.rules.items()},
    )


def _report(context: StageContext, exported: list[Exported]) -> None:
    """Write what was measured of time and memory apart: it differs from run to run."""
    found = {one.name: asdict(one.footprint) if one.footprint else None for one in exported}
    write_json(context.reports("evaluate") / "footprint.json", {"schema": FOOTPRINT_SCHEMA, "variants": found})
