"""What a run is frozen on: written once, signed by the freezing role, and verified before anybody uses it.

One object holds everything, so that it is there whole or not at all: `<use case>/<run id>/frozen.json` in the `runs` bucket.
Run ids can be guessed. Whoever takes the key of a future run keeps that run from starting, and nothing else: without the
freezing role's signature nothing is believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import ConfigInvalid, IntegrityBroken, PromotionConflict
from ml.pipeline import is_run_id, vouch
from ml.store import Bucket

INPUTS, PARAMS, STAGES_FILE = "inputs.json", "params.yaml", "dvc.yaml"
FROZEN = (INPUTS, PARAMS, STAGES_FILE)
STATEMENT = "frozen.json"
KIND = "application/vnd.tradewind.frozen-run+json"
SCHEMA = "tradewind/frozen-run/1"
NEW_RUN = "Start a new run; whoever holds this key in the object store can delete it."


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The frozen files of one run, whose signature holds."""

    use_case: str
    run_id: str
    files: Mapping[str, bytes]
    """By name: those of `FROZEN`."""

    @property
    def inputs(self) -> JsonObject:
        """The run's inputs."""
        return _mapping(json.loads(self.files[INPUTS]), INPUTS)

    @property
    def section(self) -> JsonObject:
        """The parameters of the run's use case, overrides included."""
        return _mapping(_mapping(yaml.safe_load(self.files[PARAMS]), PARAMS).get(self.use_case), PARAMS)


def run_key(use_case: str, run_id: str, name: str) -> str:
    """Return the key in the object store of one file of a run.

    Raises:
        ConfigInvalid: This is no run's id, but a way out of its folder.
    """
    if not is_run_id(run_id):
        raise ConfigInvalid(
            "a run id of letters, digits and . _ ~ = + - without `..`", repr(run_id)[:100], "Correct it."
        )
    return f"{use_case}/{run_id}/{name}"


def keep(settings: Settings, use_case: str, run_id: str, files: Mapping[str, bytes]) -> Frozen:
    """Freeze a run unless an earlier try did, and return what it is frozen on.

    Args:
        settings: Those of a process that holds the freezing role's key.
        use_case: Its name.
        run_id: As it stands in keys.
        files: Those of `FROZEN`.

    Raises:
        IntegrityBroken: Something that the freezing role did not sign is there already.
    """
    told = {"schema": SCHEMA, "use_case": use_case, "run_id": run_id}
    texts = {name: files[name].decode() for name in FROZEN}
    signed = vouch.sign(settings, "ingest", KIND, {**told, "files": texts})
    try:
        Bucket.open(settings, "runs").create(run_key(use_case, run_id, STATEMENT), signed)
    except PromotionConflict:
        return read(settings, use_case, run_id)
    return Frozen(use_case=use_case, run_id=run_id, files={name: files[name] for name in FROZEN})


def exists(settings: Settings, use_case: str, run_id: str) -> bool:
    """Tell whether something stands where the run would be frozen, whoever wrote it."""
    return Bucket.open(settings, "runs").exists(run_key(use_case, run_id, STATEMENT))


def read(settings: Settings, use_case: str, run_id: str) -> Frozen:
    """Return what a run is frozen on.

    Raises:
        ModelNotFound: Nothing was frozen.
        IntegrityBroken: The freezing role did not sign it, or signed it for another run.
    """
    key, runs = run_key(use_case, run_id, STATEMENT), Bucket.open(settings, "runs")
    envelope = runs.find(key, vouch.STATEMENT_LIMIT_BYTES)
    if envelope is None and runs.exists(run_key(use_case, run_id, INPUTS)):
        raise IntegrityBroken(f"{key}, signed", "frozen files without a signature", NEW_RUN)
    envelope = envelope if envelope is not None else runs.get(key)
    about = {"schema": SCHEMA, "use_case": use_case, "run_id": run_id}
    try:
        files = vouch.verify(settings, "ingest", KIND, envelope, about)["files"]
    except IntegrityBroken as error:
        raise IntegrityBroken(f"{key} as `ingest` signed it: {error.expected}", error.received, NEW_RUN) from error
    return Frozen(use_case=use_case, run_id=run_id, files={name: files[name].encode() for name in FROZEN})


def inputs(settings: Settings, use_case: str, run_id: str) -> JsonObject:
    """Return a run's inputs; raise as `read` does."""
    return read(settings, use_case, run_id).inputs


def section(settings: Settings, use_case: str, run_id: str) -> JsonObject:
    """Return the parameters a run was frozen with, overrides included; raise as `read` does."""
    return read(settings, use_case, run_id).section


def _mapping(value: object, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise IntegrityBroken(f"a mapping in the run's {name}", type(value).__name__, NEW_RUN)
    return value
