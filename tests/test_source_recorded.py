"""Recorded sources replay their days; what they hold is frozen by a digest."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.config import Settings, load_settings
from ml.contract import Column, Table
from ml.errors import ConfigInvalid, SourceInvalid
from ml.shop import CUSTOMERS, PRODUCTS, PURCHASES
from ml.sources.complete_journey import CompleteJourney, product_title
from ml.sources.conform import arrow_schema
from ml.sources.opening import open_source
from ml.sources.source import replay

TABLES = (PURCHASES, PRODUCTS, CUSTOMERS)
DATES = st.dates(date(1990, 1, 1), date(2100, 1, 1))


@pytest.fixture(scope="module")
def journey():
    return open_source({"kind": "complete_journey", "location": None, "mapping": None}, Settings())


def test_a_logical_date_after_the_records_is_their_last_day(journey):
    state = journey.freeze(TABLES, date(2026, 11, 23))
    assert (state.clock, state.as_of_data, state.last_day) == ("replay", date(2017, 12, 31), date(2017, 12, 31))


def test_another_late_date_freezes_the_same_digest_and_an_earlier_day_another(journey):
    late, later = journey.freeze(TABLES, date(2026, 11, 23)), journey.freeze(TABLES, date(2026, 11, 24))
    assert late.digest == later.digest
    assert journey.freeze(TABLES, date(2017, 11, 30)).digest != late.digest


def test_a_day_without_records_keeps_the_day_before(journey):
    christmas, eve = journey.freeze(TABLES, date(2017, 12, 25)), journey.freeze(TABLES, date(2017, 12, 24))
    assert christmas.last_day == date(2017, 12, 24)
    assert christmas.digest == eve.digest


def test_a_shift_moves_the_logical_date():
    shift = (date(2017, 6, 1) - date(2026, 11, 23)).days
    shifted = open_source({"kind": "complete_journey", "replay_shift_days": shift}, Settings())
    assert shifted.freeze(TABLES, date(2026, 11, 23)).as_of_data == date(2017, 6, 1)


@given(requested=DATES, shift=st.integers(-5000, 5000))
def test_replay_stays_in_the_records_and_keeps_the_order(requested, shift):
    first, last = date(2017, 1, 1), date(2017, 12, 31)
    today = replay(requested, shift, first, last)
    assert first <= today <= last
    assert today <= replay(requested + timedelta(days=1), shift, first, last) <= today + timedelta(days=1)


def test_the_recorded_rows_are_all_there(journey):
    """Row count and sums against DuckDB's own reading of the files."""
    rows = next(journey.read(PURCHASES, date(2017, 12, 31)))
    file = CompleteJourney.open(journey_spec()).folder / "transactions.parquet"
    n_rows, units, sales = duckdb.sql(
        f"SELECT count(*), sum(quantity), sum(sales_value) FROM '{file}' WHERE transaction_timestamp < '2018-01-01'"
    ).fetchall()[0]
    assert rows.schema.equals(arrow_schema(PURCHASES))
    assert (len(rows), sum(rows["quantity"].to_pylist())) == (n_rows, units)
    assert sum(rows["amount"].to_pylist()) == pytest.approx(sales)


def journey_spec():
    from ml.sources.source import parse_spec

    return parse_spec({"kind": "complete_journey"})


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        (("LEMONS", "CITRUS", "Private", "2 LB"), "Lemons (Citrus), store brand, 2 lb"),
        (("CHEESE:SPECIALTY", "CHEESES", "National", None), "Cheese: Specialty"),
        ((None, "CANDLES/ACCESSORIES", "National", None), "Candles/Accessories"),
        ((None, None, "National", "1 OZ"), None),
    ],
)
def test_product_titles_read_like_titles(parts, title):
    assert product_title(*parts) == title


def test_a_table_that_was_never_recorded_is_named(journey):
    returns = Table(name="returns", columns=(Column(name="return_id", type="string"),))
    with pytest.raises(SourceInvalid, match="table returns in Complete Journey"):
        list(journey.read(returns, date(2017, 12, 31)))


def test_an_unknown_key_of_the_section_is_refused():
    with pytest.raises(ConfigInvalid, match=r"source\.kin"):
        open_source({"kin": "files"}, Settings())


@pytest.fixture(scope="module")
def retail():
    settings = load_settings()
    if settings.data_dir is None or not Path(settings.data_dir, "online_retail").is_dir():
        pytest.skip("needs TRADEWIND_DATA_DIR with online_retail")
    return open_source({"kind": "online_retail"}, settings)


def test_online_retail_has_the_published_clean_subset(retail):
    """Customers, articles and invoices of the clean subset: Chen, Sain & Guo 2012, doi:10.1057/dbm.2012.17."""
    state = retail.freeze((PURCHASES, PRODUCTS), date(2026, 11, 23))
    rows = next(retail.read(PURCHASES, state.last_day))
    names = ("customer_id", "product_id", "basket_id")
    assert state.last_day == date(2011, 12, 9)
    assert [len(rows[name].unique()) for name in names] == [4338, 3665, 18532]
    assert len(next(retail.read(PRODUCTS, state.last_day))) == 3665
    assert list(retail.read(CUSTOMERS, state.last_day)) == []


def test_online_retail_without_its_folder_says_what_to_set():
    with pytest.raises(SourceInvalid, match="Set TRADEWIND_DATA_DIR"):
        open_source({"kind": "online_retail"}, Settings(data_dir=None))
