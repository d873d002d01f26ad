"""The whole flow through a real Airflow: a task killed in every stage is retried and ends in the same digests."""

import io
import json
import subprocess
import sys
import time
from base64 import b64decode
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from ml.cli.main import app
from ml.config import Settings
from ml.errors import IntegrityBroken
from ml.packaging import artifact
from ml.packaging.judgement import ENVELOPE, JUDGEMENT_TYPE
from ml.packaging.signing import Signer, generate_key
from ml.pipeline import STAGES, approve, frozen, promote, storage_id
from ml.pipeline.decision import judged
from ml.pipeline.freeze import RunRequest, freeze
from ml.pipeline.place import PROJECT
from ml.pipeline.workspace import bring, workspace
from ml.registry import ledger
from ml.registry.fetch import fetch_document
from ml.stack import summary
from ml.stack import up as stack
from ml.stack.airflow import passwords
from ml.stack.orchestrator import ENDED, Orchestrator
from ml.stack.process import free_port
from ml.store import Bucket
from ml.use_cases import load
from tests.at_browser import answer, order, signed_in, trigger
from tests.flow_steps import Killer, api, await_end, await_question, await_state, clear, place_of, say, steering
from tests.judged_run import signed
from tests.receivers import chat_receiver, mail_receiver
from tests.sample_shop import land
from tests.stored_bytes import files, holders, objects

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

AS_OF = "2026-06-30"
NUMBER = "-zx81-planted"
PLANTED = (NUMBER, "anna.k@planted.example, 4111 1111 1111 1111", "Anna Kowalska, +49 171 2345678")
"""Part of every customer's number, and what stands in columns that are dropped."""
ANSWER_SECONDS = 30
"""How long a step waits for a person."""
AGE = "ratings.age_of_a_person"
REVIEWED = "manual__reviewed"
"""The run of `rating` that asks a data owner."""


@pytest.fixture(scope="module")
def landing_zone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    tables = load("recommend").data.sample(np.random.default_rng(11), 260)
    for name in ("purchases", "customers"):
        tables[name] = tables[name].assign(customer_id=tables[name].customer_id + NUMBER)
    hidden = tables["customers"].assign(home_ownership=PLANTED[1], marital_status=PLANTED[2])
    land(folder, {**tables, "customers": hidden})
    return folder


@pytest.fixture(scope="module")
def chat():
    with chat_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mail():
    with mail_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def running(tmp_path_factory, chat, mail):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for part in ("S3", "AIRFLOW", "SERVER"):
            patch.setenv(f"TRADEWIND_{part}_PORT", str(free_port()))
        patch.setenv("TRADEWIND_POLL_SECONDS", "0.5")
        patch.setenv("TRADEWIND_SOURCE_LOCATIONS", json.dumps({"landed": str(tmp_path_factory.getbasetemp())}))
        patch.setenv("TRADEWIND_APPROVERS", "admin,ada")
        patch.setenv("TRADEWIND_ANSWER_HOURS", str(ANSWER_SECONDS / 3600))
        patch.setenv("TRADEWIND_NOTIFY_WEBHOOK", chat[0])
        patch.setenv("TRADEWIND_NOTIFY_SMTP", mail[0])
        patch.setenv("TRADEWIND_NOTIFY_TO", "olga@shop.example")
        try:
            yield stack.up(home, lambda line: None)
        finally:
            stack.down(home)


