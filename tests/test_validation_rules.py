"""Corrupted data are refused or set aside by the rule that says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from data_checks.judgement import rulings, verdict_of
from data_checks.profile import History
from data_checks.runner import Job
from data_checks.runner import run as run_checks
from data_checks.standard import Standard
from ml.errors import SourceInvalid
from ml.files import read_json, read_verdict
from ml.parameter import ChecksParams
from ml.pipeline import ingest, validate
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Opener
from tests.sample_shop import LAST, TABLES, digests, frozen_context, land, opened, sample_tables


@pytest.fixture
def tables(rng):
    return sample_tables(rng)


@pytest.fixture
def ingested(tmp_path, keeper):
    """Land tables and ingest them; return the context."""

    def run(tables, **inputs):
        zone = tmp_path / "zone"
        zone.mkdir()
        for name, rows in tables.items():
            rows.to_parquet(zone / f"{name}.parquet", index=False)
        context = frozen_context(tmp_path / "run", {"kind": "files", "location": str(zone)}, keeper, **inputs)
        ingest.run(context)
        return context

    return run


@pytest.fixture
def judge(ingested):
    """Land, ingest and validate tables; return the verdict, its rules by name, and the context."""

    def run(tables, **inputs):
        context = ingested(tables, **inputs)
        validate.run(context)
        verdict = read_verdict(context.data("validate") / "verdict.json")
        return verdict, {rule.name: rule for rule in verdict.rules}, context

    return run


def failed(verdict):
    return {rule.name for rule in verdict.rules if not rule.passed}


def aside(context, table="purchases"):
    rows = pq.read_table(context.data("validate") / "quarantine" / f"{table}.parquet")
    opener = Opener(lambda: KeyRing.open(context.settings, context.use_case.name))
    return opener.open(context.use_case.data.table(table), rows).to_pandas()


def passed(context, table="purchases"):
    return pd.read_parquet(context.data("validate") / "tables" / table)


def test_good_data_pass_whole(judge, tables):
    verdict, _, context = judge(tables)
    assert verdict.accepted
    assert failed(verdict) == set()
    assert len(passed(context)) == len(tables["purchases"])
    assert aside(context).empty
    files = {file.name for file in (context.data("validate") / "tables" / "purchases").iterdir()}
    assert files == {"2026-10.parquet", "2026-11.parquet"}


QUARANTINED = {
    "purchases.quantity_in_pieces": ("quantity", 20206),
    "purchases.quantity_positive": ("quantity", 0),
    "purchases.amount_not_negative": ("amount", -0.01),
    "purchases.amount_finite": ("amount", np.inf),
    "purchases.customer_id_present": ("customer_id", None),
    "purchases.purchased_at_present": ("purchased_at", pd.NaT),
    "purchases.product_id_in_products": ("product_id", "unheard-of"),
}


def test_a_row_that_breaks_a_rule_is_set_aside_with_its_reason(judge, tables):
    for number, (column, value) in enumerate(QUARANTINED.values()):
        tables["purchases"].loc[[3 + number, 700 + number], column] = value
    verdict, rules, context = judge(tables)
    rows = aside(context)
    assert verdict.accepted
    assert failed(verdict) == set(QUARANTINED)
    assert {(rules[name].observed, rules[name].severity) for name in QUARANTINED} == {(2, "quarantine")}
    assert rows["_rule"].value_counts().to_dict() == dict.fromkeys(QUARANTINED, 2)
    assert rows["_reason"].str.len().min() > 5
    assert len(passed(context)) == len(tables["purchases"]) - 2 * len(QUARANTINED)


def test_a_missing_count_is_set_aside(judge, tables):
    tables["purchases"]["quantity"] = tables["purchases"]["quantity"].astype("Int64")
    tables["purchases"].loc[5, "quantity"] = pd.NA
    verdict, _, context = judge(tables)
    assert failed(verdict) == {"purchases.quantity_present"}
    assert (len(aside(context)), passed(context).quantity.dtype) == (1, "int64")


def test_a_row_that_breaks_two_rules_tells_both(judge, tables):
    tables["purchases"].loc[3, ["quantity", "amount"]] = [0, -1.0]
    _, _, context = judge(tables)
    assert aside(context)["_rule"].item() == "purchases.quantity_positive; purchases.amount_not_negative"


def test_a_row_later_than_the_date_is_set_aside(tmp_path, tables, keeper):
    """A day's folder may hold a till with a wrong clock."""
    tables["purchases"].loc[0, "purchased_at"] = pd.Timestamp("2027-03-01 12:00")
    land(tmp_path / "zone", tables)
    (tmp_path / "zone" / "purchases" / "2027-03-01").rename(tmp_path / "zone" / "purchases" / "2026-11-19x")
    (tmp_path / "zone" / "purchases" / "2026-11-19x" / "till.csv").rename(
        tmp_path / "zone" / "purchases" / "2026-11-19" / "wrong-clock.csv"
    )
    (tmp_path / "zone" / "purchases" / "2026-11-19x").rmdir()
    context = frozen_context(tmp_path / "run", {"kind": "files", "location": str(tmp_path / "zone")}, keeper)
    ingest.run(context)
    validate.run(context)
    assert list(aside(context)["_rule"]) == ["purchases.purchased_at_not_in_future"]
    assert read_json(context.data("validate") / "profile.json")["tables"]["purchases"]["newest_day"] == str(LAST)


