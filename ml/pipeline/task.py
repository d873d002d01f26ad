"""What an Airflow task really runs: settings from the environment, then one stage or act."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ml.config import Settings, load_settings
from ml.contract import JsonObject, UseCase
from ml.errors import ConfigInvalid, GateFailed
from ml.files import read_json, sha256_file
from ml.packaging.record import Run
from ml.pipeline import ROLES, STAGES, accepted, frozen, is_run_id, workspace
from ml.pipeline.admission import configured, ensure_places
from ml.pipeline.approval import is_required
from ml.pipeline.decision import ensure_fit, pending
from ml.pipeline.freeze import RunRequest, freeze, project_params, project_section
from ml.space import ensure_free
from ml.store import Bucket
from ml.use_cases import load

CHANNEL = "production"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
ORDER_HOURS = 24
"""How long a person's order counts: whoever may clear a task could carry out an old one that was refused, under that name."""
NOTHING_TO_DO: JsonObject = {"skipped": True}
"""What an act returns that changed nothing: the task is skipped, and emits no asset event."""

OF_STEPS = ("pending_rules", "approval_required", "ask_approver", "record_answer")
"""What the two steps at which a person may be asked have done for them, about their own run."""

NEEDED = {
    "ingest": ("run_id", "as_of"),
    "promote": ("run_id", "who", "why"),
    "monitor": ("as_of",),
    "release": ("target", "who"),
    "decide": ("target", "who"),
    "notify": ("event",),
}
"""What a stage's request must hold; the others need the run alone."""

log = logging.getLogger(__name__)


def run_task(stage: str, use_case_name: str, request: JsonObject) -> JsonObject:
    """Run one stage of one run and return what the next reader needs to know, in a few words.

    Args:
        stage: Name of the stage.
        use_case_name: Name of the use case.
        request: `run_id`, `as_of`, the overrides `source` and `train`, `asks_person`, and `who` asked and `why`.

    Raises:
        ConfigInvalid: There is no such stage, the id is none that a run can have, or belongs to another run.
    """
    settings = load_settings()
    use_case = load(use_case_name)
    if stage not in ROLES:
        raise ConfigInvalid(f"one of the stages {', '.join(ROLES)}", repr(stage), "Correct the name.")
    if missing := [name for name in NEEDED.get(stage, ("run_id",)) if name not in request]:
        raise ConfigInvalid(f"{', '.join(missing)} in the request", "a request without", "Add what is missing.")
    _ensure_run(settings, use_case_name, stage, request)
    act = ACTS.get(stage, _file_stage)
    return act(settings, use_case, {**request, "stage": stage})


def _ensure_run(settings: Settings, use_case: str, stage: str, request: JsonObject) -> None:
    """Refuse a run id that leads elsewhere: who starts a run chooses it, and two of Airflow's ids can be one of ours."""
    run_id, day = request["run_id"], request.get("as_of", "1970-01-01")
    if not is_run_id(run_id):
        raise ConfigInvalid("a run id of letters, digits and . _ ~ = -", repr(run_id), "Start a run with another id.")
    if DAY.fullmatch(day) is None:
        raise ConfigInvalid("an as-of date YYYY-MM-DD", repr(day), "Start a run with another date.")
    if request.get("request") is None or stage not in (*STAGES[1:], *OF_STEPS):
        return
    begun = frozen.inputs(settings, use_case, run_id).get("request")
    if begun not in (None, request.get("run", request["request"])):
        raise ConfigInvalid(f"the run {begun}", request["request"], "Start a run with another id.")


