"""Promotions, stock and supplier terms pass their rules; a corrupted row is set aside, or told of, by the rule that says why."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from ml.shop import PRODUCTS, PROMOTIONS, STOCK, SUPPLIER_TERMS
from ml.use_cases import load
from tests.judged_tables import judge_tables

TABLES = (PRODUCTS, PROMOTIONS, STOCK, SUPPLIER_TERMS)


@pytest.fixture(scope="module")
def generated():
    made = load("inventory").data.sample(np.random.default_rng(5), 20)
    return {table.name: made[table.name] for table in TABLES}


@pytest.fixture
def tables(generated):
    return {name: rows.copy() for name, rows in generated.items()}


@pytest.fixture
def judge(tmp_path):
    """Judge tables; return the outcomes by table and the names of the failed rules with their failing rows."""
    return lambda tables: judge_tables(tmp_path, "inventory", TABLES, tables, date(2026, 6, 30))


def test_the_sample_passes_whole(judge, tables):
    outcomes, failed = judge(tables)
    assert failed == {}
    assert all(outcome.passed == len(tables[name]) > 0 for name, outcome in outcomes.items())


FAULTS = {
    "promotions.display_is_share": ("promotions", {"display": 40.0}),
    "promotions.mailer_is_share": ("promotions", {"mailer": -0.1}),
    "promotions.front_page_is_share": ("promotions", {"front_page": 1.01}),
    "stock.on_hand_plausible": ("stock", {"on_hand": -3}),
    "stock.on_order_plausible": ("stock", {"on_order": 2_000_000}),
    "stock.backorders_plausible": ("stock", {"backorders": -1}),
    "supplier_terms.lead_time_plausible": ("supplier_terms", {"lead_time_weeks": 28}),
    "supplier_terms.pack_size_plausible": ("supplier_terms", {"pack_size": 0}),
    "supplier_terms.minimum_order_not_negative": ("supplier_terms", {"minimum_order": -1}),
    "supplier_terms.unit_cost_positive": ("supplier_terms", {"unit_cost": 0.0}),
    "supplier_terms.service_level_is_chance": ("supplier_terms", {"service_level": 95.0}),
}


def test_a_faulty_row_is_set_aside_by_its_rule(judge, tables):
    for number, (table, change) in enumerate(FAULTS.values()):
        tables[table].loc[[3 + number, 30 + number], list(change)] = list(change.values())
    outcomes, failed = judge(tables)
    assert failed == dict.fromkeys(FAULTS, 2)
    assert {name: outcome.quarantined for name, outcome in outcomes.items()} == {
        "products": 0,
        "promotions": 6,
        "stock": 6,
        "supplier_terms": 10,
    }


def test_a_promotion_that_begins_on_another_day_passes_with_a_warning(judge, tables):
    tables["promotions"].loc[:1, "week"] += pd.Timedelta(days=2)
    outcomes, failed = judge(tables)
    assert failed == {"promotions.week_is_monday": 2}
    assert outcomes["promotions"].quarantined == 0


def test_stock_of_an_unknown_product_and_a_second_count_are_set_aside(judge, tables):
    tables["stock"].loc[0, "product_id"] = "unheard-of"
    tables["stock"] = pd.concat([tables["stock"], tables["stock"].iloc[5:6]], ignore_index=True)
    assert judge(tables)[1] == {"stock.product_id_in_products": 1, "stock.key_unique": 1}
