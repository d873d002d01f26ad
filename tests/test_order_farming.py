"""Orders of a click farm are set aside before training; a recorded year and a data owner's word are respected."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from data_checks.farming import farmed_orders, rows_of_farms
from data_checks.runner import Job, checks_of, run
from ml.benchmark.farming import FARMS, gain_lost, measure, orders, shop
from ml.config import Settings
from ml.files import table_files, write_parquet
from ml.shop import PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from ml.use_cases.recommend.examples import build
from ml.use_cases.recommend.params import RecommendFeatures, RecommendParams
from ml.use_cases.recommend.sample import sample
from tests.recommend_shop import expressions

LAST = date(2017, 12, 31)


@pytest.fixture(scope="module")
def recorded():
    """The default source's year, and the lines of the farms that are simulated in it."""
    source = open_source({"kind": "complete_journey"}, Settings())
    farmed = replace(PURCHASES, name="farmed_purchases")
    return [pd.concat(part.to_pandas() for part in source.read(table, LAST)) for table in (PURCHASES, farmed)]


@pytest.fixture(scope="module")
def given():
    """A made-up shop whose customers' baskets are mixed, as a grocer's are."""
    tables = sample(np.random.default_rng(3), 400)
    return shop(
        tables["purchases"], tables["products"], RecommendParams(features=RecommendFeatures(test_days=7, valid_days=7))
    )


def flagged(purchases: pd.DataFrame) -> pd.DataFrame:
    return farmed_orders(expressions({"purchases": purchases})["purchases"])


def test_a_recorded_year_holds_no_farm(recorded):
    assert flagged(recorded[0]).empty


def test_every_simulated_farm_is_found_with_little_beside_it(recorded):
    purchases, farmed = recorded
    found = flagged(pd.concat([purchases, farmed]))
    assert set(farmed.basket_id) <= set(found.basket_id)
    assert len(found) - farmed.basket_id.nunique() < 100  # honest orders of 155,000, on the days of a farm


@pytest.mark.parametrize("farm", FARMS, ids=lambda farm: farm.name)
def test_a_farm_of_500_orders_loses_the_rank_it_buys(given, farm):
    def popularity_rank(purchases):
        built = build(
            expressions({"purchases": purchases, "products": given.products}),
            RecommendFeatures(test_days=7, valid_days=7),
        )
        return float(built.state["products"].index(given.product) + 1)

    gained, lost = measure(given, farm, popularity_rank, popularity_rank(given.purchases))
    assert gained > 10
    assert lost >= 0.8


def test_the_share_of_a_gain_that_is_lost():
    assert gain_lost(shown=100, farmed=20, ruled=100) == 1
    assert gain_lost(shown=100, farmed=20, ruled=60) == 0.5
    assert gain_lost(shown=100, farmed=20, ruled=20) == 0


def test_a_sale_in_mixed_baskets_is_no_farm(given):
    """A promotion sells far more than usual for two days, but to shoppers who take other things along."""
    buyers = given.purchases.drop_duplicates("customer_id").customer_id
    lines = orders(replace(FARMS[1], beside=4, accounts=len(buyers)), given.product, given.purchases, given.until)
    assert flagged(pd.concat([given.purchases, lines])).empty


def test_rows_without_an_order_are_no_part_of_a_farm(given):
    lines = orders(FARMS[0], given.product, given.purchases, given.until)
    lines.loc[lines.index[0], "basket_id"] = None
    all_rows = pd.concat([given.purchases, lines], ignore_index=True)
    rows = rows_of_farms(expressions({"purchases": all_rows})["purchases"])(all_rows)
    assert rows.sum() >= 499
    assert not rows[len(given.purchases)]


def test_farmed_rows_are_set_aside_with_a_reason_and_pass_when_released(given, tmp_path):
    lines = orders(FARMS[0], given.product, given.purchases, given.until)
    write_parquet(tmp_path / "in" / "purchases" / "all.parquet", pd.concat([given.purchases, lines]))
    write_parquet(tmp_path / "in" / "products" / "all.parquet", given.products)
    job = Job(
        tables=(PURCHASES, PRODUCTS),
        checks=checks_of("recommend"),
        source=tmp_path / "in",
        out=tmp_path / "out",
        as_of=date(2026, 6, 30),
    )
    purchases = run(job)[0][0]
    aside = pd.concat(map(pd.read_parquet, [tmp_path / "out" / "quarantine" / "purchases.parquet"]))
    assert set(lines.basket_id) <= set(aside.basket_id)
    assert aside._reason.str.contains("order farming").all()
    assert purchases.passed == purchases.received - len(aside)
    released = run(replace(job, out=tmp_path / "again", released=frozenset({"purchases.not_farmed"})))[0][0]
    assert released.passed == released.received
    assert sum(len(pd.read_parquet(file)) for file in table_files(tmp_path / "again" / "tables" / "purchases")) == len(
        given.purchases
    ) + len(lines)
