"""A data owner releases the very rows that a run set aside: those pass from then on, another that fails the rule does not."""

import json
from datetime import date

import pandas as pd
import pyarrow as pa
import pytest

from data_checks.check import Judged
from data_checks.row_mark import marks, without_released
from ml.contract import Rule, Verdict
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical, read_json, read_verdict, sha256, write_bytes, write_verdict
from ml.pipeline import ingest, validate
from ml.pipeline.decision import Decision, decide, in_force, judged
from ml.pipeline.released import MARKS, chosen, rows_key
from ml.registry import ledger
from ml.store import Bucket
from tests.frozen_run import publish_verdict
from tests.sample_shop import frozen_context, land, sample_tables

TODAY = date(2026, 11, 25)
RULE = "purchases.quantity_in_pieces"
FUEL = (2001, 2002, 2003, 2004, 2005)
"""Quantities that no piece has."""


@pytest.fixture
def validated(tmp_path, keeper):
    """Land tables, ingest and validate them; return the context."""

    def run(number, tables, decisions=(), released=None):
        zone, root = tmp_path / f"zone-{number}", tmp_path / f"run-{number}"
        land(zone, tables)
        context = frozen_context(root, {"kind": "files", "location": str(zone)}, keeper, decisions=list(decisions))
        for digest, data in (released or {}).items():
            write_bytes(context.released(digest), data)
        ingest.run(context)
        validate.run(context)
        return context

    return run


def publish(object_store, name, run, verdict, row_marks):
    publish_verdict(object_store, name, run, verdict)
    reports = Bucket.open(object_store.settings("promote"), "reports")
    reports.put(f"{name}/{run}/validate/{MARKS}", row_marks)


def release(promoter, name, rows="", **changes):
    seen = judged(promoter, name, "run-1").digest
    made = {"kind": "release_rows", "run_id": "run-1", "verdict": seen, "request": f"form {rows}", "who": "olga"}
    return decide(
        promoter, name, Decision(**{**made, "why": "a wedding", "rule": RULE, "rows": rows, **changes}), TODAY
    )


def quantities(path):
    return sorted(pd.read_parquet(path).quantity)


def test_three_of_five_rows_pass_in_later_runs_and_a_new_row_of_the_same_rule_does_not(
    validated, object_store, promoter, name, rng
):
    tables = sample_tables(rng)
    tables["purchases"].loc[[3, 40, 400, 500, 700], "quantity"] = FUEL
    first = validated(1, tables)
    row_marks = (first.reports("validate") / MARKS).read_bytes()
    publish(object_store, name, "run-1", (first.data("validate") / "verdict.json").read_bytes(), row_marks)
    entry = release(promoter, name, "1, 3-4")
    assert (entry.decision["count"], entry.decision["until"]) == (3, None)
    extract = read_json(first.reports("validate") / "quarantine.json")["rules"][0]
    shown = [row[extract["shown"].index("quantity")] for row in extract["rows"]]
    freed = [shown[number] for number in (0, 2, 3)]

    tables["purchases"].loc[800, "quantity"] = 2006
    decisions = in_force(ledger.history(promoter, name), TODAY)
    kept = Bucket.open(promoter, "runs").get(rows_key(name, entry.decision["rows"]))
    again = validated(2, tables, decisions, {entry.decision["rows"]: kept})
    aside = quantities(again.data("validate") / "quarantine" / "purchases.parquet")
    assert aside == sorted({*FUEL, 2006} - set(freed))
    assert len(pd.read_parquet(again.data("validate") / "tables" / "purchases")) == len(tables["purchases"]) - 3
    rules = {rule.name: rule for rule in read_verdict(again.data("validate") / "verdict.json").rules}
    assert rules[RULE].observed == 3
    assert rules[RULE].sentence.endswith("Not counted: 3 rows that a data owner looked at and released.")

    tables["purchases"].loc[:, "quantity"] = tables["purchases"].quantity.where(
        tables["purchases"].quantity.isin(freed) | (tables["purchases"].quantity < 1000), 1
    )
    last = validated(3, tables, decisions, {entry.decision["rows"]: kept})
    rules = {rule.name: rule for rule in read_verdict(last.data("validate") / "verdict.json").rules}
    assert rules[RULE].passed
    assert quantities(last.data("validate") / "tables" / "purchases")[-3:] == sorted(freed)


def test_marks_are_equal_for_equal_rows_under_one_key_and_tell_no_value():
    rows = pa.table({"customer": pa.array([b"\x01cipher", None], pa.binary()), "amount": [1.5, float("inf")]})
    mine = marks(rows, b"key")
    assert marks(rows.select(["amount", "customer"]), b"key") == mine
    assert not set(marks(rows, b"other")) & set(mine)
    assert len(set(mine)) == 2
    assert {len(mark) for mark in mine} == {32}


def test_of_equal_rows_as_many_pass_as_were_released():
    rows = pa.table({"basket": ["b1", "b1", "b1", "b2"]})
    found = Judged(passed=False, evaluated=4, failing=pa.array([True, True, True, False]).to_numpy(False))
    mark = marks(rows, b"")[0]
    some = without_released(found, rows, {mark: 2}, b"")
    assert (some.failing.tolist(), some.passed, some.released) == ([False, False, True, False], False, 2)
    every = without_released(found, rows, {mark: 9}, b"")
    assert (every.failing.any(), every.passed, every.released) == (False, True, 3)


@pytest.fixture
def aside(object_store, name, tmp_path):
    """A run whose rule set five rows aside; their marks."""
    known = [f"{number:032x}" for number in range(5)]
    rule = Rule(name=RULE, observed=5, limit=0, passed=False, severity="quarantine", sentence="Five are fuel.")
    told = {RULE: {"rows": 5, "digest": sha256(canonical(known))}}
    write_verdict(
        tmp_path / "v.json", Verdict(stage="validate", accepted=True, rules=(rule,), summary="Accepted."), aside=told
    )
    publish(object_store, name, "run-1", (tmp_path / "v.json").read_bytes(), json.dumps({RULE: known}).encode())
    return known


def test_released_rows_add_up_until_the_rule_is_ended(object_store, promoter, name, aside):
    for rows in ("1-2", "5", ""):
        assert release(promoter, name, rows) == release(promoter, name, rows)
    standing = in_force(ledger.history(promoter, name), date(2036, 1, 1))
    assert [one["count"] for one in standing] == [2, 1, 5]
    assert json.loads(Bucket.open(promoter, "runs").get(rows_key(name, standing[0]["rows"]))) == aside[:2]
    release(promoter, name, kind="end", request="end")
    assert in_force(ledger.history(promoter, name), TODAY) == []


@pytest.mark.parametrize("numbers", ["0", "6", "4-6", "3-2", "1;2", "all", ",", "1,,2"])
def test_numbers_that_name_no_row_are_refused(numbers):
    with pytest.raises(ConfigInvalid, match="numbers of rows from 1 to 5"):
        chosen("abcde", numbers)


def test_rows_of_another_rule_or_other_rows_than_the_verdict_names_are_refused(object_store, promoter, name, aside):
    with pytest.raises(ConfigInvalid, match="a rule that set rows aside in this run"):
        release(promoter, name, rule="purchases.fresh")
    Bucket.open(promoter, "reports").put(
        f"{name}/run-1/validate/{MARKS}", json.dumps({RULE: [*aside[:4], "f" * 32]}).encode()
    )
    with pytest.raises(IntegrityBroken, match=f"that {RULE} set aside"):
        release(promoter, name)
    assert ledger.history(promoter, name) == ()
