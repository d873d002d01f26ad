"""Turns an accepted candidate into a version: an OCI layout with the exported bytes, their state and golden answers.

Reads `features`, `train`, `compress`, `evaluate` and `explain`; writes `oci/` and `version.json`. No secret is needed here:
promotion signs.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from ml.contract import JsonObject, Verdict
from ml.errors import GateFailed, IntegrityBroken
from ml.files import read_json, read_verdict, sha256_file, write_bytes, write_json
from ml.packaging import artifact, version
from ml.packaging.archive import manifest
from ml.packaging.oci import Layout
from ml.packaging.sbom import write_sbom
from ml.packaging.version import Version
from ml.pipeline.context import StageContext

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Package the variant the gate chose.

    Raises:
        GateFailed: The gate did not accept the candidate.
        IntegrityBroken: Something the version consists of is missing.
    """
    out = context.data("package")
    shutil.rmtree(out / "oci", ignore_errors=True)
    variant = _chosen(read_verdict(context.data("evaluate") / "verdict.json"))
    layout = Layout.create(out / "oci")
    with tempfile.TemporaryDirectory() as scratch:
        cases = _lay_out(context, variant, Path(scratch))
        built = version.build(layout, Path(scratch), version.describe(context.use_case, variant))
    _attach(context, layout, built)
    write_json(out / "version.json", _summary(context, variant, built, cases))
    log.info("version packaged use_case=%s digest=%s bytes=%d", context.use_case.name, built.digest, built.layer.size)


def _chosen(verdict: Verdict) -> str:
    if verdict.accepted and not verdict.blocking() and verdict.chosen:
        return verdict.chosen
    reasons = " ".join(rule.sentence for rule in verdict.blocking()) or verdict.summary
    raise GateFailed("a candidate that passed the gate", reasons, "Nothing is packaged; read the gate report.")


def _lay_out(context: StageContext, variant: str, folder: Path) -> int:
    """Write what the version consists of into a folder; return the number of golden requests."""
    exported = context.data("compress") / variant
    if not exported.is_dir():
        raise IntegrityBroken(f"the exported variant {variant}", "no such folder", "Run the compress stage again.")
    shutil.copytree(exported, folder / "model")
    shutil.copyfile(context.data("features") / "state.json", folder / "state.json")
    write_json(folder / "version.json", version.describe(context.use_case, variant))
    write_bytes(folder / "golden.json", _bytes(context.data("evaluate"), "golden.json"))
    return len(read_json(folder / "golden.json")["cases"])


def _attach(context: StageContext, layout: Layout, built: Version) -> None:
    """Attach what people and machines want to know of a version, beside it."""
    evaluated, explained = context.data("evaluate"), context.data("explain")
    kinds = {
        artifact.CARD: {"card.html": (artifact.HTML, explained), "explanations.json": (artifact.JSON, explained)},
        artifact.GATE: {"verdict.json": (artifact.JSON, evaluated), "metrics.json": (artifact.JSON, evaluated)},
        artifact.PROFILE: {"profile.parquet": (artifact.PARQUET, context.data("features"))},
    }
    for kind, files in kinds.items():
        contents = {name: (media, _bytes(place, name)) for name, (media, place) in files.items()}
        layout.attach(built.manifest, kind, contents)
    files_inside = manifest(layout.blob(built.layer.digest))
    sbom = write_sbom(context.use_case.name, built.digest, files_inside, (context.root / "uv.lock").read_bytes())
    layout.attach(built.manifest, artifact.SBOM, {"sbom.cdx.json": (artifact.SBOM, sbom)})


def _bytes(place: Path, name: str) -> bytes:
    try:
        return (place / name).read_bytes()
    except FileNotFoundError as error:
        raise IntegrityBroken(f"{name} in {place}", "no such file", "Run the stage that writes it.") from error


def _summary(context: StageContext, variant: str, built: Version, cases: int) -> JsonObject:
    return {
        "schema": version.VERSION_SCHEMA,
        "use_case": context.use_case.name,
        "digest": built.digest,
        "layer": built.layer.digest,
        "bytes": built.layer.size,
        "variant": variant,
        "golden": cases,
        "gate": sha256_file(context.data("evaluate") / "verdict.json"),
        "machine": read_json(context.data("train") / "machine.json"),
    }
