"""Documents of runs and versions, out of the object store: by checked names, bounded in size, never as a script."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

import yaml

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import parse_object, sha256
from ml.packaging import artifact
from ml.packaging.oci import parsed
from ml.pipeline import ROLES, is_run_id
from ml.pipeline.frozen import inputs as frozen_inputs
from ml.pipeline.handover import find
from ml.registry.fetch import fetch_document, fetch_documents, fetch_record
from ml.store import Bucket

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~=+-]{0,199}")
DEPTH = 12  # folders below a run; Data Docs use eight
SIZE_LIMIT_BYTES = 32 * 1024 * 1024
FILES_SHOWN = 500
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
VERDICT = "validate/verdict.json"
DOWNLOAD = "application/octet-stream"
KNOWN = {
    "validate/report.json": "Data report",
    "validate/docs/index.html": "Data Docs",
    "anonymise/privacy.html": "Privacy report",
    "evaluate/verdict.json": "Gate report",
    "explain/card.html": "Model card",
}
"""What people look for in a run, by its place, in the order of the flow."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """Bytes with the type under which a browser may show them."""

    data: bytes
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict with the figures it rests on."""

    verdict: JsonObject
    metrics: JsonObject | None
    footprint: JsonObject | None = None
    """What the exported forms took on the machine of a run; a version knows nothing of it."""

    @property
    def contenders(self) -> list[JsonObject]:
        """Return everybody who was measured."""
        return list(self.metrics.get("contenders", [])) if self.metrics else []

    @property
    def variant(self) -> str | None:
        """Return the form that ships; of a refused candidate the most faithful one, which its card is about too."""
        first = next((one["name"] for one in self.contenders if one["kind"] == "variant"), None)
        return self.verdict.get("chosen") or first

    @property
    def compared(self) -> list[JsonObject]:
        """Return that form's figures and those of baselines and earlier versions, the form first."""
        shown = [one for one in self.contenders if one["name"] == self.variant or one["kind"] != "variant"]
        return sorted(shown, key=lambda one: one["name"] != self.variant)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The frozen files of the run that made a version."""

    inputs: JsonObject
    lock: JsonObject
    """`dvc.lock`: what each stage read and made, by digest."""


@dataclass(frozen=True, kw_only=True)
class Papers:
    """A version's signed record and what it names."""

    record: JsonObject
    judged: Judgement
    origin: Origin
    explanations: JsonObject
    """What `explain` found out, which lies beside the card."""


def report(settings: Settings, use_case: str, run: str, path: str) -> Document:
    """Return one file of a run's reports.

    Raises:
        ModelNotFound: There is no such file, its name is none a report has, or it is beyond the limit.
        IntegrityBroken: It is about the shop's data, and not what the stage signed that reported it.
    """
    key = "/".join(checked((use_case, run, *path.split("/"))))
    bucket = Bucket.open(settings, "reports")
    size = bucket.size(key)
    if size is None or size > SIZE_LIMIT_BYTES:
        found = "none" if size is None else f"one of {size} bytes"
        raise ModelNotFound(f"a report of at most {SIZE_LIMIT_BYTES} bytes at that place", found, "Open the run again.")
    data = bucket.get(key)
    _ensure_reported(settings, (use_case, run, path), data)
    return Document(data=data, content_type=TYPES.get(PurePosixPath(path).suffix, DOWNLOAD))


def _ensure_reported(settings: Settings, place: tuple[str, str, str], data: bytes) -> None:
    """Refuse a report about the shop's data that is not what its stage signed: a data owner decides by it.

    What trains may write `reports`. A stage that has handed nothing over yet, or did so before reports were listed, has
    nothing to compare with.
    """
    use_case, run, path = place
    stage, _, name = path.partition("/")
    if ROLES.get(stage) != "ingest" or not is_run_id(run):
        return
    made = find(settings, use_case, run, stage)
    if made is None or made.reports is None:
        return
    signed = made.judged if path == VERDICT else made.reports.get(name)
    if signed != sha256(data):
        wanted = f"the report {path} that `{stage}` signed: {signed or 'none'}"
        raise IntegrityBroken(wanted, sha256(data), "Somebody wrote over it: run the stage again, or start a new run.")