def test_a_file_delivered_twice_is_kept_once(judge, tables):
    november = tables["purchases"].query("purchased_at >= '2026-11-19'")
    tables["purchases"] = pd.concat([tables["purchases"], november], ignore_index=True)
    verdict, rules, context = judge(tables)
    assert failed(verdict) == {"purchases.key_unique"}
    assert rules["purchases.key_unique"].observed == len(november)
    assert len(passed(context)) == len(tables["purchases"]) - len(november)
    assert not passed(context).duplicated(["basket_id", "product_id"]).any()


def test_a_key_repeated_in_another_month_is_found(judge, tables):
    tables["purchases"].loc[len(tables["purchases"]) - 1, ["basket_id", "product_id"]] = (
        tables["purchases"].loc[0, ["basket_id", "product_id"]].to_numpy()
    )
    _, _, context = judge(tables)
    row = aside(context)
    assert (row["_rule"].item(), row["purchased_at"].item().month) == ("purchases.key_unique", 11)


def test_an_unknown_group_is_set_aside(judge, tables):
    tables["customers"].loc[2, "age_group"] = "19 to 24"
    verdict, _, context = judge(tables)
    assert failed(verdict) == {"customers.age_group_known"}
    assert aside(context, "customers")["customer_id"].item() == tables["customers"].customer_id[2]


def test_purchases_of_a_product_set_aside_go_with_it(judge, tables):
    twice = tables["products"].iloc[[0]].assign(product_id=None)
    tables["products"] = pd.concat([tables["products"].iloc[1:], twice], ignore_index=True)
    verdict, rules, context = judge(tables)
    lost = (tables["purchases"].product_id == "p0").sum()
    assert failed(verdict) == {"products.product_id_present", "purchases.product_id_in_products"}
    assert rules["purchases.product_id_in_products"].observed == lost == len(aside(context))
    assert verdict.accepted


