"""What a stage hands over to later ones: its part of the run's `dvc.lock`, signed by the role that it ran as.

A statement names use case, run and stage. It can name nothing but hashes of outputs that the installed project declares for
that stage: no command, no other path, no remote and no version of a cloud. So a lock cannot make DVC run or write
anything else, whoever wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ml.config import BucketName, Role, Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.pipeline import ROLES, vouch
from ml.pipeline.frozen import run_key
from ml.pipeline.listing import checked_path
from ml.store import Bucket

KIND = "application/vnd.tradewind.handover+json"
SCHEMA = "tradewind/handover/1"
LOCK_SCHEMA = "2.0"
PLACES: dict[Role, BucketName] = {"ingest": "runs", "train": "work", "judge": "work"}
"""In which bucket a role leaves its statements: what trains or judges has no right to write `runs`."""
AGAIN = "Run the stage again; if it stays so, start a new run."


class Hashed(BaseModel):
    """A file or folder of a run with its DVC hash."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    path: Annotated[str, AfterValidator(checked_path)]
    hash: Literal["md5"]
    md5: str = Field(pattern=r"^[0-9a-f]{32}(\.dir)?$")
    size: int | None = Field(None, ge=0)
    """[bytes]"""
    nfiles: int | None = Field(None, ge=0)
    isexec: bool | None = None


class Part(BaseModel):
    """A stage's part of `dvc.lock`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cmd: str
    deps: list[Hashed] = Field(default_factory=list)
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    outs: list[Hashed] = Field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What one stage of one run handed over."""

    part: Part
    judged: str | None
    """Digest of the bytes of its `verdict.json`, where the stage judges."""
    reports: Mapping[str, str] | None
    """Digest of each report by its path below the stage; none in statements of before they were listed."""


def leave(
    settings: Settings,
    about: tuple[str, str, str],
    part: JsonObject,
    judged: str | None,
    reports: Mapping[str, str] | None = None,
) -> None:
    """Sign what a stage made and leave it for later stages; an earlier try's is replaced.

    Args:
        settings: Those of the role that the stage runs as, with its key.
        about: Use case, run id, stage.
        part: The stage's part of `dvc.lock`.
        judged: Digest of its verdict, where it judges.
        reports: Digests of what it reported to people.
    """
    use_case, run_id, stage = about
    statement = {**_about(*about), "part": json.loads(json.dumps(part)), "judged": judged}
    statement |= {} if reports is None else {"reports": dict(reports)}
    signed = vouch.sign(settings, ROLES[stage], KIND, statement)
    Bucket.open(settings, PLACES[ROLES[stage]]).put(_key(use_case, run_id, stage), signed, "application/json")


def find(settings: Settings, use_case: str, run_id: str, stage: str) -> Handover | None:
    """Return what a stage of a run handed over; none before it did.

    Raises:
        IntegrityBroken: The stage's role did not sign it, or it is no part of a lock.
    """
    key = _key(use_case, run_id, stage)
    envelope = Bucket.open(settings, PLACES[ROLES[stage]]).find(key, vouch.STATEMENT_LIMIT_BYTES)
    if envelope is None:
        return None
    about = _about(use_case, run_id, stage)
    try:
        statement = vouch.verify(settings, ROLES[stage], KIND, envelope, about)
    except IntegrityBroken as error:
        wanted = f"{key} as `{ROLES[stage]}` signed it: {error.expected}"
        raise IntegrityBroken(wanted, error.received, AGAIN) from error
    return Handover(
        part=part_of(statement["part"], stage), judged=statement["judged"], reports=statement.get("reports")
    )


def part_of(value: object, stage: str) -> Part:
    """Return a stage's part of a lock; raise `IntegrityBroken` where it holds anything a lock of ours cannot."""
    try:
        return Part.model_validate(value)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:5])
        raise IntegrityBroken(f"hashes of the outputs of {stage}", found, AGAIN) from error


def lock_of(settings: Settings, use_case: str, run_id: str, stages: Iterable[str]) -> JsonObject:
    """Return a run's `dvc.lock`, put together from what its stages handed over; raise as `find` does."""
    found = {stage: find(settings, use_case, run_id, stage) for stage in stages}
    return as_lock(use_case, {stage: one.part for stage, one in found.items() if one})


def as_lock(use_case: str, parts: Mapping[str, Part]) -> JsonObject:
    """Return parts as DVC's `dvc.lock` holds them."""
    told = {f"{stage}@{use_case}": part.model_dump(exclude_none=True) for stage, part in parts.items()}
    return {"schema": LOCK_SCHEMA, "stages": told}


def _about(use_case: str, run_id: str, stage: str) -> JsonObject:
    return {"schema": SCHEMA, "use_case": use_case, "run_id": run_id, "stage": stage}


def _key(use_case: str, run_id: str, stage: str) -> str:
    return run_key(use_case, run_id, f"handover/{stage}.json")
