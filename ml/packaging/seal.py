"""Seals a packaged version: checks its evidence, then attaches the run's lock, provenance and the signed record."""

from __future__ import annotations

from dataclasses import replace

from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.files import canonical, sha256
from ml.packaging import artifact, sbom, version
from ml.packaging.archive import manifest
from ml.packaging.gate_report import accepted
from ml.packaging.image import Image
from ml.packaging.judgement import ENVELOPE
from ml.packaging.oci import Layout, parsed
from ml.packaging.record import (
    RECORD_TYPE,
    STATEMENT_TYPE,
    Evidence,
    Run,
    compose_record,
    compose_statement,
)
from ml.packaging.signing import Signer


def check_evidence(layout: Layout) -> Evidence:
    """Return what speaks for the version in a layout.

    Raises:
        GateFailed: The gate report refuses it.
        IntegrityBroken: A document is missing, or the bill of materials does not match the bytes.
    """
    packaged = version.read(layout)
    documents = {kind: entry.digest for kind, entry in layout.referrers(packaged.digest).items()}
    missing = [kind for kind in artifact.REQUIRED if kind not in documents]
    if missing:
        raise IntegrityBroken("every document of the version", f"no {', '.join(missing)}", "Package it again.")
    files = manifest(layout.blob(packaged.layer.digest))
    sbom.ensure_complete(layout.file(documents[artifact.SBOM], "sbom.cdx.json"), packaged.digest, files)
    report = layout.file(documents[artifact.GATE], "verdict.json")
    metrics = layout.file(documents[artifact.GATE], "metrics.json")
    verdict = accepted(report)
    return Evidence(
        verdict=verdict,
        gate=sha256(report),
        metrics=sha256(metrics),
        figures=_figures(metrics, verdict.chosen),
        documents=documents,
    )


def seal(layout: Layout, run: Run, evidence: Evidence, image: Image, signer: Signer) -> str:
    """Attach the run's frozen files, what was judged, the provenance and the version record, and return the record's digest.

    The record names every document by digest, so one signature vouches for all of them.
    """
    packaged = version.read(layout)
    lock = layout.attach(
        packaged.manifest,
        artifact.LOCK,
        {
            "dvc.lock": (artifact.YAML, run.lock),
            "inputs.json": (artifact.JSON, run.inputs),
            "params.yaml": (artifact.YAML, run.params),
        },
    )
    statement = signer.sign(STATEMENT_TYPE, canonical(compose_statement(run, packaged)))
    provenance = layout.attach(
        packaged.manifest, artifact.PROVENANCE, {"provenance.dsse.json": (artifact.ENVELOPE, statement)}
    )
    judged = layout.attach(packaged.manifest, artifact.JUDGEMENT, {ENVELOPE: (artifact.ENVELOPE, run.judgement)})
    own = {artifact.JUDGEMENT: judged.digest}
    sealed = {**evidence.documents, **own, artifact.LOCK: lock.digest, artifact.PROVENANCE: provenance.digest}
    record = compose_record(run, packaged, replace(evidence, documents=sealed), image)
    envelope = signer.sign(RECORD_TYPE, canonical(record))
    layout.attach(packaged.manifest, artifact.RECORD, {"record.dsse.json": (artifact.ENVELOPE, envelope)})
    return sha256(envelope)


def _figures(metrics: bytes, variant: str | None) -> JsonObject:
    for contender in parsed(metrics).get("contenders", ()):
        if (contender.get("name"), contender.get("kind")) == (variant, "variant"):
            return dict(contender["figures"])
    raise IntegrityBroken(f"figures of {variant} in metrics.json", "none", "Run the evaluate stage again.")
