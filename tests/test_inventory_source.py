"""What the default source adds for replenishment: derived from the records or simulated, and blind to later days."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.shop import PROMOTIONS, STOCK, STORES, SUPPLIER_TERMS
from ml.sources.opening import open_source

MID, END = date(2017, 9, 17), date(2017, 12, 31)


@pytest.fixture(scope="module")
def source():
    return open_source({"kind": "complete_journey"}, Settings())


@pytest.fixture(scope="module")
def tables(source):
    """Each table as it stood on the middle of September."""
    wanted = (STORES, PROMOTIONS, SUPPLIER_TERMS, STOCK)
    return {table.name: next(source.read(table, MID)).to_pandas() for table in wanted}


@pytest.fixture(scope="module")
def lines(source):
    wanted = ["product_id", "store_id", "quantity", "transaction_timestamp", "sales_value"]
    rows = pq.read_table(source.folder / "transactions.parquet", columns=wanted).to_pandas()
    rows = rows[rows.quantity.between(1, 1000) & (rows.transaction_timestamp < "2017-09-18")]
    return rows.astype({"product_id": "str", "store_id": "str"})


def test_the_larger_stores_sold_about_half_of_all_pieces(tables, lines):
    first = lines[lines.transaction_timestamp < "2017-07-01"]
    group = first.store_id.map(tables["stores"].set_index("store_id").store_group)
    share = first.quantity[group == "larger"].sum() / first.quantity.sum()
    assert 0.48 <= share <= 0.5
    assert set(tables["stores"].store_id) == set(lines.store_id)


def test_promotions_are_known_eight_weeks_ahead_and_no_further(tables):
    weeks = tables["promotions"].week
    assert (weeks.dt.weekday == 0).all()
    assert weeks.max() == pd.Timestamp("2017-11-06")


def test_a_promotions_share_is_that_of_the_groups_stores(source, tables):
    """Counted again by hand for the promotion that most stores took part in."""
    best = tables["promotions"].sort_values(["display", "product_id"]).iloc[-1]
    week = (best.week - pd.Timestamp("2017-01-02")).days // 7 + 2
    told = pq.read_table(source.folder / "promotions.parquet", filters=[("week", "==", week)]).to_pandas()
    mine = tables["stores"].set_index("store_id").store_group
    own = told[(told.product_id == int(best.product_id)) & (told.display_location != "0")]
    in_group = mine.reindex(own.store_id.astype(str)) == best.store_group
    everywhere = pq.read_table(source.folder / "promotions.parquet", columns=["store_id"])["store_id"].unique()
    stores = (mine.reindex(everywhere.to_pandas().astype(str)) == best.store_group).sum()
    assert best.display == pytest.approx(own.store_id[in_group.to_numpy()].nunique() / stores, abs=1e-4)


def test_a_later_day_changes_no_terms_or_stock_of_an_earlier_one(source, tables):
    again = next(source.read(STOCK, MID)).to_pandas()
    pd.testing.assert_frame_equal(again, tables["stock"])
    later = next(source.read(SUPPLIER_TERMS, END)).to_pandas().set_index("product_id")
    now = tables["supplier_terms"].set_index("product_id")
    assert set(now.index) < set(later.index)
    assert (later.loc[now.index, "lead_time_weeks"] == now.lead_time_weeks).all()


def test_cost_lies_below_price_and_stock_within_four_weeks_of_sales(tables, lines):
    terms = tables["supplier_terms"].set_index("product_id")
    sums = lines.groupby("product_id")[["sales_value", "quantity"]].sum().loc[terms.index]
    share = terms.unit_cost / (sums.sales_value / sums.quantity)
    clear = terms.unit_cost > 0.5  # below, rounding to cents shows
    assert share[clear].between(0.54, 0.81).all()
    group = lines.store_id.map(tables["stores"].set_index("store_id").store_group)
    recent = lines[lines.transaction_timestamp >= "2017-07-24"]
    sold = recent.groupby(["product_id", group])["quantity"].sum() / 8
    stock = tables["stock"].set_index(["product_id", "store_group"])
    rate = sold.reindex(stock.index).fillna(0)
    assert (stock.on_hand <= np.ceil(4 * rate)).all()
    assert stock.on_hand.sum() / rate.sum() == pytest.approx(2, rel=0.05)  # half of four weeks, on average


def test_lead_times_come_in_the_shares_that_are_told(tables):
    shares = tables["supplier_terms"].lead_time_weeks.value_counts(normalize=True)
    for weeks, share in {1: 0.5, 2: 0.35, 3: 0.15}.items():
        assert shares[weeks] == pytest.approx(share, abs=0.02)
