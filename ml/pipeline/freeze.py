"""Freezes what a run depends on, once, as the first thing its first task does.

Signs `inputs.json`, `params.yaml` and `dvc.yaml` of the run and keeps them in the `runs` bucket, once. From then on no
stage looks at a source's newest state, a channel, a ledger or a decision by itself.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from ml.config import Settings, require_secret
from ml.contract import INPUTS_SCHEMA, JsonObject, UseCase
from ml.errors import ConfigInvalid
from ml.files import canonical, sha256
from ml.parameter import UseCaseParams
from ml.pipeline import frozen, learned
from ml.pipeline.accepted import Accepted, accepted_runs
from ml.pipeline.admission import admitted, configured
from ml.pipeline.approval import REQUIRED
from ml.pipeline.context import typed_params
from ml.pipeline.decision import in_force, rejected
from ml.pipeline.named import ensure_all_known
from ml.pipeline.place import PROJECT
from ml.pipeline.workspace import CODE, single
from ml.pipeline.yardstick import DAYS, best_version
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import fingerprint
from ml.registry import ledger
from ml.registry.erasure_mark import Marks, proven_customers
from ml.registry.fetch import newest_day
from ml.registry.live import Live
from ml.sources.opening import open_source

PRODUCTION = "production"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a person or the timetable asks of a run."""

    run_id: str
    as_of: date
    """The logical date; a replayed source maps it onto its records."""
    source: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the source's section in `params.yaml`."""
    train: Mapping[str, Any] = field(default_factory=dict)
    """Overrides of the use case's `train` section."""
    asks_person: bool = False
    """Whether a person has to approve the version, also where `params.yaml` asks nobody."""
    is_automatic: bool = False
    """Whether a timetable or an asset started it: then inputs that were learned from already start nothing."""
    request: str | None = None
    """Names the DAG run that asks; no other run continues this one. None where no DAG run does."""


def freeze(settings: Settings, use_case: UseCase, request: RunRequest) -> JsonObject | None:
    """Freeze the run's inputs unless that was done, and return them; none where an automatic run has nothing new to learn.

    Raises:
        ConfigInvalid: A parameter or override is unknown or out of range, or the source a place that nobody configured.
        SourceInvalid: The source lacks what the use case needs.
        IntegrityBroken: Somebody else wrote where the run is frozen.
    """
    if frozen.exists(settings, use_case.name, request.run_id):
        return _ensure_same_run(frozen.inputs(settings, use_case.name, request.run_id), request)
    settings = configured(settings)
    params = run_params(use_case, replace(request, source=admitted(settings, request.source)))
    files = {
        frozen.INPUTS: canonical(_gather(settings, use_case, request, params["source"])),
        frozen.PARAMS: yaml.safe_dump({use_case.name: params}, sort_keys=True, allow_unicode=True).encode(),
        frozen.STAGES_FILE: single(use_case.name),
    }
    drawn = frozen.Frozen(use_case=use_case.name, run_id=request.run_id, files=files)
    if request.is_automatic and (earlier := learned.earlier_run(settings, drawn)):
        log.info("nothing new to learn: run %s ended in a verdict on equal inputs", earlier)
        return None
    kept = frozen.keep(settings, use_case.name, request.run_id, files)
    learned.keep(settings, kept)
    return _ensure_same_run(kept.inputs, request)


def _ensure_same_run(inputs: JsonObject, request: RunRequest) -> JsonObject:
    """Refuse to continue the run of another DAG run whose id stands for the same folder."""
    begun = inputs.get("request")
    if begun is not None and request.request not in (None, begun):
        raise ConfigInvalid(f"the run {begun}", str(request.request), "Start a run with another id.")
    return inputs


