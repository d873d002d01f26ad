"""What promotion signs about a version: where it came from, what the gate saw, which documents belong to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

from ml.contract import RECORD_SCHEMA, JsonObject, Verdict
from ml.errors import IntegrityBroken
from ml.files import sha256
from ml.packaging.image import Image
from ml.packaging.judgement import ENVELOPE
from ml.packaging.oci import parsed
from ml.packaging.version import Version

RECORD_TYPE = "application/vnd.tradewind.version-record+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://tradewind.dev/retrain/v1"
BUILDER = "https://tradewind.dev/pipeline/v1"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The frozen files of the run that made a version."""

    run_id: str
    use_case: str
    inputs: bytes
    """`inputs.json`"""
    params: bytes
    """`params.yaml`, with the run's overrides"""
    lock: bytes
    """`dvc.lock`"""
    uv_lock: bytes
    machine: JsonObject
    """On which machine it was trained."""
    judgement: bytes
    """What the gate judged, signed by the judging role."""

    @classmethod
    def read(cls, root: Path, use_case: str) -> Run:
        """Return the run whose workspace this is.

        Raises:
            IntegrityBroken: A file is missing, or the inputs are of another use case.
        """
        frozen = ("inputs.json", "params.yaml", "dvc.lock", "uv.lock")
        names = (*frozen, f"data/{use_case}/package/version.json", ENVELOPE)
        missing = [name for name in names if not (root / name).is_file()]
        if missing:
            raise IntegrityBroken(
                f"the run's {', '.join(names)}", f"no {', '.join(missing)}", "Clear the task `evaluate`."
            )
        inputs, params, lock, uv_lock, packaged, judgement = ((root / name).read_bytes() for name in names)
        known = parsed(inputs)
        if known.get("use_case") != use_case:
            raise IntegrityBroken(f"inputs of {use_case}", f"inputs of {known.get('use_case')}", "Name its use case.")
        return cls(
            run_id=known["run_id"],
            use_case=use_case,
            inputs=inputs,
            params=params,
            lock=lock,
            uv_lock=uv_lock,
            machine=parsed(packaged)["machine"],
            judgement=judgement,
        )

    @property
    def facts(self) -> JsonObject:
        """The frozen inputs."""
        return parsed(self.inputs)

    def section(self) -> JsonObject:
        """Return the use case's parameters without its source, whose address is nobody else's business."""
        section = yaml.safe_load(self.params).get(self.use_case) or {}
        return {name: value for name, value in section.items() if name != "source"}

    def outputs(self) -> dict[str, str]:
        """Return the DVC hash of every output of the run by its path."""
        stages = (yaml.safe_load(self.lock) or {}).get("stages", {})
        return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ()) if "md5" in out}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What speaks for a version."""

    verdict: Verdict
    gate: str
    """Digest of `verdict.json`."""
    metrics: str
    """Digest of `metrics.json`."""
    figures: JsonObject
    """What `metrics.json` says of the variant that ships: each metric with its interval."""
    documents: Mapping[str, str]
    """Digest of each referrer by its kind."""


def compose_record(run: Run, version: Version, evidence: Evidence, image: Image) -> JsonObject:
    """Return the version record (schema `RECORD_SCHEMA`), to be signed."""
    facts = run.facts
    return {
        "schema": RECORD_SCHEMA,
        "use_case": run.use_case,
        "version": version.digest,
        "layer": version.layer.digest,
        "variant": evidence.verdict.chosen,
        "run_id": run.run_id,
        "signed_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "as_of": facts["as_of"],
        "source": {name: facts["source"].get(name) for name in ("digest", "last_day")},
        "production": facts["production"],
        "pseudonym_key": facts["pseudonym_key"],
        "code": facts["code"],
        "machine": run.machine,
        "data": run.outputs(),
        "params": run.section(),
        "files": {
            "inputs.json": sha256(run.inputs),
            "params.yaml": sha256(run.params),
            "dvc.lock": sha256(run.lock),
            "uv.lock": sha256(run.uv_lock),
        },
        "gate": {"digest": evidence.gate, "metrics": evidence.metrics, **_sentences(evidence.verdict)},
        "figures": evidence.figures,
        "documents": dict(sorted(evidence.documents.items())),
        "image": asdict(image),
    }


def compose_statement(run: Run, version: Version) -> JsonObject:
    """Return the in-toto statement with an SLSA provenance predicate (v1), to be signed.

    Format: https://slsa.dev/spec/v1.0/provenance
    """
    facts = run.facts
    return {
        "_type": STATEMENT,
        "subject": [{"name": f"tradewind/{run.use_case}", "digest": _digest(version.digest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"use_case": run.use_case, "as_of": facts["as_of"], "params": run.section()},
                "internalParameters": {"pseudonym_key": facts["pseudonym_key"], "production": facts["production"]},
                "resolvedDependencies": _dependencies(run, facts),
            },
            "runDetails": {
                "builder": {"id": BUILDER},
                "metadata": {"invocationId": run.run_id},
                "byproducts": [{"name": "dvc.lock", "digest": _digest(sha256(run.lock))}],
            },
        },
    }


def _dependencies(run: Run, facts: JsonObject) -> list[JsonObject]:
    known = {"source": facts["source"]["digest"], "code": facts["code"]["digest"], "uv.lock": sha256(run.uv_lock)}
    listed: list[JsonObject] = [{"name": name, "digest": _digest(digest)} for name, digest in known.items()]
    revision = facts["code"].get("revision")
    if revision:
        listed.append({"name": "revision", "annotations": {"gitCommit": revision}})
    return listed


def _digest(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _sentences(verdict: Verdict) -> JsonObject:
    return {"summary": verdict.summary, "rules": [asdict(rule) for rule in verdict.rules]}
