"""Runs all steps of maintenance one after another, each in a process with its own role's secrets, for the command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from ml.contract import JsonObject
from ml.maintenance import summary
from ml.maintenance.outcome import Outcome
from ml.pipeline import RESULT, UPKEEP, UPKEEP_AFTER
from ml.stack import up as stack
from ml.stack.role_secrets import split, stage_command, stage_environment

OUTPUT_TAIL = 3  # lines of a step that failed


def conduct(home: Path, tell: Callable[[str], None], *, is_trial: bool) -> JsonObject:
    """Run every step whose predecessors succeeded, and return the report.

    Args:
        home: Folder of the embedded stack; where TRADEWIND_SECRETS names secrets, these and the environment are used instead.
        tell: Receives the name of each step as it begins.
        is_trial: Remove, write and send nothing.
    """
    place, given = _secrets(home)
    outcomes: dict[str, JsonObject] = {}
    for name in UPKEEP:
        if any(one not in outcomes or outcomes[one]["faults"] for one in UPKEEP_AFTER.get(name, ())):
            continue
        tell(name)
        request = {"is_trial": is_trial} | ({"outcomes": outcomes} if name == summary.STEP else {})
        outcomes[name] = _run(name, request, stage_environment(name, place, given))
    return outcomes[summary.STEP]


def _secrets(home: Path) -> tuple[Path, Mapping[str, str]]:
    """Return where the roles' secrets are, and the environment of who starts the steps."""
    if "TRADEWIND_SECRETS" in os.environ:
        return Path(os.environ["TRADEWIND_SECRETS"]), os.environ
    known = stack.load(home)
    place = known.home / "secrets"
    if not (place / "retention.json").exists():  # `up` writes them
        split(known.secrets, place)
    return place, {**os.environ, **known.variables()}


def _run(name: str, request: JsonObject, environment: Mapping[str, str]) -> JsonObject:
    command = stage_command(name, "", request)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    told = [line.removeprefix(RESULT) for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if done.returncode == 0 and told:
        found: JsonObject = json.loads(told[-1])
        return found
    seen = " ".join(done.stderr.strip().splitlines()[-OUTPUT_TAIL:])
    return Outcome(step=name, faults=[f"The step `{name}` ended with code {done.returncode}: {seen}"]).to_json()