def test_killed_in_every_stage_and_approved_the_run_ends_live_and_served(running, landing_zone, capsys):
    killer = Killer(running.home)
    killer.start()
    orchestrator = steering(running)
    conf = {"source": "files", "source_location": str(landing_zone), "as_of": AS_OF, "train_epochs": 2}
    run_id = orchestrator.trigger("retrain_recommend", {**conf, "approval": "required"})
    with api(running) as http, api(running, "owner") as owner:
        shown = await_question(http, place_of(run_id, "approve"))
        assert say(owner, place_of(run_id, "approve"), "Approve", reason="I am the owner") == 403
        assert say(http, place_of(run_id, "approve"), "Approve", reason="figures look right") == 200
    state = await_end(orchestrator, run_id)
    killer.stop.set()
    tasks = orchestrator.tasks("retrain_recommend", run_id)
    failed = [task for task in tasks.values() if task.state == "failed"]
    logs = "\n".join("\n".join(orchestrator.log("retrain_recommend", run_id, t.name, t.tries)[-30:]) for t in failed)
    assert state == "success", logs
    assert set(killer.killed) == set(STAGES)
    assert all(tasks[stage].tries >= 2 for stage in STAGES)

    reader = running.settings("read")
    now = ledger.live(reader, "recommend", "production")
    assert now is not None
    assert ledger.verify_ledger(reader, "recommend") == 3

    assert {user["id"] for user in shown["assigned_users"]} == {"admin", "ada"}
    assert f"/tradewind/gate/recommend/{storage_id(run_id)}" in shown["body"]
    question, answer, entry = ledger.history(reader, "recommend")
    assert [one.action for one in (question, answer, entry)] == ["ask", "approve", "promote"]
    assert {one.to_digest for one in (question, answer, entry)} == {now.digest}
    assert now.digest in shown["body"]
    assert (answer.who, answer.why, answer.gate) == ("admin", "figures look right", now.gate)
    assert (entry.approval["by"], entry.approval["reason"]) == ("admin", "figures look right")

    summary.show(Console(), running, "recommend", run_id)
    shown = capsys.readouterr().out
    assert now.digest in shown
    assert "POST" in shown


def test_a_rejection_is_in_the_ledger_and_moves_nothing(running):
    orchestrator, reader = steering(running), running.settings("read")
    before = ledger.live(reader, "recommend", "production")
    (run_id,) = orchestrator.runs("retrain_recommend")
    with api(running) as http:
        clear(http, run_id, "approve")
        await_question(http, place_of(run_id, "approve"))
        assert say(http, place_of(run_id, "approve"), "Reject", reason="too many teas") == 200
    assert await_end(orchestrator, run_id) == "success"
    states = {name: task.state for name, task in orchestrator.tasks("retrain_recommend", run_id).items()}
    assert (states["promote"], states["serve"]) == ("skipped", "skipped")
    entry = ledger.history(reader, "recommend")[-1]
    assert (entry.action, entry.who, entry.why) == ("reject", "admin", "too many teas")
    assert ledger.live(reader, "recommend", "production") == before


def forge(http: httpx.Client, place: str) -> None:
    """Mark the approval step as done, with the result that Airflow would keep of an approval by the administrator."""
    said = {
        "chosen_options": ["Approve"],
        "params_input": {"reason": "figures look right"},
        "responded_at": datetime.now(UTC).isoformat(),
        "responded_by_user": {"id": "admin", "name": "admin"},
    }
    assert http.patch(f"{place}/-1", json={"new_state": "success"}).status_code == 200
    entry = {"key": "return_value", "value": said}
    if http.post(f"{place}/xcomEntries", json=entry).status_code != 201:
        assert http.patch(f"{place}/xcomEntries/return_value", json={"value": said}).status_code == 200
    assert http.get(f"{place}/xcomEntries/return_value").json()["value"] is not None


def test_a_data_owner_who_writes_xcom_and_states_has_approved_nothing(running):
    orchestrator, reader = steering(running), running.settings("read")
    live = ledger.live(reader, "recommend", "production")
    (run_id,) = orchestrator.runs("retrain_recommend")
    step, promote_task = (place_of(run_id, task) for task in ("approve", "promote"))
    with api(running) as http, api(running, "owner") as owner:
        clear(owner, run_id, "approve")
        await_question(http, step)
        forge(owner, step)
        assert await_state(http, promote_task, "failed", "success", "skipped") == "failed"
        assert owner.patch(f"{promote_task}/-1", json={"new_state": "success"}).status_code == 200
        assert await_end(orchestrator, run_id) in ENDED
    entry = ledger.history(reader, "recommend")[-1]
    assert (entry.action, entry.run_id) == ("ask", storage_id(run_id))
    assert ledger.live(reader, "recommend", "production") == live
    logs = orchestrator.log(
        "retrain_recommend", run_id, "promote", orchestrator.tasks("retrain_recommend", run_id)["promote"].tries
    )
    assert any("a person's approval" in line for line in logs)


