"""Reads what a run was frozen on, for what acts outside its workspace."""

from __future__ import annotations

import json

import yaml

from ml.config import Settings
from ml.contract import JsonObject
from ml.store import Bucket


def inputs(settings: Settings, use_case: str, run_id: str) -> JsonObject:
    """Return a run's `inputs.json`; raise `ModelNotFound` if nothing was frozen."""
    found: JsonObject = json.loads(Bucket.open(settings, "runs").get(f"{use_case}/{run_id}/inputs.json"))
    return found


def section(settings: Settings, use_case: str, run_id: str) -> JsonObject:
    """Return the parameters a run was frozen with, overrides included; raise as `inputs` does."""
    found: JsonObject = yaml.safe_load(Bucket.open(settings, "runs").get(f"{use_case}/{run_id}/params.yaml"))[use_case]
    return found
