"""Measures every exported variant, the baselines and production on the same test rows, and judges.

Reads `features` (splits, state) and `compress`, and the version in production; writes `metrics.json` and
`verdict.json`. It ends well when it refuses; it fails, and leaves no verdict, where production cannot be fetched.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.evaluation.bootstrap import NOTHING
from ml.evaluation.contender import Contender, Rows, align, measure, measure_exported
from ml.evaluation.figures import Figures, document, work_out
from ml.evaluation.gate import Candidate, Evidence, GateReport, judge
from ml.files import read_json, sha256_file, write_json, write_verdict
from ml.pipeline.context import StageContext
from ml.registry.fetch import fetch_version

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "valid", "test")
PRODUCTION = "production"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A variant as compress handed it over."""

    name: str
    folder: Path
    size_bytes: int


def run(context: StageContext) -> None:
    """Measure, judge, and write both.

    Raises:
        IntegrityBroken: The stage's inputs are not whole, or production's bytes do not bear its digest.
        ModelNotFound: The version in production is not in the store.
        StorageUnavailable: The store did not answer.
    """
    splits, state = read_features(context.data("features"))
    exported = read_variants(context.data("compress"))
    with _production(context) as live:
        contenders = _contenders(context, splits, state, exported, live)
        same = {one.name for one in exported if live and _is_same(one, context.data("features"), live)}
    figures = work_out(context.use_case.judgement, contenders, splits["test"], context.params.gate)
    report = judge(_evidence(context, figures, same), context.params.gate)
    _write(context, figures, splits["test"], report)
    log.info("gate judged accepted=%s summary=%s", report.verdict.accepted, report.verdict.summary)


def read_features(folder: Path) -> tuple[dict[str, pd.DataFrame], JsonObject]:
    """Return the splits and the fitted state."""
    import pandas as pd

    splits = {name: pd.read_parquet(folder / f"{name}.parquet") for name in SPLITS}
    return splits, read_json(folder / "state.json")


def read_variants(folder: Path) -> list[Exported]:
    """Return the exported variants in compress's order, most faithful first.

    Raises:
        IntegrityBroken: There is no list of them.
    """
    listed = read_json(folder / "variants.json").get("variants")
    if not isinstance(listed, list):
        raise IntegrityBroken(f"`variants` in {folder}/variants.json", "none", "Run the compress stage again.")
    return [Exported(name=one["name"], folder=folder / one["name"], size_bytes=int(one["bytes"])) for one in listed]


@contextmanager
def _production(context: StageContext) -> Iterator[Path | None]:
    """Give the unpacked version in production, or none where the frozen inputs say there is none."""
    digest = context.inputs["production"]["digest"]
    if digest is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield fetch_version(context.settings, context.use_case.name, digest, Path(scratch))


def _contenders(
    context: StageContext,
    splits: dict[str, pd.DataFrame],
    state: JsonObject,
    exported: list[Exported],
    live: Path | None,
) -> list[Contender]:
    use_case, test = context.use_case, splits["test"]
    rows = Rows(use_case=use_case, examples=test, state=state)
    found = [replace(measure_exported(one.name, one.folder, rows), size_bytes=one.size_bytes) for one in exported]
    for name, baseline in use_case.judgement.baselines.items():
        found.append(measure(name, "baseline", baseline(splits, state), rows))
    if live is not None:
        own = Rows(use_case=use_case, examples=test, state=read_json(live / "state.json"))
        found.append(measure_exported(PRODUCTION, live / "model", own, kind="production"))
    return align(found, use_case.judgement.naive)


def _evidence(context: StageContext, figures: Figures, live: set[str]) -> Evidence:
    judgement = context.use_case.judgement
    production = _only(figures, "production")
    variants = [one for one in figures.contenders if one.kind == "variant"]
    return Evidence(
        units=figures.units,
        metrics=judgement.metrics,
        primary=judgement.primary,
        naive=judgement.naive,
        production=context.inputs["production"]["digest"],
        production_fault=production.fault if production else None,
        candidates=tuple(_candidate(figures, one, variants[0], production, one.name in live) for one in variants),
    )


def _candidate(
    figures: Figures, variant: Contender, reference: Contender, production: Contender | None, is_live: bool
) -> Candidate:
    primary, naive = figures.judgement.primary, _only(figures, "baseline", figures.judgement.naive)
    return Candidate(
        name=variant.name,
        size_bytes=variant.size_bytes or 0,
        figures=figures.of(variant),
        over_naive=figures.gain(variant, naive, primary) if naive else NOTHING,
        over_production=figures.relative_gain(variant, production, primary) if production else NOTHING,
        over_reference=None if variant is reference else figures.relative_gain(variant, reference, primary),
        fallen=figures.fallen(variant, production, primary) if production else (),
        fault=variant.fault,
        is_live=is_live,
    )


def _only(figures: Figures, kind: str, name: str | None = None) -> Contender | None:
    found = (one for one in figures.contenders if one.kind == kind and name in (None, one.name))
    return next(found, None)


def _is_same(exported: Exported, features: Path, live: Path) -> bool:
    """Tell whether a variant and the state fitted with it are, byte for byte, those in production."""
    same_state = sha256_file(features / "state.json") == sha256_file(live / "state.json")
    return same_state and exported.folder.is_dir() and _folder_digest(exported.folder) == _folder_digest(live / "model")


def _folder_digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    listed = "\n".join(f"{path.relative_to(folder).as_posix()} {sha256_file(path)}" for path in files)
    return hashlib.sha256(listed.encode()).hexdigest()


def _write(context: StageContext, figures: Figures, test: pd.DataFrame, report: GateReport) -> None:
    out, params = context.data("evaluate"), context.params.gate
    write_json(out / "metrics.json", {**document(figures, test, params), "use_case": context.use_case.name})
    write_verdict(
        out / "verdict.json",
        report.verdict,
        production=context.inputs["production"]["digest"],
        policy=params.model_dump(),
        rules={name: [asdict(rule) for rule in rules] for name, rules in report.rules.items()},
    )