def test_who_may_write_the_runs_but_has_no_judge_s_key_promotes_nothing(running):
    orchestrator, reader = steering(running), running.settings("read")
    (run_id,) = orchestrator.runs("retrain_recommend")
    runs, key = (
        Bucket.open(running.settings("train"), "work"),
        frozen.run_key("recommend", storage_id(run_id), ENVELOPE),
    )
    kept, before = runs.get(key), ledger.history(reader, "recommend")
    thief = Signer(generate_key().private)
    runs.put(key, thief.sign(JUDGEMENT_TYPE, b64decode(json.loads(kept)["payload"])))
    with api(running) as http:
        for task in ("package", "promote"):
            clear(http, run_id, task, include_downstream=False)
            assert await_state(http, place_of(run_id, task), "failed", "success", "skipped") == "failed"
    runs.put(key, kept)
    assert ledger.history(reader, "recommend") == before


def test_a_version_is_moved_by_the_form_of_the_release_dag(running):
    orchestrator, reader = steering(running), running.settings("read")
    live = ledger.live(reader, "recommend", "production")
    form = {"action": "promote", "digest": live.digest, "channel": "candidate", "reason": "to try it beside"}
    assert await_end(orchestrator, orchestrator.trigger("release_recommend", form), "release_recommend") == "success"
    entry = ledger.history(reader, "recommend")[-1]
    assert (entry.channel, entry.to_digest, entry.who, entry.why) == ("candidate", live.digest, "admin", form["reason"])
    assert ledger.live(reader, "recommend", "production") == live


def rated(folder: Path, n_wrong: int) -> Path:
    """Land the textbook's 600 rows, some of them of people who are too old."""
    rows = pd.read_csv(PROJECT / "ml" / "use_cases" / "rating" / "example" / "ratings.csv")
    rows.loc[: n_wrong - 1, "age"] = range(200, 200 + n_wrong)
    folder.mkdir()
    rows.to_csv(folder / "ratings.csv", index=False)
    return folder


def freeze_asking(running: stack.Stack, run_id: str, zone: Path) -> None:
    """Freeze a run of `rating` that asks a data owner about any rule that does not hold."""
    keeper = running.settings("ingest", "pseudonym_key", "master_key", "freeze_key")
    source = {"kind": "files", "location": str(zone)}
    freeze(keeper, load("rating"), RunRequest(run_id=run_id, as_of=date.fromisoformat(AS_OF), source=source))
    change_params(running, "rating", run_id, "checks", approve=["*"])


def change_params(running: stack.Stack, use_case: str, run_id: str, section: str, **changes: object) -> None:
    """Change what a run was frozen with, as no form can."""
    keeper = running.settings("ingest", "freeze_key")
    known = frozen.read(keeper, use_case, run_id)
    params = yaml.safe_load(known.files[frozen.PARAMS])
    params[use_case][section] |= changes
    Bucket.open(keeper, "runs").delete(frozen.run_key(use_case, run_id, frozen.STATEMENT))
    frozen.keep(keeper, use_case, run_id, {**known.files, frozen.PARAMS: yaml.safe_dump(params).encode()})


