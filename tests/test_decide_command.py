"""On the command line the same decisions as on the desk's form: by the same rules, under the name of who typed them."""

import getpass
import json
from datetime import date, timedelta

import pytest
from typer.testing import CliRunner

from ml.cli.main import app
from ml.contract import Rule, Verdict
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical, sha256, write_verdict
from ml.pipeline.released import MARKS
from ml.registry import ledger
from ml.store import Bucket
from tests.frozen_run import freeze_run, publish_verdict

NAME, RUN, WHY = "rating", "run-of-the-command", "the till was down"
UNTIL = (date.today() + timedelta(days=7)).isoformat()
FRESH, WHOLE = "ratings.fresh", "ratings.whole"


@pytest.fixture(scope="module")
def verdict(object_store, tmp_path_factory):
    """Leave what a run's validation said: one rule refuses, another set two rows aside; return the digest."""
    promoter, path, marks = (
        object_store.settings("promote"),
        tmp_path_factory.mktemp("v") / "v.json",
        ["a" * 32, "b" * 32],
    )
    rules = (
        Rule(name=FRESH, observed=9, limit=7, passed=False, sentence="Nine days old."),
        Rule(name=WHOLE, observed=2, limit=0, passed=False, severity="quarantine", sentence="Two are cut."),
    )
    aside = {WHOLE: {"rows": 2, "digest": sha256(canonical(marks))}}
    write_verdict(path, Verdict(stage="validate", accepted=False, rules=rules, summary="Refused."), aside=aside)
    reports = Bucket.open(promoter, "reports")
    reports.put(f"{NAME}/{RUN}/validate/{MARKS}", json.dumps({WHOLE: marks}).encode())
    frozen = {"as_of": {"requested": "2026-11-20"}, "source": {"spec": {"kind": "files"}}, "decisions": []}
    freeze_run(object_store, NAME, RUN, frozen, {"train": {}})
    return publish_verdict(object_store, NAME, RUN, path.read_bytes())


@pytest.fixture
def tradewind(promoter):
    held = ("s3_endpoint", "s3_role", "s3_access_key", "verify_key", "freeze_verify_key")
    known = {name: getattr(promoter, name) for name in held}
    known |= {name: getattr(promoter, name).get_secret_value() for name in ("s3_secret_key", "signing_key")}
    environment = {f"TRADEWIND_{name.upper()}": value for name, value in known.items()}

    def run(*arguments, said=None):
        return CliRunner().invoke(app, arguments, input=said, env={**environment, "TRADEWIND_DATA_OWNERS": "olga"})

    return run


def decided(kind, *more):
    return "decide", NAME, kind, "--run", RUN, "--reason", WHY, *more


def test_a_decision_is_kept_as_its_person_listed_and_ended(tradewind, verdict, promoter):
    waived = tradewind(*decided("waive", "--rule", FRESH, "--until", UNTIL, "--verdict", verdict))
    assert waived.exit_code == 0, waived.output
    assert f'trigger retrain_{NAME} with {{"as_of": "2026-11-20"}}' in waived.output
    shown = tradewind(*decided("release_rows", "--rule", WHOLE, "--rows", "2"), said="y\n")
    assert f"verdict {verdict}" in shown.output
    assert f"quarantine {WHOLE} (2 rows set aside): Two are cut." in shown.output
    who = f"local:{getpass.getuser()}"
    entries = [one for one in ledger.history(promoter, NAME) if one.run_id == RUN]
    assert [(one.who, one.why, one.decision["kind"]) for one in entries] == [
        (who, WHY, "waive"),
        (who, WHY, "release_rows"),
    ]
    lines = tradewind("decisions", NAME).output.splitlines()
    assert lines == [
        f"{FRESH}  waived until {UNTIL}  by {who} (entry {entries[0].seq}): {WHY}",
        f"{WHOLE}  1 rows released until ended  by {who} (entry {entries[1].seq}): {WHY}",
    ]
    assert json.loads(tradewind("decisions", NAME, "--json").output.splitlines()[0])["until"] == UNTIL
    for rule in (FRESH, WHOLE):
        assert tradewind(*decided("end", "--rule", rule, "--verdict", verdict)).exit_code == 0
    assert tradewind("decisions", NAME).output == "nothing is in force\n"


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (("waive", "--rule", FRESH, "--until", "2099-01-01"), ConfigInvalid, "a last day from"),
        (("release_rows", "--rule", WHOLE, "--rows", "3"), ConfigInvalid, "numbers of rows from 1 to 2"),
        (("accept", "--reason", "no"), ConfigInvalid, "a reason of 8 characters"),
        (("end", "--rule", "ratings.nothing"), ConfigInvalid, "a rule with a waiver or release in force"),
        (("accept", "--verdict", sha256(b"other")), IntegrityBroken, "a decision about verdict"),
    ],
)
def test_what_the_form_refuses_the_command_refuses(tradewind, verdict, promoter, arguments, error, told):
    before = ledger.history(promoter, NAME)
    done = tradewind(*decided(arguments[0], "--verdict", verdict, *arguments[1:]))
    assert isinstance(done.exception, error)
    assert told in str(done.exception)
    assert ledger.history(promoter, NAME) == before


def test_who_says_no_and_who_cannot_spell_a_day_decide_nothing(tradewind, verdict, promoter):
    before = ledger.history(promoter, NAME)
    assert tradewind(*decided("reject"), said="n\n").exit_code == 1
    assert tradewind(*decided("waive", "--until", "next week", "--verdict", verdict)).exit_code == 2
    assert tradewind(*decided("forget")).exit_code == 2
    assert ledger.history(promoter, NAME) == before
