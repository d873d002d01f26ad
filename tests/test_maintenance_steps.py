"""The rest of maintenance: Airflow's database and logs, this machine, the report, the message, the command, and being killed."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from ml.cli.main import call
from ml.config import Settings
from ml.environment import inherited
from ml.errors import ServiceUnavailable
from ml.maintenance import airflow, machine, summary
from ml.maintenance.outcome import Outcome
from ml.maintenance.step import run_step
from ml.pipeline import UPKEEP
from ml.pipeline.ledger_audit import audit
from ml.stack import airflow as orchestrator
from ml.stack.certificate import private_authority
from ml.stack.process import free_port
from ml.stack.role_secrets import split
from ml.stack.worker import LONGEST
from ml.store import Bucket
from tests.conftest import running_store
from tests.maintained_shop import LATER, SHOP, Shop
from tests.promotable_run import PROJECT, environment_of
from tests.receivers import chat_receiver

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
OLD, YOUNG = NOW - timedelta(days=91), NOW - timedelta(days=89)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Airflow's own database, made by Airflow."""
    home = tmp_path_factory.mktemp("airflow-home")
    (home / "airflow").mkdir()
    held = {
        **inherited(os.environ),
        "AIRFLOW_HOME": str(home / "scratch"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow' / 'airflow.db'}",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=held, check=True, capture_output=True)
    return home


def fill(home):
    with closing(sqlite3.connect(home / "airflow" / "airflow.db")) as known:
        known.execute("delete from log")
        known.executemany(
            "insert into log (dttm, event, run_id) values (?, 'x', ?)",
            [(OLD.replace(tzinfo=None).isoformat(" "), "old"), (YOUNG.replace(tzinfo=None).isoformat(" "), "young")],
        )
        known.commit()


def logged(home):
    with closing(sqlite3.connect(home / "airflow" / "airflow.db")) as known:
        tables = {name for (name,) in known.execute("select name from sqlite_master where type = 'table'")}
        assert not [name for name in tables if name.startswith("_airflow_deleted")]
        return [run for (run,) in known.execute("select run_id from log where event = 'x' order by run_id")]


def aged(path, moment, text="x" * 10):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    return path


def test_airflows_database_and_task_logs_go_by_age(database):
    fill(database)
    logs = database / "airflow" / "logs"
    old = aged(logs / "dag_id=retrain" / "run_id=one" / "task_id=train" / "attempt=1.log", OLD)
    young = aged(logs / "dag_id=retrain" / "run_id=two" / "attempt=1.log", YOUNG)
    link = logs / "latest"
    link.unlink(missing_ok=True)
    link.symlink_to(aged(database / "elsewhere.log", OLD))
    settings = Settings(home=database)
    trial = airflow.run(settings, NOW, is_trial=True)
    found = [(one.kind, one.number, one.size) for one in trial.removed]
    assert found == [("rows of Airflow's database", 1, 0), ("Airflow's logs", 1, 10)]
    assert (logged(database), old.exists()) == (["old", "young"], True)
    done = airflow.run(settings, NOW, is_trial=False)
    assert done.removed == trial.removed
    assert logged(database) == ["young"]
    assert not old.parent.parent.exists()  # the folders of the run are empty
    assert young.exists()
    assert (link.is_symlink(), (database / "elsewhere.log").exists()) == (True, True)


def test_a_database_elsewhere_is_named_and_its_address_is_never_told(tmp_path):
    done = airflow.run(Settings(home=tmp_path), NOW, is_trial=False)
    (warning,) = done.warnings
    assert "TRADEWIND_AIRFLOW_DATABASE" in warning
    url = f"sqlite:////nonexistent/{'secret-word'}/airflow.db"
    with pytest.raises(ServiceUnavailable) as refused:
        airflow.run(Settings(home=tmp_path, airflow_database=url), NOW, is_trial=False)
    assert "secret-word" not in str(refused.value)


def test_a_certificate_that_ends_soon_is_a_warning_with_the_remedy(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "tls.pem").write_text(private_authority("store"))
    settings = Settings(home=tmp_path, min_free_mb=0)
    begun = datetime.now(UTC)
    fine = machine.run(settings, begun + timedelta(days=3600), is_trial=True)
    assert fine.warnings == []
    assert any("tls.pem holds for" in note for note in fine.notes)
    (warning,) = machine.run(settings, begun + timedelta(days=3630), is_trial=True).warnings
    assert "tls.pem ends on" in warning
    assert "tradewind up" in warning
    (tmp_path / "store" / "tls.pem").write_text("not a certificate")
    (warning,) = machine.run(settings, begun, is_trial=True).warnings
    assert "could not be read" in warning


def test_too_little_room_is_a_warning_and_old_files_of_this_machine_go(tmp_path):
    logs = tmp_path / "run" / "logs"
    moments = {"scheduler.log": OLD, "scheduler.log.1": OLD, "scheduler.log.2": NOW - timedelta(days=29)}
    paths = {name: aged(logs / name, moment) for name, moment in moments.items()}
    cache = aged(tmp_path / "cache" / "dvc" / "files" / "md5" / "ab" / "cd", NOW - timedelta(days=31), "x" * 7)
    dead = tmp_path / "work" / SHOP / "run" / "train.4194303"
    dead.mkdir(parents=True)
    settings = Settings(home=tmp_path, min_free_mb=1_000_000)
    trial = machine.run(settings, NOW, is_trial=True)
    assert all(path.exists() for path in (*paths.values(), cache, dead))
    done = machine.run(settings, NOW, is_trial=False)
    assert done.removed == trial.removed
    assert [(one.number, one.size) for one in done.removed] == [(1, 10), (1, 7)]
    assert {name for name, path in paths.items() if path.exists()} == {"scheduler.log", "scheduler.log.2"}
    assert not cache.exists()
    assert not dead.exists()
    (warning,) = done.warnings
    assert "TRADEWIND_MIN_FREE_MB" in warning


def outcomes(**sentences):
    made = {name: Outcome(step=name) for name in UPKEEP if name != "summary"}
    made["requests"].count("files of the request log", [1024, 2048])
    made["audit"].notes.append("toy: 2 ledger entries hold")
    made["machine"].warnings += sentences.get("warnings", [])
    made["audit"].faults += sentences.get("faults", [])
    return {name: one.to_json() for name, one in made.items()}


def test_the_report_tells_all_steps_escapes_what_it_quotes_and_runs_no_script():
    report = summary.compose(outcomes(warnings=["<script>alert(1)</script>"]), NOW, is_trial=False)
    page = summary.render(report)
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "Done, with warnings" in page
    assert "3.0 KiB" in page
    assert "toy: 2 ledger entries hold" in page
    assert report["removed"] == [{"step": "requests", "kind": "files of the request log", "number": 2, "size": 3072}]
    missing = {name: one for name, one in outcomes().items() if name != "objects"}
    (fault,) = summary.compose(missing, NOW, is_trial=False)["faults"]
    assert "`objects`" in fault


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1,023 B"), (1536, "1.5 KiB"), (5 * 1024**5, "5,120.0 TiB")]
)
def test_a_size_is_told_with_its_unit(size, text):
    assert summary.readable(size) == text


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with running_store(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_people_are_notified_once_of_what_failed_or_warns_and_not_of_what_is_in_order(store):
    with chat_receiver() as (address, texts):
        held = store.settings("train", notify_webhook=address, airflow_url="https://shop.example")
        for told in ({}, {"warnings": ["The certificate ends."]}, {"warnings": ["The certificate ends."]}):
            summary.publish(held, summary.compose(outcomes(**told), NOW, is_trial=False), NOW)
        assert len(texts) == 1
        summary.publish(held, summary.compose(outcomes(faults=["toy: cut."]), NOW, is_trial=False), NOW)
    assert texts[0].splitlines() == [
        "maintenance: warnings",
        "- Maintenance of 2026-11-25: 0 faults, 1 warnings.",
        "- The certificate ends.",
        "- What is live did not change.",
        "What to do: follow the remedies in the report.",
        "https://shop.example/tradewind/maintenance/2026-11-25",
    ]
    assert texts[1].startswith("maintenance: failed")
    reports = Bucket.open(store.settings("read"), "reports")
    assert json.loads(reports.get("maintenance/2026-11-25/report.json"))["faults"] == ["toy: cut."]
    assert b"toy: cut." in reports.get("maintenance/2026-11-25/report.html")
    unheard = store.settings("train", notify_webhook=f"http://127.0.0.1:{free_port()}/hook")
    summary.publish(unheard, summary.compose(outcomes(faults=["toy: cut again."]), NOW, is_trial=False), NOW)


@pytest.fixture
def shop(store, tmp_path):
    made = Shop(store, tmp_path)
    for bucket, key in made.stored():
        made.bucket(bucket).delete(key)
    return made


def test_killed_at_any_step_it_goes_on_at_the_next_try(shop, store):
    for name in ("one", "two"):
        shop.run(name)
    time.sleep(1.1)  # a listing tells seconds
    shop.run("live")
    shop.promote(1, ingested=shop.output("live").md5, run_id="live")
    for name in ("one", "two"):
        shop.bucket("reports").put(f"{SHOP}/{name}/validate/quarantine.json", b"{}")
    names = ("access_key", "secret_key")
    environment = {
        **environment_of(store.settings("promote")),
        **{f"TRADEWIND_S3_{name.upper()}": store.secrets[f"s3_retention_{name}"] for name in names},
        **{"TRADEWIND_S3_ROLE": "retention", "TRADEWIND_KEEP_RUNS": "1"},
    }
    del environment["TRADEWIND_SIGNING_KEY"]
    job = {"act": "maintain", "name": SHOP, "now": (datetime.now(UTC) + LATER).isoformat()}
    command = [sys.executable, "-m", "tests.killed_child"]
    options = {"env": environment, "cwd": PROJECT, "text": True}
    killed = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        for fatal in (*range(60, 400, 40), None):
            process.stdin.write(json.dumps({"fatal": fatal, **job}) + "\n")
            process.stdin.flush()
            killed += json.loads(process.stdout.readline())["killed"]
            assert shop.reads("live") == 6
        process.stdin.close()
    assert audit(store.settings("read"), SHOP).entries == 1
    assert killed >= 4
    assert not [key for key in shop.keys("runs", f"{SHOP}/") if "/live/" not in key and "profiles" not in key]
    assert len(shop.keys("raw")) == 4  # the rows, two lists, and the file that all runs have
    assert len(shop.keys("work", "dvc/")) == 3
    assert shop.keys("reports", f"{SHOP}/one/") == []


def test_the_command_runs_each_step_as_its_own_role_and_writes_the_report(shop, store, capfd):
    shop.promote(1)
    requests = Bucket.open(store.settings("serve"), "requests")
    requests.put(f"requests/{SHOP}/2020-01-01/1-a-b.jsonl", b"{}")
    told = {name: free_port() for name in ("airflow_port", "server_port", "health_port")}
    told |= {"s3_port": int(store.endpoint.rpartition(":")[2]), "prefix": "tradewind"}
    (store.home / "stack.json").write_text(json.dumps(told))
    before = shop.stored()
    assert call(["maintain", "--dry-run", "--home", str(store.home)]) == 0
    assert shop.stored() == before
    out = capfd.readouterr().out
    assert "would go" in out
    assert "TRADEWIND_AIRFLOW_DATABASE" in out
    assert call(["maintain", "--home", str(store.home)]) == 0
    assert shop.keys("requests") == []
    (day,) = {key.split("/")[1] for key in shop.keys("reports", "maintenance/")}
    report = json.loads(shop.bucket("reports").get(f"maintenance/{day}/report.json"))
    assert {one["step"] for one in report["removed"]} == {*UPKEEP} - {"audit", "summary"}
    assert report["faults"] == []
    held = audit(store.settings("read"), SHOP)
    sentence = f"{SHOP}: {held.entries} ledger entries and {held.documents} documents hold"
    assert {"step": "audit", "sentence": sentence} in report["notes"]


def test_a_ledger_that_does_not_hold_ends_the_removal(shop, store, monkeypatch):
    shop.promote(1)
    shop.bucket("ledger").put(f"{SHOP}/00000001.json", b"{}")
    for name, value in environment_of(store.settings("promote")).items():
        if name.startswith("TRADEWIND_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("TRADEWIND_S3_ACCESS_KEY", store.secrets["s3_read_access_key"])
    monkeypatch.setenv("TRADEWIND_S3_SECRET_KEY", store.secrets["s3_read_secret_key"])
    (fault,) = run_step("audit", {})["faults"]
    assert fault.startswith(f"{SHOP}: ")


def test_the_dag_in_a_real_airflow_removes_nothing_a_broken_ledger_may_name_and_still_reports(shop, store, database):
    shop.promote(1)
    shop.run("old")
    shop.bucket("ledger").put(f"{SHOP}/00000001.json", b"{}")
    requests = Bucket.open(store.settings("serve"), "requests")
    requests.put(f"requests/{SHOP}/2020-01-01/1-a-b.jsonl", b"{}")
    before = {one: tag for one, tag in shop.stored().items() if one[0] in ("models", "runs", "raw", "work")}
    held = {
        **inherited(os.environ),
        **orchestrator.environment(database, free_port(), store.secrets),
        "TRADEWIND_HOME": str(database),
        "TRADEWIND_S3_ENDPOINT": store.endpoint,
        "TRADEWIND_SECRETS": str(split(store.secrets, database / "secrets")),
    }
    for words in (["reserialize"], ["test", "maintain"]):
        command = [sys.executable, "-m", "airflow", "dags", *words]
        subprocess.run(command, env=held, cwd=database, capture_output=True, check=False, timeout=600)
    assert shop.keys("requests") == []
    (key,) = [one for one in shop.keys("reports", "maintenance/") if one.endswith("report.json")]
    faults = json.loads(shop.bucket("reports").get(key))["faults"]
    assert faults[0].startswith(f"{SHOP}: ")
    assert [name for name in UPKEEP if any(f"`{name}`" in one for one in faults)] == [
        *("versions", "runs", "objects", "reports"),
    ]
    assert {one: tag for one, tag in shop.stored().items() if one in before} == before


@pytest.mark.parametrize("letter", ["f", "店", "🚲"])
def test_the_accounts_of_all_steps_fit_the_report_s_request_however_much_went_wrong(letter):
    told = {
        name: Outcome(step=name, **{kind: [letter * 5000] * 300 for kind in ("notes", "warnings", "faults")}).to_json()
        for name in UPKEEP
    }
    assert len(json.dumps({"is_trial": False, "outcomes": told})) < LONGEST
    assert all("more; see the step's log" in one["faults"][-1] for one in told.values())
    few = Outcome(step="runs", faults=[letter * 200] * 2)
    assert few.to_json()["faults"] == few.faults