def has(settings: Settings, use_case: str, run: str, path: str) -> bool:
    """Tell whether a run has a report at a place."""
    return Bucket.open(settings, "reports").exists("/".join(checked((use_case, run, *path.split("/")))))


def files(settings: Settings, use_case: str, run: str) -> list[str]:
    """Return the places of a run's reports, in order; a bounded number."""
    prefix = "/".join(checked((use_case, run))) + "/"
    keys = Bucket.open(settings, "reports").keys(prefix)
    return [key.removeprefix(prefix) for key in islice(keys, FILES_SHOWN)]


def read_report(settings: Settings, use_case: str, run: str, path: str) -> JsonObject:
    """Return what a report in JSON holds; raise `ModelNotFound`, or `IntegrityBroken` where it is no plain JSON object."""
    return parse_object(report(settings, use_case, run, path).data, path, "Run the stage again.")


def judgement(settings: Settings, use_case: str, run: str, stage: str) -> Judgement:
    """Return what a judging stage of a run decided."""
    verdict = read_report(settings, use_case, run, f"{stage}/verdict.json")
    metrics, footprint = (_found(settings, use_case, run, f"{stage}/{name}.json") for name in ("metrics", "footprint"))
    return Judgement(verdict=verdict, metrics=metrics, footprint=footprint)


def _found(settings: Settings, use_case: str, run: str, path: str) -> JsonObject | None:
    """Return a report that may be missing."""
    try:
        return read_report(settings, use_case, run, path)
    except ModelNotFound:
        return None


def inputs(settings: Settings, use_case: str, run: str) -> JsonObject | None:
    """Return the frozen inputs of a run; none before its first task froze them."""
    checked((use_case, run))
    try:
        return frozen_inputs(settings, use_case, run)
    except ModelNotFound:
        return None
    except IntegrityBroken:  # a run of an earlier version, or one that somebody planted: no stage would use it
        return None


def card(settings: Settings, use_case: str, digest: str, run_id: str | None) -> Document:
    """Return the model card of a version, as its signed record names it: that of a run, else the newest."""
    data = fetch_document(settings, use_case, named(digest), artifact.CARD, run_id)["card.html"]
    return Document(data=data, content_type=TYPES[".html"])


def gate(settings: Settings, use_case: str, digest: str, run_id: str | None) -> Judgement:
    """Return the gate report of a version, as its signed record names it: that of a run, else the newest."""
    return _judged(fetch_document(settings, use_case, named(digest), artifact.GATE, run_id))


def papers(settings: Settings, use_case: str, digest: str, run_id: str | None) -> Papers:
    """Return what a version's signed record names, that of a run, else the newest; its signature is looked at once."""
    kinds = (artifact.GATE, artifact.CARD, artifact.LOCK)
    record, found = fetch_documents(settings, use_case, named(digest), kinds, run_id)
    frozen = found[artifact.LOCK]
    return Papers(
        record=record.payload,
        judged=_judged(found[artifact.GATE]),
        origin=Origin(inputs=parsed(frozen["inputs.json"]), lock=yaml.safe_load(frozen["dvc.lock"]) or {}),
        explanations=parsed(found[artifact.CARD]["explanations.json"]),
    )


def _judged(evidence: Mapping[str, bytes]) -> Judgement:
    return Judgement(verdict=parsed(evidence["verdict.json"]), metrics=parsed(evidence["metrics.json"]))


def record(settings: Settings, use_case: str, digest: str, run_id: str | None) -> JsonObject:
    """Return the signed record of a version: that of a run, else the newest."""
    return fetch_record(settings, use_case, named(digest), run_id).payload


def checked(parts: Iterable[str]) -> list[str]:
    """Return the parts of a key, checked; raise `ModelNotFound` where one is none."""
    listed = list(parts)
    if len(listed) > DEPTH or not all(NAME.fullmatch(part) for part in listed):
        raise ModelNotFound("names of letters, digits and . _ ~ = + -", "another", "Open the run again.")
    return listed


def named(digest: str) -> str:
    """Return a version's digest, checked; raise `ModelNotFound` where it is none."""
    if not DIGEST.fullmatch(digest):
        raise ModelNotFound("a digest sha256:<64 hexadecimal digits>", "another name", "Take it from the ledger.")
    return digest