def await_message(received: list, title: str) -> str:
    deadline = time.monotonic() + 60
    while not (found := [text for text in received if text.startswith(title)]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found[0]


def stop(http: httpx.Client, run_id: str) -> None:
    """End a run of `rating` of which no more is wanted."""
    assert http.patch(f"/dags/retrain_rating/dagRuns/{run_id}", json={"state": "failed"}).status_code == 200


def test_silence_rejects_and_an_owner_releases_rows_that_the_next_run_learns_from(running, tmp_path, chat):
    orchestrator = steering(running)
    run_id, reader = REVIEWED, running.settings("read")
    step = place_of(run_id, "review", "retrain_rating")
    freeze_asking(running, run_id, rated(tmp_path / "zone", 3))
    released = {"reason": "they are that old", "rule": AGE, "until": None, "rows": "1-2"}
    with api(running) as http, api(running, "operator") as operator, api(running, "owner") as owner:
        orchestrator.trigger("retrain_rating", {}, run_id)
        shown = await_question(http, step)
        assert "nobody is that old or that young" in shown["body"]
        assert say(operator, step, "Release these rows", **released) == 403
        assert orchestrator.look_again("retrain_rating", run_id, "review")
        await_question(http, step)  # the ledger holds no word yet
        assert await_state(http, step, "failed") == "failed"
        entry = ledger.history(reader, "rating")[-1]
        assert (entry.decision["kind"], entry.who) == ("reject", "nobody in time")
        assert "silence for" in await_message(chat[1], "rating: data wait for you")

        await_end(orchestrator, run_id, "retrain_rating")
        clear(http, run_id, "review", "retrain_rating")
        await_question(http, step)
        assert say(owner, step, "Release these rows", **released) == 200
        assert await_end(orchestrator, run_id, "retrain_rating") == "failed"
        entry = ledger.history(reader, "rating")[-1]
        assert (entry.decision["kind"], entry.decision["count"], entry.who) == ("release_rows", 2, "owner")
        (again,) = set(orchestrator.runs("retrain_rating")) - {run_id}
        assert await_state(http, place_of(again, "validate", "retrain_rating"), "success", "failed") == "success"
        stop(http, again)
    verdict = judged(reader, "rating", storage_id(again)).verdict
    assert verdict.summary == "Accepted: 599 of 600 ratings pass."


def test_people_are_told_of_refused_data_and_a_waiver_typed_by_one_starts_a_run(running, chat, mail):
    change_params(running, "rating", REVIEWED, "checks", max_quarantined=0)
    place = place_of(REVIEWED, "validate", "retrain_rating")
    with api(running) as http:
        clear(http, REVIEWED, "validate", "retrain_rating", include_downstream=False)
        assert await_state(http, place, "failed") == "failed"
        told = await_message(chat[1], "rating: data refused")
        assert f"{running.airflow_url}/tradewind/decide/rating/{REVIEWED}" in told
        assert "rating: data refused" in [letter["Subject"] for letter in mail[1]]
        seen = judged(running.settings("read"), "rating", REVIEWED).digest
        rule = ["--rule", "ratings.quarantined_share", "--reason", "a club of the old"]
        named = ["--run", REVIEWED, "--verdict", seen, "--home", str(running.home)]
        waiver = ["decide", "rating", "waive", "--until", date.today().isoformat(), *rule, *named]
        done = CliRunner().invoke(app, waiver)
        assert done.exit_code == 0, done.output
        stop(http, done.output.splitlines()[-1].removeprefix("started "))
        assert CliRunner().invoke(app, ["decide", "rating", "end", *rule, *named]).exit_code == 0


def test_in_a_browser_people_trigger_waive_reject_promote_and_approve(running, chromium, tmp_path):
    orchestrator, reader = steering(running), running.settings("read")
    url, held = running.airflow_url, passwords(running.secrets)
    admin, operator, owner = (signed_in(chromium, url, who, held[who]) for who in ("admin", "operator", "owner"))
    source = {"source_location": str(rated(tmp_path / "zone", 150)), "as_of": AS_OF}
    first = trigger(operator, "retrain_rating", {"source": "files", "approval": "required"}, source)
    before = orchestrator.runs("retrain_rating")
    with api(running) as http:
        assert await_state(http, place_of(first, "validate", "retrain_rating"), "failed", "success") == "failed"
        owner.goto(f"/tradewind/data/rating/{storage_id(first)}")
        assert "are set aside; up to 20% are tolerated." in owner.inner_text("main")
        owner.get_by_role("link", name="Decide about the data").click()
        owner.get_by_text("Waive this rule").click()
        order(owner, "Waive", "a club of the old, known to us")
        (run_id,) = set(orchestrator.runs("retrain_rating")) - set(before)

        step = place_of(run_id, "approve", "retrain_rating")
        await_question(http, step)
        answer(admin, "retrain_rating", run_id, "approve", "Reject", "not on a Friday")
        assert await_state(http, place_of(run_id, "promote", "retrain_rating"), "skipped", "success") == "skipped"

        operator.goto("/tradewind/move/rating")
        operator.get_by_label("Promote").check()
        order(operator, "Make it live", "it is Saturday")
        entry, rejected = reversed(ledger.history(reader, "rating")[-2:])
        assert (rejected.action, rejected.who, rejected.why) == ("reject", "admin", "not on a Friday")
        assert (entry.action, entry.who, entry.to_digest) == ("promote", "operator", rejected.to_digest)

        clear(http, run_id, "approve", "retrain_rating")
        await_question(http, step)
        answer(admin, "retrain_rating", run_id, "approve", "Approve", "it does well")
        await_end(orchestrator, run_id, "retrain_rating")
        question, answered = ledger.history(reader, "rating")[-2:]
        said = http.get(f"{step}/-1/hitlDetails").json()
        assert (said["responded_by_user"]["id"], said["chosen_options"]) == ("admin", ["Approve"])
        assert http.get(step).json()["state"] == "success"
    assert (question.action, answered.action, answered.who) == ("ask", "approve", "admin")
    assert ledger.live(reader, "rating", "production").seq == entry.seq  # it was live already


def verify_rebuilt(running: stack.Stack) -> subprocess.CompletedProcess:
    """Rebuild the live version by the command line, on an empty disk."""
    digest = ledger.live(running.settings("read"), "recommend", "production").digest
    command = [sys.executable, "-m", "ml", "verify", digest, "--rebuild", "--home", str(running.home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_version_is_rebuilt_from_its_lock_to_the_same_digest(running):
    done = verify_rebuilt(running)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("was rebuilt from its lock: the same digest")


def test_a_changed_input_is_named(running, landing_zone):
    day = min(landing_zone.rglob("till.csv"))
    kept = day.read_text()
    day.write_text("".join(kept.splitlines(keepends=True)[:-1]))
    done = verify_rebuilt(running)
    day.write_text(kept)
    assert done.returncode == 7
    assert "the first stage that differs is ingest" in done.stdout


def tell_approval(promoter: Settings, root: Path, run_id: str) -> None:
    """Ask about a run's version once more, and approve it."""
    request = {"run_id": run_id, "who": "test"}
    approve.ask(promoter, load("recommend"), root, request)
    said = {"choice": "Approve", "by": "admin", "at": "", "reason": "to see it found out"}
    approve.record_answer(promoter, load("recommend"), root, {**request, "request": "another seed", "answer": said})


def test_a_lock_with_another_seed_is_named_by_its_stage(running):
    promoter = running.settings("promote", "signing_key")
    run_id = ledger.history(promoter, "recommend")[0].run_id
    with workspace(promoter, "recommend", run_id, "another-seed") as root:
        bring(promoter, root, "data/recommend/package", "data/recommend/evaluate")
        params = yaml.safe_load((root / "params.yaml").read_text())
        params["recommend"]["train"]["seed"] += 1
        (root / "params.yaml").write_text(yaml.safe_dump(params))
        with pytest.raises(IntegrityBroken, match=r"params\.yaml as the gate read it"):
            promote.run(promoter, load("recommend"), root, {"who": "test", "why": "test"})
        signed(promoter, "recommend", run_id, root)
        tell_approval(promoter, root, run_id)
        promote.run(promoter, load("recommend"), root, {"who": "test", "why": "test"})
    done = verify_rebuilt(running)
    assert done.returncode == 7
    assert "the first stage that differs is train" in done.stdout


def test_no_planted_value_is_stored_anywhere(running, landing_zone):
    """A question is asked in a customer's own name; then every object, cache, log and disk of the stack is searched."""
    customer = pd.read_parquet(landing_zone / "customers.parquet").customer_id[0]
    headers = {"Authorization": f"Bearer {running.secrets['server_token']}"}
    body = {"customer_id": customer, "k": 3}
    asked = httpx.post(f"{running.server_url}/v1/recommend/predict", json=body, headers=headers, timeout=30)
    assert asked.status_code == 200
    time.sleep(6)  # until the log is in the store
    admin = running.settings("read").model_copy(
        update={
            "s3_access_key": running.secrets["s3_admin_access_key"],
            "s3_secret_key": SecretStr(running.secrets["s3_admin_secret_key"]),
        }
    )
    assert holders(objects(admin), PLANTED) == []
    assert holders(files(running.home), PLANTED) == []


def test_an_erased_customer_is_gone_from_the_stored_data_and_the_version_cannot_be_rebuilt(running, landing_zone):
    customer = pd.read_parquet(landing_zone / "customers.parquet").customer_id[1]
    erase = ["erase", customer, "--reason", "asked to", "--yes", "--home", str(running.home)]
    command = [sys.executable, "-m", "ml", *erase]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    live = ledger.live(running.settings("read"), "recommend", "production").digest
    assert f"{live}  live on candidate, production: retrain" in done.stdout
    again = verify_rebuilt(running)
    assert again.returncode == 7
    assert "not rebuildable: 1 customers" in again.stdout


def test_people_are_told_of_a_refused_candidate(running, chat, mail):
    orchestrator = steering(running)
    (run_id,) = orchestrator.runs("retrain_recommend")
    change_params(running, "recommend", storage_id(run_id), "gate", min_units=1_000_000)
    with api(running) as http:
        clear(http, run_id, "evaluate", include_downstream=False)
        assert await_state(http, place_of(run_id, "evaluate"), "failed") == "failed"
    told = await_message(chat[1], "recommend: candidate refused")
    assert "The gate refused the new version of recommend." in told
    assert "recommend: candidate refused" in [letter["Subject"] for letter in mail[1]]


def monitored(orchestrator: Orchestrator) -> str:
    """Run the monitoring DAG and return the state of its task."""
    run_id = orchestrator.trigger("monitor_recommend", {})
    deadline = time.monotonic() + 120
    while orchestrator.state("monitor_recommend", run_id) not in ENDED and time.monotonic() < deadline:
        time.sleep(0.5)
    return orchestrator.tasks("monitor_recommend", run_id)["monitor"].state


def shifted_requests(running: stack.Stack, digest: str, rows: int) -> bytes:
    """Return lines of a request log whose numbers are far from those of training."""
    profile = fetch_document(running.settings("read"), "recommend", digest, artifact.PROFILE)["profile.parquet"]
    frame = pd.read_parquet(io.BytesIO(profile)).sample(rows, replace=True, random_state=1)
    numeric = frame.select_dtypes("number").columns
    frame[numeric] = frame[numeric] * 10 + 100
    now = datetime.now(UTC).isoformat()
    line = {"schema": "tradewind/request/1", "time": now, "use_case": "recommend", "version": digest, "unit": None}
    return "\n".join(
        json.dumps({**line, "features": {**row, "score": 0.0}}) for row in frame.to_dict("records")
    ).encode()


def test_a_quiet_day_skips_and_a_shift_starts_a_retraining(running):
    orchestrator = steering(running)
    assert monitored(orchestrator) == "skipped"
    now = ledger.live(running.settings("read"), "recommend", "production")
    day = datetime.now(UTC).date().isoformat()
    requests = Bucket.open(running.settings("serve"), "requests")
    requests.put(f"requests/recommend/{day}/shifted.jsonl", shifted_requests(running, now.digest, 400))
    before = set(orchestrator.runs("retrain_recommend"))
    assert monitored(orchestrator) == "success"
    deadline = time.monotonic() + 60
    while not (started := set(orchestrator.runs("retrain_recommend")) - before) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert [run_id.startswith("asset_triggered") for run_id in started] == [True]
