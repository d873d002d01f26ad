"""From a live source nothing is learned of a day, or of a week, that is not over where the shop is."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa

from ml.config import Settings
from ml.errors import SourceInvalid
from ml.shop import PRODUCTS, PURCHASES
from ml.sources.opening import open_source
from ml.use_cases.inventory.params import InventoryFeatures
from ml.use_cases.inventory.weekly import weekly
from tests.test_inventory_examples import expressions

ZONES = ("UTC", "Asia/Shanghai", "America/Los_Angeles")
WEEK = [datetime(2026, 11, 16, 4, 30, tzinfo=UTC) + timedelta(days=day) for day in range(8)]  # Monday to Monday
MONDAY = date(2026, 10, 26)  # the first day with sales
PARAMS = InventoryFeatures()
FEWEST_ONE = PARAMS.model_copy(update={"window": PARAMS.window.model_copy(update={"min_sales": 1})})
TABLES = (PURCHASES, PRODUCTS)


def sales(until):
    """One piece an hour from the first Monday's midnight until a moment, the shop's local time."""
    moments = pd.date_range(datetime.combine(MONDAY, datetime.min.time()), until, freq="h")
    rows = pd.DataFrame({"purchased_at": moments.strftime("%Y-%m-%d %H:%M:%S"), "customer_id": "c", "product_id": "p"})
    return rows.assign(
        basket_id=[f"b{i}" for i in range(len(rows))], store_id="s", quantity=1, amount=1.0, discount=0.0
    )


def products():
    return pd.DataFrame({"product_id": ["p"], "name": "Tea", "department": "TEA", "category": "TEA"})


def files(folder, rows, zone):
    rows.to_csv(folder / "purchases.csv", index=False)
    products().to_csv(folder / "products.csv", index=False)
    spec = {"kind": "files", "location": str(folder), "mapping": {"time_zone": zone}}
    return open_source(spec, Settings())


def database(folder, rows, zone):
    url = f"sqlite:///{folder}/shop.db"
    engine = sa.create_engine(url)
    rows.to_sql("purchases", engine, index=False, if_exists="replace")
    products().to_sql("products", engine, index=False, if_exists="replace")
    engine.dispose()
    return open_source({"kind": "sql", "location": url, "mapping": {"time_zone": zone}}, Settings())


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("live", [files, database])
def test_every_day_that_is_over_counts_and_the_one_that_goes_on_does_not(tmp_path, live, zone):
    for now in WEEK:
        here = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        source = live(tmp_path, sales(here), zone)
        state = source.freeze(TABLES, now.date(), now)
        over = min(now.date(), here.date() - timedelta(days=1))
        assert (state.as_of_data, state.last_day) == (over, over)
        rows = pa.concat_tables(source.read(PURCHASES, state.last_day)).to_pandas()
        assert len(rows) == 24 * ((over - MONDAY).days + 1)
        assert rows["purchased_at"].max() == datetime(over.year, over.month, over.day, 23)
        found = weekly(expressions({"purchases": rows, "products": products().astype("str")}), FEWEST_ONE)
        assert found.table.demand.shape == (1, ((over - MONDAY).days + 1) // 7)
        assert (found.table.demand == 24 * 7).all()


def test_a_day_in_the_past_is_asked_for_as_it_was(tmp_path):
    source = files(tmp_path, sales(datetime(2026, 11, 20, 12)), "UTC")
    assert source.freeze(TABLES, date(2026, 11, 10), WEEK[-1]).as_of_data == date(2026, 11, 10)


def test_a_shop_that_opened_today_is_told_when_its_day_counts(tmp_path):
    source = files(tmp_path, sales(datetime(2026, 10, 26, 12)), "UTC")
    with pytest.raises(SourceInvalid, match="counts from tomorrow on"):
        source.freeze(TABLES, MONDAY, datetime(2026, 10, 26, 12, tzinfo=UTC))


def test_what_bears_no_date_has_no_day_to_wait_for(tmp_path):
    source = files(tmp_path, sales(datetime(2026, 10, 26, 12)), "UTC")
    assert source.freeze((PRODUCTS,), MONDAY, datetime(2026, 10, 26, 12, tzinfo=UTC)).as_of_data == MONDAY


def test_of_several_sources_the_dated_one_says_which_day_is_over(tmp_path):
    files(tmp_path, sales(datetime(2026, 11, 20, 12)), "UTC")
    part = {"kind": "files", "location": str(tmp_path)}
    parts = [{**part, "tables": ["products"]}, {**part, "tables": ["purchases"]}]
    state = open_source({"kind": "several", "parts": parts}, Settings()).freeze(
        TABLES, date(2026, 11, 20), datetime(2026, 11, 20, 12, tzinfo=UTC)
    )
    assert (state.as_of_data, state.last_day) == (date(2026, 11, 19), date(2026, 11, 19))