def _file_stage(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    workspace.run_stage(settings, use_case.name, request["run_id"], request["stage"])
    return {"stage": request["stage"]}


def _ingest(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    ensure_free(settings.home, settings.min_free_mb)
    wanted = RunRequest(
        run_id=request["run_id"],
        as_of=date.fromisoformat(request["as_of"]),
        source=request.get("source", {}),
        train=request.get("train", {}),
        asks_person=request.get("asks_person", False),
        is_automatic=request.get("is_automatic", False),
        request=request.get("request"),
    )
    inputs = freeze(settings, use_case, wanted)
    if inputs is None:
        return NOTHING_TO_DO
    listed = configured(settings)
    ensure_places(listed, inputs["source"]["spec"])
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


def _evaluate(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.packaging.judgement import ENVELOPE
    from ml.pipeline import judge

    run_id = request["run_id"]
    with workspace.ran_stage(settings, use_case.name, run_id, "evaluate") as root:
        envelope = judge.sign(settings, use_case.name, run_id, root)
        key = frozen.run_key(use_case.name, run_id, ENVELOPE)
        Bucket.open(settings, "work").put(key, envelope, "application/json")
    return {"stage": "evaluate"}


def _package(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.packaging.oci import Layout
    from ml.pipeline import candidate

    run_id = request["run_id"]
    with workspace.ran_stage(settings, use_case.name, run_id, "package") as root:
        judgement = candidate.judgement_of(settings, use_case.name, root, run_id)
        candidate.ensure_as_judged(judgement, use_case, Layout(candidate.package_of(root, use_case)))
    return {"stage": "package"}


def _pending_rules(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    return pending(settings, use_case.name, request["run_id"])


def _approval_required(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    return {"required": is_required(frozen.section(settings, use_case.name, request["run_id"]))}


def _ask_approver(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import approve

    with _packaged(settings, use_case, request) as root:
        return approve.ask(settings, use_case, root, request)


def _record_answer(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import approve

    with _packaged(settings, use_case, request) as root:
        return approve.record_answer(settings, use_case, root, request)


def _promote(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import promote

    ensure_fit(settings, use_case.name, request["run_id"])
    with _packaged(settings, use_case, request) as root:
        done = promote.run(settings, use_case, root, request)
    log.info("promotion done %s", done["sentence"])
    return done if done["is_new"] else NOTHING_TO_DO


def _release(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import promote

    _ensure_recent(request)
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

    if not request["target"].get("is_answer"):
        _ensure_recent(request)
    done = decide.run(settings, use_case.name, project_section(use_case), request)
    log.info("decision kept %s", done["sentence"])
    return done


def _ensure_recent(request: JsonObject) -> None:
    """Refuse an order that a person gave long ago; one without a time comes from the command line."""
    asked_at = request.get("asked_at")
    if asked_at and datetime.now(UTC) - datetime.fromisoformat(asked_at) > timedelta(hours=ORDER_HOURS):
        raise GateFailed(f"an order of the last {ORDER_HOURS} hours", f"one of {asked_at}", "Give the order again.")


def _rerun(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import decide

    return decide.rerun(settings, use_case.name, project_section(use_case), request["request"]) or NOTHING_TO_DO


def _notify(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import notify

    return {"told": notify.run(settings, use_case.name, request["event"], request, datetime.now(UTC))}


def _monitor(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.pipeline import monitor

    params = project_params(use_case).monitor
    at = datetime.fromisoformat(request["at"]) if "at" in request else None
    done = monitor.run(settings, use_case, params, date.fromisoformat(request["as_of"]), at)
    return done if done["decision"] == "retrain" else NOTHING_TO_DO


def _serve(settings: Settings, use_case: UseCase, request: JsonObject) -> JsonObject:
    from ml.packaging.judgement import HISTORIES
    from ml.pipeline import candidate, serve

    with _workspace(settings, use_case, request) as root:
        data = f"data/{use_case.name}"
        workspace.bring(settings, root, f"{data}/package/version.json", f"{data}/features/histories.parquet")
        digest = read_json(root / data / "package" / "version.json")["digest"]
        if not serve.is_due(settings, use_case.name, request["run_id"], digest):
            return NOTHING_TO_DO
        serve.ensure_promoted(settings, digest, Run.read(root, use_case.name))
        histories = root / data / HISTORIES
        judgement = candidate.judgement_of(settings, use_case.name, root, request["run_id"])
        judgement.ensure(HISTORIES, sha256_file(histories))
        until = date.fromisoformat(read_json(root / "inputs.json")["source"]["last_day"])
        back = serve.is_approved(settings, use_case.name, request["run_id"])
        return serve.run(settings, use_case, digest, histories, until, may_go_back=back)


@contextmanager
def _packaged(settings: Settings, use_case: UseCase, request: JsonObject) -> Iterator[Path]:
    """Give a workspace of the run with the version it packaged."""
    with _workspace(settings, use_case, request) as root:
        workspace.bring(settings, root, f"data/{use_case.name}/package")
        yield root


def _workspace(settings: Settings, use_case: UseCase, request: JsonObject):  # type: ignore[no-untyped-def]  # noqa: ANN202 - Repo has no types
    return workspace.workspace(settings, use_case.name, request["run_id"], request["stage"])


ACTS: dict[str, Callable[[Settings, UseCase, JsonObject], JsonObject]] = {
    "ingest": _ingest,
    "validate": _validate,
    "evaluate": _evaluate,
    "package": _package,
    "pending_rules": _pending_rules,
    "approval_required": _approval_required,
    "ask_approver": _ask_approver,
    "record_answer": _record_answer,
    "promote": _promote,
    "rerun": _rerun,
    "serve": _serve,
    "monitor": _monitor,
    "release": _release,
    "decide": _decide,
    "notify": _notify,
}
