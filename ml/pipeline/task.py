"""What an Airflow task and a DVC stage really run: settings from the environment, then one stage."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path

import yaml

from ml.config import Settings, load_settings
from ml.contract import JsonObject, UseCase
from ml.errors import ConfigInvalid, GateFailed
from ml.files import read_json
from ml.packaging.record import Run
from ml.pipeline import FILE_STAGES, ROLES, accepted, workspace
from ml.pipeline.admission import admitted, configured
from ml.pipeline.context import StageContext
from ml.pipeline.decision import ensure_fit
from ml.pipeline.freeze import RunRequest, freeze, project_section, typed_params
from ml.use_cases import load

CHANNEL = "production"
NOTHING_TO_DO: JsonObject = {"skipped": True}
"""What an act returns that changed nothing: the task is skipped, and emits no asset event."""

log = logging.getLogger(__name__)


def run_file_stage(stage: str, use_case_name: str) -> None:
    """Run one file-to-file stage in the current folder, which is a run's workspace.

    Raises:
        ConfigInvalid: There is no such stage, or the folder is no workspace.
    """
    if stage not in FILE_STAGES:
        raise ConfigInvalid(f"one of the stages {', '.join(FILE_STAGES)}", repr(stage), "Correct the name.")
    root = Path.cwd()
    use_case = load(use_case_name)
    section = yaml.safe_load((root / "params.yaml").read_text())[use_case_name]
    context = StageContext(
        use_case=use_case,
        params=typed_params(use_case, section),
        inputs=read_json(root / "inputs.json"),
        settings=load_settings(),
        root=root,
    )
    for folder in (context.data(stage), context.reports(stage)):
        folder.mkdir(parents=True, exist_ok=True)
    import_module(f"ml.pipeline.{stage}").run(context)


def run_task(stage: str, use_case_name: str, request: JsonObject) -> JsonObject:
    """Run one stage of one run and return what the next reader needs to know, in a few words.

    Args:
        stage: Name of the stage.
        use_case_name: Name of the use case.
        request: `run_id`, `as_of`, the overrides `source` and `train`, `asks_person`, and `who` asked and `why`.
    """
    settings = load_settings()
    use_case = load(use_case_name)
    if stage not in ROLES:
        raise ConfigInvalid(f"one of the stages {', '.join(ROLES)}", repr(stage), "Correct the name.")
    act = ACTS.get(stage, _file_stage)
    return act(settings, use_case, {**request, "stage": stage})


def _file_stage(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    workspace.run_stage(settings, use_case.name, request["run_id"], request["stage"])
    return {"stage": request["stage"]}


def _ingest(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    wanted = RunRequest(
        run_id=request["run_id"],
        as_of=date.fromisoformat(request["as_of"]),
        source=request.get("source", {}),
        train=request.get("train", {}),
        asks_person=request.get("asks_person", False),
    )
    inputs = freeze(settings, use_case, wanted)
    listed = configured(settings)
    admitted(listed, inputs["source"]["spec"])
    os.environ["TRADEWIND_SOURCE_LOCATIONS"] = json.dumps(
        dict(listed.source_locations)
    )  # the stage's process asks again
    log.info("inputs frozen as_of=%s data=%s", inputs["as_of"]["requested"], inputs["source"]["digest"])
    return _file_stage(settings, use_case, request)


def _validate(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    done = _file_stage(settings, use_case, request)
    if request.get("is_rebuild"):
        return done  # what an old run accepted is not what the next one compares with
    with _workspace(settings, use_case, request) as root:
        profile = f"data/{use_case.name}/validate/profile.json"
        workspace.bring(settings, root, profile)
        accepted.accept(settings, use_case.name, request["run_id"], (root / profile).read_bytes())
    return done


def _promote(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import promote

    ensure_fit(settings, use_case.name, request["run_id"])
    with _workspace(settings, use_case, request) as root:
        workspace.bring(settings, root, f"data/{use_case.name}/package")
        done = promote.run(settings, use_case, root, request)
    log.info("promotion done %s", done["sentence"])
    return done if done["is_new"] else NOTHING_TO_DO


def _release(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import promote

    target, who = request["target"], request["who"]
    operators = settings.operator_names()
    if operators and who not in operators:
        raise GateFailed(f"a move by one of {', '.join(sorted(operators))}", f"one by {who}", "Ask an operator.")
    order = promote.Order(
        digest=target["digest"],
        who=who,
        reason=target["reason"],
        channel=target.get("channel", CHANNEL),
        request=request.get("request"),
    )
    act = {"rollback": promote.rollback, "promote": promote.promote_again}[target.get("action", "rollback")]
    done = act(settings, use_case, order)
    log.info("release done %s", done.sentence)
    return asdict(done) if done.is_new else NOTHING_TO_DO


def _decide(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import decide

    done = decide.run(settings, use_case.name, project_section(use_case), request)
    log.info("decision kept %s", done["sentence"])
    return done


def _notify(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import notify

    return {"told": notify.run(settings, use_case.name, request["event"], request, datetime.now(UTC))}


def _monitor(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import monitor

    params = typed_params(use_case, project_section(use_case)).monitor
    at = datetime.fromisoformat(request["at"]) if "at" in request else None
    done = monitor.run(settings, use_case, params, date.fromisoformat(request["as_of"]), at)
    return done if done["decision"] == "retrain" else NOTHING_TO_DO


def _serve(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import serve
    from ml.pipeline.approval import heard

    approval = heard(settings, request.get("approval"))
    if approval is not None and not approval.is_approved:
        return NOTHING_TO_DO
    with _workspace(settings, use_case, request) as root:
        data = f"data/{use_case.name}"
        workspace.bring(settings, root, f"{data}/package/version.json", f"{data}/features/histories.parquet")
        digest = read_json(root / data / "package" / "version.json")["digest"]
        serve.ensure_promoted(settings, digest, Run.read(root, use_case.name))
        as_of = date.fromisoformat(read_json(root / "inputs.json")["as_of"]["data"])
        return serve.run(settings, use_case, digest, root / data / "features" / "histories.parquet", as_of)


def _workspace(settings: Settings, use_case: UseCase, request: JsonObject):  # type: ignore[no-untyped-def]  # noqa: ANN202
    return workspace.workspace(settings, use_case.name, request["run_id"], request["stage"])


ACTS: dict[str, Callable[[Settings, UseCase, JsonObject], JsonObject]] = {
    "ingest": _ingest,
    "validate": _validate,
    "promote": _promote,
    "serve": _serve,
    "monitor": _monitor,
    "release": _release,
    "decide": _decide,
    "notify": _notify,
}
