"""The worked example of docs/fraud-data.md: its very text is read by the `files` source and passes the checks."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from data_checks.runner import Job, checks_of, run
from ml.config import Settings
from ml.files import write_arrow
from ml.shop import CHARGEBACKS, PAYMENTS
from ml.sources.opening import open_source

PAGE = Path(__file__).parent.parent / "docs" / "fraud-data.md"
TABLES = (PAYMENTS, CHARGEBACKS)


@pytest.fixture
def shop(tmp_path):
    """The page's files, opened as the page says."""
    zone = tmp_path / "zone"
    zone.mkdir()
    blocks = re.findall(r"```(?:csv|yaml)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, text in zip(("zahlungen.csv", "rueckbuchungen.csv", "mapping.yaml"), blocks, strict=True):
        (zone / name).write_text(text)
    return open_source({"kind": "files", "location": str(zone), "mapping": "mapping.yaml"}, Settings())


def rows_of(source, table, day):
    return pd.concat([chunk.to_pandas() for chunk in source.read(table, day)], ignore_index=True)


def test_the_pages_payments_mean_what_the_page_says(shop):
    paid = rows_of(shop, PAYMENTS, date(2026, 12, 31))
    third = paid.iloc[2]
    assert len(paid) == 6
    assert (third.payment_id, third.customer_id, third.terminal_id) == ("Z-1003", "K-17", "12-web")
    assert (third.amount, third.coupon_amount, third.n_items) == (88.90, 5.00, 14)
    assert third.paid_at == pd.Timestamp("2026-11-23 21:48:03")
    assert list(paid.product_id.dropna()) == ["A-77", "A-77"]
    assert paid.basket_id.isna().sum() == 1


def test_the_pages_charge_back_counts_from_its_report_on(shop):
    assert shop.freeze(TABLES, date(2026, 12, 1)).last_day == date(2026, 11, 24)
    assert rows_of(shop, CHARGEBACKS, date(2026, 12, 1)).empty
    notice = rows_of(shop, CHARGEBACKS, date(2026, 12, 2)).iloc[0]
    assert (notice.payment_id, notice.reason) == ("Z-1003", "10.4")
    assert notice.reported_at == pd.Timestamp("2026-12-02 09:30")  # Berlin is an hour ahead of UTC in December


def test_the_pages_rows_pass_the_checks(shop, tmp_path):
    for table in TABLES:
        for chunk in shop.read(table, date(2026, 12, 2)):
            write_arrow(tmp_path / "in" / table.name / "all.parquet", chunk)
    job = Job(
        tables=TABLES,
        checks=checks_of("fraud"),
        source=tmp_path / "in",
        out=tmp_path / "out",
        as_of=date(2026, 12, 2),
    )
    outcomes, _ = run(job)
    assert [finding.check.name for outcome in outcomes for finding in outcome.findings if not finding.passed] == []
    assert [outcome.passed for outcome in outcomes] == [6, 1]


def test_the_page_lists_exactly_the_columns_of_the_contract():
    rows = re.findall(r"^\| `(\w+)` \| [\w ]+ \| (yes|no) \|", PAGE.read_text(), re.MULTILINE)
    columns = [column for table in TABLES for column in table.columns]
    assert rows == [(column.name, "yes" if column.nullable else "no") for column in columns]


def test_the_page_lists_exactly_the_rules():
    listed = re.findall(r"`((?:payments|chargebacks)\.\w+)`", PAGE.read_text().split("## What is checked")[1])
    assert sorted(listed) == sorted(check.name for check in checks_of("fraud"))
