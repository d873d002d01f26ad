"""Searches better training parameters on `valid`, within a budget; each trial is kept, so that a search goes on later.

Acts on the features of the run that is live and never sees its test rows. It changes nothing: what it finds is for a
person to put into `params.yaml`.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.errors import ConfigInvalid, ModelNotFound, StageFailed
from ml.files import canonical, read_json, sha256, sha256_file
from ml.parameter import Section
from ml.pipeline import RESULT, workspace
from ml.pipeline.context import typed_params
from ml.pipeline.freeze import PRODUCTION, project_params, project_section
from ml.pipeline.place import PROJECT
from ml.registry import ledger

if TYPE_CHECKING:
    import optuna

SEEN = ("train.parquet", "valid.parquet", "state.json")
"""What a trial may look at."""
STUDY = "study.db"
SEED = 20260101

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When a search ends, whichever comes first."""

    trials: int
    minutes: float


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One set of parameters and what it gave on `valid`."""

    number: int
    value: float | None
    """Of the primary metric; none where the training failed."""
    params: JsonObject


def bring(settings: Settings, use_case: UseCase, home: Path) -> Path:
    """Return a folder with the examples of the run that is live, without its test rows.

    Raises:
        ModelNotFound: Nothing is live, or a person put it back by hand, so that no run belongs to it.
    """
    live = ledger.live(settings, use_case.name, PRODUCTION)
    if live is None or live.run_id is None:
        raise ModelNotFound(f"a run of {use_case.name} whose version is live", "none", "Retrain first: `make run`.")
    with workspace.version_workspace(settings, use_case.name, live, "tune") as root:
        features = f"data/{use_case.name}/features"
        workspace.bring(settings, root, features)
        mark = sha256(canonical({name: sha256_file(root / features / name) for name in SEEN}))
        folder = home / "tune" / use_case.name / mark.removeprefix("sha256:")[:16]
        folder.mkdir(parents=True, exist_ok=True)
        for name in SEEN:
            shutil.copyfile(root / features / name, folder / name)
    return folder


def search(use_case: UseCase, folder: Path, budget: Budget, tell: Callable[[Tried], None]) -> list[Tried]:
    """Try parameters until the budget is used up, and return all that were ever tried on these examples, best first.

    The first trial is what `params.yaml` says. Trials go on from those kept in the folder.

    Args:
        use_case: The record.
        folder: Holds `SEEN`; keeps the study.
        budget: Of this call; trials of earlier calls do not count.
        tell: Receives each trial as it ends.

    Raises:
        ConfigInvalid: The use case names no parameter to search.
    """
    import optuna

    space = searched_fields(use_case)
    current = project_section(use_case)["train"]
    typed = project_params(use_case).train.model_dump()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(use_case, folder)
    if not study.trials:
        study.enqueue_trial({name: typed[name] for name in space})
    deadline = time.monotonic() + budget.minutes * 60
    for _ in range(budget.trials):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        trial = study.ask()
        params = {name: _suggest(trial, name, field) for name, field in space.items()}
        value = _measure(use_case.name, folder, {**current, **params}, left)
        study.tell(trial, value, state=None if value is not None else optuna.trial.TrialState.FAIL)
        tell(Tried(number=trial.number, value=value, params=params))
    return _ranked(use_case, study)


def try_once(use_case: UseCase, folder: Path, train: JsonObject) -> float:
    """Train once in this process and return the primary metric on `valid` of what training chose.

    Args:
        use_case: The record.
        folder: Holds `SEEN`.
        train: Section `train` of the parameters.
    """
    import pandas as pd

    params = typed_params(use_case, {**project_section(use_case), "train": train}).train
    splits = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "valid")}
    with tempfile.TemporaryDirectory() as out:
        summary = use_case.model.train(splits, read_json(folder / "state.json"), params, Path(out))
    return float(summary["valid"][summary["chosen"]][use_case.judgement.primary])


def searched_fields(use_case: UseCase) -> dict[str, tuple[type, Mapping[str, Any]]]:
    """Return the training parameters that may be varied: type, and `low`, `high`, `log`.

    Raises:
        ConfigInvalid: There is none.
    """
    section: type[Section] = use_case.params.model_fields["train"].annotation  # type: ignore[assignment]  # UseCaseParams says so
    extras = {name: field.json_schema_extra for name, field in section.model_fields.items()}
    found = {
        name: (int if section.model_fields[name].annotation is int else float, extra["search"])
        for name, extra in extras.items()
        if isinstance(extra, dict) and "search" in extra
    }
    if not found:
        raise ConfigInvalid("parameters marked by `searched`", "none", f"Mark some in {section.__name__}.")
    return found  # type: ignore[return-value]  # each extra is a mapping that has `search`


def _study(use_case: UseCase, folder: Path) -> optuna.Study:
    import optuna

    kept = optuna.storages.RDBStorage(f"sqlite:///{folder / STUDY}")
    metric = use_case.judgement.metric(use_case.judgement.primary)
    sampler = optuna.samplers.TPESampler(seed=SEED)
    direction: Literal["maximize", "minimize"] = "maximize" if metric.higher_is_better else "minimize"
    return optuna.create_study(
        storage=kept, sampler=sampler, study_name=use_case.name, direction=direction, load_if_exists=True
    )


def _suggest(trial: optuna.Trial, name: str, field: tuple[type, Mapping[str, Any]]) -> float | int:
    kind, limits = field
    if kind is int:
        return trial.suggest_int(name, int(limits["low"]), int(limits["high"]), log=limits["log"])
    return trial.suggest_float(name, limits["low"], limits["high"], log=limits["log"])


def _measure(use_case: str, folder: Path, train: JsonObject, seconds: float) -> float | None:
    """Train in a process of its own, which ends with its memory; none where it failed or ran out of time."""
    command = [sys.executable, "-m", "ml", "trial", use_case, "--folder", str(folder), "--train", json.dumps(train)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds, cwd=PROJECT)
    except subprocess.TimeoutExpired:
        log.warning("trial out of time use_case=%s seconds=%.0f: give more minutes", use_case, seconds)
        return None
    except subprocess.CalledProcessError as error:
        log.warning("trial failed use_case=%s params=%s: %s", use_case, train, str(error.stderr)[-500:])
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith(RESULT)]
    if not lines:
        raise StageFailed("a trial to tell its figure", "none", "Look at the use case's `train`.")
    return float(lines[-1].removeprefix(RESULT))


def _ranked(use_case: UseCase, study: optuna.Study) -> list[Tried]:
    tried = [Tried(number=one.number, value=one.value, params=dict(one.params)) for one in study.trials]
    sign = use_case.judgement.metric(use_case.judgement.primary).sign
    known = [one for one in tried if one.value is not None]
    return [*sorted(known, key=lambda one: -sign * (one.value or 0.0)), *(one for one in tried if one.value is None)]