def test_too_many_rows_set_aside_refuse_the_run(judge, tables):
    tables["purchases"].loc[: len(tables["purchases"]) // 4, "quantity"] = 0
    verdict, rules, _ = judge(tables)
    assert not verdict.accepted
    assert {rule.name for rule in verdict.blocking()} == {"purchases.quarantined_share"}
    assert "up to 20% are tolerated" in rules["purchases.quarantined_share"].sentence
    assert verdict.summary.startswith("Refused")


@pytest.fixture(scope="module")
def good(tmp_path_factory, object_store):
    """What the runner found in good data."""
    root = tmp_path_factory.mktemp("good")
    land(root / "zone", sample_tables(np.random.default_rng(5)))
    spec = {"kind": "files", "location": str(root / "zone")}
    context = frozen_context(root / "run", spec, object_store.settings("ingest"))
    ingest.run(context)
    source = opened(context, root / "opened")
    job = Job(tables=TABLES, checks=(), source=source, out=context.data("validate"), as_of=LAST)
    return run_checks(job)[0]


def judged(outcomes, **changes):
    standard = Standard(**{"params": ChecksParams(), "as_of": LAST, **changes})
    verdict = verdict_of(rulings(outcomes, standard), outcomes)
    return verdict, {rule.name: rule for rule in verdict.rules}


def test_stale_data_refuse_the_run(good):
    on_time, _ = judged(good, as_of=date(2026, 11, 27))
    verdict, rules = judged(good, as_of=date(2026, 11, 28))
    assert on_time.accepted
    assert {rule.name for rule in verdict.blocking()} == {"purchases.fresh"}
    assert (rules["purchases.fresh"].observed, rules["purchases.fresh"].limit) == (8, 7)


@pytest.mark.parametrize(("before", "accepted"), [(1.0, True), (1.2, True), (1.3, False), (0.55, True), (0.45, False)])
def test_volume_is_held_against_the_last_accepted_run(good, before, accepted):
    profile = {"as_of": str(LAST), "tables": {"purchases": {"rows": int(good[0].received * before)}}}
    verdict, rules = judged(good, history=History(runs=(("run", profile),)))
    assert verdict.accepted is accepted
    assert rules["purchases.volume"].observed == pytest.approx(1 / before, rel=0.01)


def test_a_waiver_lets_a_refused_run_pass_and_says_why(good):
    verdict, rules = judged(good, as_of=date(2026, 11, 28), waived={"purchases.fresh": "the till was down"})
    assert verdict.accepted
    assert "the till was down" in rules["purchases.fresh"].sentence


@pytest.mark.parametrize(("newest", "whole"), [(20, True), (19, False)])
def test_a_day_that_came_in_part_is_told(good, newest, whole):
    days = {LAST - timedelta(days=back): 100 for back in range(1, 9)}
    verdict, rules = judged([replace(good[0], days={**days, LAST: newest})])
    assert verdict.accepted
    assert rules["purchases.days_whole"].passed is whole
    assert "Friday 2026-11-20" in rules["purchases.days_whole"].sentence


def test_a_missing_optional_table_warns(judge, tables):
    del tables["customers"]
    _, rules, _ = judge(tables)
    assert (rules["customers.not_empty"].passed, rules["customers.not_empty"].severity) == (False, "warn")


def test_a_required_table_of_headers_alone_is_refused(judge, tables):
    tables["products"] = tables["products"].head(0)
    with pytest.raises(SourceInvalid, match=r"rows of products .* headers alone"):
        judge(tables)


def test_a_warning_does_not_refuse(judge, tables):
    tables["products"]["name"] = None
    verdict, rules, context = judge(tables)
    assert failed(verdict) == {"products.name_mostly_present"}
    assert verdict.accepted
    assert len(passed(context, "products")) == 20
    assert "please ask: merchandising" in rules["products.name_mostly_present"].sentence


def test_a_release_lets_rows_pass(judge, tables):
    tables["purchases"].loc[3, "quantity"] = 20206
    decision = {"stage": "validate", "kind": "release", "rule": "purchases.quantity_in_pieces", "reason": "a wedding"}
    verdict, _, context = judge(tables, decisions=[decision])
    assert failed(verdict) == {"purchases.quantity_in_pieces"}
    assert (aside(context).empty, verdict.accepted) == (True, True)


def test_a_column_that_is_not_as_agreed_refuses(ingested, tables):
    context = ingested(tables)
    folder = context.data("ingest") / "tables" / "products"
    rows = pd.read_parquet(folder / "all.parquet")
    rows.assign(name=1.5, colour="red").to_parquet(folder / "all.parquet")
    validate.run(context)
    blocking = {rule.name for rule in read_verdict(context.data("validate") / "verdict.json").blocking()}
    assert blocking == {"products.columns", "products.name_type"}


def test_a_missing_column_refuses_and_cannot_be_judged(ingested, tables):
    context = ingested(tables)
    folder = context.data("ingest") / "tables" / "products"
    pd.read_parquet(folder / "all.parquet").drop(columns="brand").to_parquet(folder / "all.parquet")
    validate.run(context)
    verdict = read_verdict(context.data("validate") / "verdict.json")
    assert {"products.columns", "products.brand_type"} <= {rule.name for rule in verdict.blocking()}


def test_the_output_is_the_same_bytes_again(judge, tables):
    tables["purchases"].loc[3, "quantity"] = 0
    _, _, context = judge(tables)
    before = digests(context.data("validate"))
    validate.run(context)
    assert digests(context.data("validate")) == before


def test_the_profile_counts_and_describes_without_values(judge, tables):
    tables["purchases"].loc[3, "quantity"] = 0
    _, _, context = judge(tables)
    told = read_json(context.data("validate") / "profile.json")["tables"]
    kept = tables["purchases"].drop(index=3)
    assert (told["purchases"]["rows"], told["purchases"]["quarantined"]) == (len(kept) + 1, 1)
    assert told["purchases"]["columns"]["amount"]["mean"] == pytest.approx(kept.amount.mean(), abs=1e-6)
    assert told["purchases"]["columns"]["amount"]["p50"] == pytest.approx(kept.amount.median(), abs=1e-6)
    assert told["purchases"]["columns"]["customer_id"]["distinct"] == 30
    assert set(told["purchases"]["columns"]["customer_id"]["all"]["bins"]) == {"present"}
    assert told["customers"]["columns"]["age_group"]["missing"] == 0
