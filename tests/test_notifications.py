"""People are told what was refused or moved, once, by mail and chat; a receiver that is away fails no run."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ml.contract import Rule, Verdict
from ml.errors import ServiceUnavailable
from ml.files import write_verdict
from ml.pipeline import notify
from ml.stack.process import free_port
from ml.store import Bucket
from tests.promotable_run import roll_back, walk_in
from tests.receivers import chat_receiver, mail_receiver

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
REQUEST = {"run_id": "run-1", "as_of": "2026-11-25"}


@pytest.fixture
def chat():
    with chat_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail():
    with mail_receiver() as receiver:
        yield receiver


@pytest.fixture
def refused(promoter, name, tmp_path):
    """A run whose data were refused."""
    rule = Rule(name="purchases.fresh", observed=9, limit=7, passed=False, sentence="The newest are nine days old.")
    write_verdict(tmp_path / "v.json", Verdict(stage="validate", accepted=False, rules=(rule,), summary="Refused."))
    reports = Bucket.open(promoter, "reports")
    reports.put(f"{name}/run-1/validate/verdict.json", (tmp_path / "v.json").read_bytes())


def teller(object_store, **notify_settings):
    settings = {"airflow_url": "https://shop.example", **notify_settings}
    return object_store.settings("train", **settings)


def test_a_refusal_is_told_once_a_day_with_three_facts_a_link_and_an_action(object_store, name, refused, chat, mail):
    settings = teller(
        object_store, notify_webhook=chat[0], notify_smtp=mail[0], notify_to="olga@shop.example, ben@shop.example"
    )
    for hours, is_told in ((0, True), (23, False), (24, True)):
        assert notify.run(settings, name, "block", REQUEST, NOW + timedelta(hours=hours)) is is_told
    told = "\n".join(
        [
            f"{name}: data refused",
            f"- The data of {name} were refused; nothing is learned from them.",
            "- The newest are nine days old.",
            "- Nothing is live yet.",
            "What to do: mend the data at their source, or waive the rule on that page.",
            f"https://shop.example/tradewind/decide/{name}/run-1",
        ]
    )
    assert chat[1] == [told, told]
    assert [letter["Subject"] for letter in mail[1]] == [f"{name}: data refused"] * 2
    assert mail[1][0]["To"] == "olga@shop.example, ben@shop.example"
    assert mail[1][0].get_content().strip().splitlines() == told.splitlines()


def test_a_promotion_and_a_rollback_are_told_by_who_and_why(object_store, promoter, name, ready, chat):
    settings = teller(object_store, notify_webhook=chat[0])
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    assert notify.run(settings, name, "move", REQUEST, NOW)
    second, new = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    roll_back(promoter, name, old)
    assert notify.run(settings, name, "move", REQUEST, NOW)
    assert f"ada promoted {name} on production from nothing to {old[:19]}." in chat[1][0]
    assert f"bob rolled back {name} on production from {new[:19]} to {old[:19]}." in chat[1][1]
    assert "- complaints (ledger entry 3)" in chat[1][1]


def test_drift_of_a_version_is_told_once_and_a_quiet_hour_is_not(object_store, promoter, name, chat):
    settings, reports = teller(object_store, notify_webhook=chat[0]), Bucket.open(promoter, "reports")
    for decision, effect, is_told in (("wait", 0.1, False), ("retrain", 0.4, True), ("retrain", 0.5, False)):
        report = {"finding": {"decision": decision, "sentences": [f"recency moved by {effect}."]}}
        reports.put(f"{name}/monitor/2026-11-25/report.json", json.dumps(report).encode())
        assert notify.run(settings, name, "drift", REQUEST, NOW) is is_told
    assert chat[1][0].startswith(f"{name}: drift\n")
    assert f"/tradewind/report/{name}/monitor/2026-11-25/report.html" in chat[1][0]


def test_what_was_accepted_or_nobody_wants_is_not_told(object_store, name, refused, chat):
    assert not notify.run(teller(object_store), name, "block", REQUEST, NOW)
    assert not notify.run(teller(object_store, notify_webhook=chat[0]), name, "refuse", REQUEST, NOW)
    assert chat[1] == []


def test_a_message_that_did_not_go_out_names_no_secret_and_goes_out_next_time(object_store, name, refused, chat):
    away = teller(object_store, notify_webhook=f"http://127.0.0.1:{free_port()}/secret")
    with pytest.raises(ServiceUnavailable, match="chat: ConnectError") as refusal:
        notify.run(away, name, "block", REQUEST, NOW)
    assert "secret" not in str(refusal.value)
    assert notify.run(teller(object_store, notify_webhook=chat[0]), name, "block", REQUEST, NOW)