def run_params(use_case: UseCase, request: RunRequest) -> dict[str, Any]:
    """Return the use case's section of `params.yaml` with the run's overrides, checked."""
    section = project_section(use_case)
    merged = {
        **section,
        "source": {**section["source"], **request.source},
        "train": {**section["train"], **request.train},
    }
    if request.asks_person:
        merged["release"] = {**section.get("release", {}), "approval": REQUIRED}
    typed = typed_params(use_case, merged)
    ensure_all_known(use_case, typed, merged["source"])
    return {**typed.model_dump(mode="json"), "source": merged["source"]}


def project_section(use_case: UseCase) -> dict[str, Any]:
    """Return the use case's section of the project's `params.yaml`.

    Raises:
        ConfigInvalid: There is none.
    """
    section = yaml.safe_load((PROJECT / "params.yaml").read_text()).get(use_case.name)
    if not isinstance(section, dict):
        raise ConfigInvalid(f"a section {use_case.name} in params.yaml", "none", "Add it.")
    return section


def project_params(use_case: UseCase) -> UseCaseParams:
    """Return the use case's typed section of the project's `params.yaml`, all that it names checked.

    Raises:
        ConfigInvalid: There is none, or a key or a name in it is unknown, or a value out of range.
    """
    section = project_section(use_case)
    params = typed_params(use_case, section)
    ensure_all_known(use_case, params, section.get("source") or {})
    return params


def _gather(settings: Settings, use_case: UseCase, request: RunRequest, spec: JsonObject) -> JsonObject:
    state = open_source(spec, settings).freeze(use_case.data.tables, request.as_of)
    live, now = ledger.live(settings, use_case.name, PRODUCTION), datetime.now(UTC)
    key = bytes.fromhex(require_secret(settings.pseudonym_key, "pseudonym_key"))
    told = ledger.history(settings, use_case.name)
    return {
        "schema": INPUTS_SCHEMA,
        "use_case": use_case.name,
        "run_id": request.run_id,
        "request": request.request,
        "as_of": {
            "requested": request.as_of.isoformat(),
            "data": state.as_of_data.isoformat(),
            "clock": state.clock,
        },
        "source": {
            "spec": spec,
            "digest": state.digest,
            "last_day": state.last_day.isoformat(),
            "time_zone": state.time_zone,
        },
        "production": _production(settings, live),
        "best": {"digest": best_version(settings, use_case, PRODUCTION, now), "days": DAYS},
        "accepted": _accepted(settings, use_case.name, rejected(told)),
        "decisions": in_force(told, now.date()),
        "erasures": erasures(settings, use_case.name),
        "key_ring": KeyRing.open(settings, use_case.name).id,
        "pseudonym_key": fingerprint(key),
        "code": {"revision": _revision(), "digest": code_digest()},
    }


def _production(settings: Settings, live: Live | None) -> JsonObject:
    if live is None:
        return {"digest": None, "seq": 0, "last_day": None}
    day = newest_day(settings, live.use_case, live.digest)
    return {"digest": live.digest, "seq": live.seq, "last_day": day.isoformat() if day else None}


def _accepted(settings: Settings, use_case: str, without: frozenset[str]) -> list[Accepted]:
    """Return the accepted runs that thresholds are learned from: without those whose data a person rejected later."""
    runs = accepted_runs(settings, use_case)
    return [one for one in runs if one["run_id"] not in without]


def erasures(settings: Settings, use_case: str) -> list[str]:
    """Return the names of the keys of those who were erased, by mark or by proof: keyed hashes that lead to no pseudonym."""
    return sorted(Marks(settings).customers(use_case) | proven_customers(settings, use_case))


def _revision() -> str | None:
    """Return the commit the code was checked out from, with `+changes` if it differs; none outside git."""
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=PROJECT, check=True, capture_output=True, text=True).stdout.strip()


def code_digest(project: Path = PROJECT) -> str:
    """Return one digest over the code that a workspace copies."""
    total = hashlib.sha256()
    for name in CODE:
        top = project / name
        for path in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
            total.update(f"{path.relative_to(project)}\0{sha256(path.read_bytes())}\n".encode())
    return f"sha256:{total.hexdigest()}"
