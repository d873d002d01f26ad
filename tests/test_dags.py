"""The timetables: they parse lightly, and tell the same order as dvc.yaml and the pipeline."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from ml.pipeline import FILE_STAGES, ROLES, SECRETS, STAGES, UPKEEP, UPKEEP_AFTER
from ml.use_cases import NAMES

PROJECT = Path(__file__).parent.parent
HEAVY = ("tensorflow", "keras", "great_expectations", "pandas", "dvc", "ibis", "boto3", "duckdb")
PLACES = {"tills": "s3://shop-landing/tills", "shop": "postgresql+psycopg2://reader@db.shop.example/shop"}
PARSE_SECONDS = 30  # Airflow's own limit for one file

PROBE = """
import json, runpy, sys
plugins, path, *heavy = sys.argv[1:]
sys.path.insert(0, plugins)
from airflow.sdk import DAG
dags = {name: dag for name, dag in runpy.run_path(path).items() if isinstance(dag, DAG)}
facts = {
    dag.dag_id: {
        "order": [task.task_id for task in dag.topological_sort()],
        "upstream": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "rules": {task.task_id: task.trigger_rule.value for task in dag.tasks},
        "schedule": getattr(dag.timetable, "expression", ""),
        "doc": dag.doc_md,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "owners": sorted({task.owner for task in dag.tasks}),
        "outlets": {task.task_id: [asset.uri for asset in task.outlets] for task in dag.tasks if task.outlets},
        "retries": {task.task_id: task.retries for task in dag.tasks},
        "params": {key: dag.params.get_param(key).schema for key in dag.params},
    }
    for dag in dags.values()
}
print(json.dumps({"heavy": [name for name in heavy if name in sys.modules], "dags": facts}))
"""


@pytest.fixture(scope="module")
def parse(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")

    @cache
    def parsed(name: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, str(PROJECT / "plugins"), str(PROJECT / "dags" / name), *HEAVY],
            env={**os.environ, "AIRFLOW_HOME": str(home), "TRADEWIND_SOURCE_LOCATIONS": json.dumps(PLACES)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PARSE_SECONDS,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return parsed


@pytest.mark.parametrize("name", ["retrain.py", "monitor.py", "release.py", "decide.py", "maintain.py"])
def test_a_dag_file_parses_without_a_heavy_import(parse, name):
    """One DAG a use case, and one for the whole installation."""
    found = parse(name)
    assert found["heavy"] == []
    each = [f"{name.removesuffix('.py')}_{use_case}" for use_case in sorted(NAMES)]
    assert sorted(found["dags"]) == (["maintain"] if name == "maintain.py" else each)
    text = (PROJECT / "dags" / name).read_text().lower()
    assert "airflow" in text
    assert "dag" in text
    assert len(text.splitlines()) <= 60


def test_the_dag_dvc_and_the_pipeline_tell_the_same_order(parse):
    stages = yaml.safe_load((PROJECT / "dvc.yaml").read_text())
    assert tuple(stages["stages"]) == FILE_STAGES
    assert tuple(stages["vars"][0]["use_cases"]) == NAMES
    for dag in parse("retrain.py")["dags"].values():
        asking = ("review", "again", "approve")
        assert tuple(task for task in dag["order"] if task not in asking) == STAGES
        assert dag["order"].index("review") == dag["order"].index("validate") + 1
        assert dag["order"].index("approve") == dag["order"].index("promote") - 1


PEOPLE = ("pending_rules", "approval_required", "ask_approver", "record_answer", "decide", "rerun")
"""What runs because a person is asked, or has answered."""


def test_every_stage_has_a_module_and_an_s3_user():
    assert set(ROLES) == {*STAGES, *PEOPLE, "monitor", "release", "notify"}
    assert all((PROJECT / "ml" / "pipeline" / f"{stage}.py").exists() for stage in STAGES)


def test_maintenance_removes_nothing_beside_a_ledger_that_does_not_verify_and_always_reports(parse):
    (dag,) = parse("maintain.py")["dags"].values()
    assert set(dag["order"]) == set(UPKEEP)
    before = {name: sorted(UPKEEP_AFTER.get(name, ())) for name in UPKEEP if name != "summary"}
    assert dag["upstream"] == {**before, "summary": sorted(before)}
    assert (before["versions"], before["runs"], before["objects"]) == (["audit"], ["versions"], ["runs"])
    assert {name for name, rule in dag["rules"].items() if rule == "all_done"} == {"summary"}
    assert (dag["catchup"], dag["max_active_runs"], dag["owners"]) == (False, 1, ["mlops"])
    assert dag["schedule"] == "40 2 * * *"
    assert dag["params"]["dry_run"]["type"] == "boolean"
    assert all(number >= 1 for number in dag["retries"].values())


def test_a_step_of_maintenance_is_no_stage_and_who_removes_data_holds_no_key():
    assert not set(UPKEEP) & set(ROLES)
    removing = [name for name, role in UPKEEP.items() if role == "retention"]
    assert removing == ["runs", "objects", "reports", "requests"]
    assert not [name for name in removing if name in SECRETS]
    assert SECRETS["versions"] == ("signing_key",)


def test_a_retraining_dag_is_ready_for_people(parse):
    for name, dag in parse("retrain.py")["dags"].items():
        use_case = name.removeprefix("retrain_")
        assert (dag["catchup"], dag["max_active_runs"], dag["owners"]) == (False, 1, ["mlops"])
        assert {"tradewind", use_case} <= set(dag["tags"])
        assert "By hand" in dag["doc"]
        assert dag["outlets"] == {"promote": [f"tradewind://{use_case}/production"]}
        assert all(dag["retries"][stage] >= 1 for stage in STAGES)
        assert dag["params"]["approval"]["enum"] == ["as in params.yaml", "required"]
        assert dag["params"]["as_of"]["format"] == "date"
        overrides = [schema for key, schema in dag["params"].items() if key.startswith("train_")]
        assert overrides
        assert all({"minimum", "exclusiveMinimum"} & set(schema) for schema in overrides)


def test_a_release_asks_what_to_do_with_which_version_where_and_why(parse):
    for name, dag in parse("release.py")["dags"].items():
        assert set(dag["params"]) == {"action", "digest", "channel", "reason"}
        assert dag["params"]["action"]["enum"] == ["rollback", "promote"]
        assert dag["outlets"] == {"release": [f"tradewind://{name.removeprefix('release_')}/production"]}


def test_a_decision_names_its_run_verdict_rule_and_last_day_and_a_run_may_follow(parse):
    for dag in parse("decide.py")["dags"].values():
        assert set(dag["params"]) == {"kind", "run", "verdict", "rule", "until", "rows", "reason"}
        assert dag["order"] == ["decide", "again"]


def test_monitoring_updates_the_asset_that_starts_a_retraining(parse):
    for name, dag in parse("monitor.py")["dags"].items():
        assert dag["outlets"] == {"monitor": [f"tradewind://{name.removeprefix('monitor_')}/drift"]}


def test_the_trigger_form_offers_names_of_places_and_no_address(parse):
    form = parse("retrain.py")["dags"]["retrain_rating"]["params"]
    assert form["source_location"]["examples"] == ["shop", "tills"]
    assert "db.shop.example" not in json.dumps(form)
