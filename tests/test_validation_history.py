"""What is learned from accepted runs: late, missing and partial days are named, drift and units told, growth is not."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_checks.judgement import rulings, verdict_of
from data_checks.profile import History, profile
from data_checks.runner import Outcome
from data_checks.shift import compare, worst
from data_checks.sketch import count_days
from data_checks.standard import Standard
from ml.contract import Column, Table
from ml.files import write_arrow
from ml.parameter import ChecksParams
from ml.sources.engine import open_tables

SALES = Table(
    name="sales",
    time_column="sold_at",
    columns=(
        Column(name="customer_id", type="string", treatment="pseudonym"),
        Column(name="price", type="float64", nullable=True, description="paid [currency of the shop]"),
        Column(name="weight", type="float64", description="of the parcel [kilograms]"),
        Column(name="channel", type="string"),
        Column(name="sold_at", type="timestamp"),
    ),
)
FIRST, NEWEST = date(2026, 3, 2), date(2026, 7, 12)  # a Monday, a Sunday
TODAY = NEWEST + timedelta(days=1)
ROWS = 200  # a weekday; a Sunday brings none


def sold(rng, last):
    """Return what was sold up to a day: lognormal prices with a Saturday's mood, few missing, three channels."""
    days = [day for day in pd.date_range(FIRST, last) if day.weekday() != 6]
    at = np.repeat(pd.DatetimeIndex(days), ROWS)
    n_rows = len(at)
    price = np.exp(rng.normal(1.2, 0.9, n_rows) + 0.1 * (at.weekday == 5)).round(2)
    return pd.DataFrame(
        {
            "customer_id": rng.integers(0, 500, n_rows).astype(str),
            "price": np.where(rng.random(n_rows) < 0.02, np.nan, price),
            "weight": np.exp(rng.normal(0, 0.6, n_rows)).round(3),
            "channel": rng.choice(["till", "online", "app"], n_rows, p=[0.6, 0.3, 0.1]),
            "sold_at": at + pd.to_timedelta(rng.integers(8 * 3600, 20 * 3600, n_rows), unit="s"),
        }
    )


@pytest.fixture(scope="module")
def came(tmp_path_factory):
    """Return what the runner would say came; no rule on rows is asked."""

    def outcome(rows, as_of):
        folder = tmp_path_factory.mktemp("rows")
        write_arrow(folder / "sales" / "all.parquet", pa.Table.from_pandas(rows, preserve_index=False))
        columns = dict(count_days(SALES, open_tables(folder)["sales"], as_of))
        days = rows.groupby(rows.sold_at.dt.date).size().to_dict()
        return Outcome(
            table=SALES,
            received=len(rows),
            passed=len(rows),
            newest_day=max(days),
            findings=(),
            days=days,
            columns=columns,
        )

    return outcome


@pytest.fixture(scope="module")
def grown():
    """Everything sold up to today, of which the accepted run saw all but today."""
    return sold(np.random.default_rng(7), TODAY)


@pytest.fixture(scope="module")
def accepted(came, grown, tmp_path_factory):
    before = came(grown[grown.sold_at.dt.date <= NEWEST], NEWEST)
    return profile([before], tmp_path_factory.mktemp("none"), NEWEST)


@pytest.fixture
def judge(came, accepted):
    def failed(rows, as_of=TODAY, runs=(), params=ChecksParams()):  # noqa: B008 - a frozen record
        outcome = came(rows, as_of)
        history = History(runs=(*runs, ("last", accepted)))
        shifts = worst(compare({"sales": (SALES, outcome.columns)}, accepted))
        found = rulings([outcome], Standard(params=params, as_of=as_of, history=history, shifts=shifts))
        rules = verdict_of(found, [outcome]).rules
        return {rule.name: rule for rule in rules if not rule.passed}

    return failed


def today(rows):
    return rows.sold_at.dt.date == TODAY


def test_data_that_grew_by_a_day_do_not_alarm(judge, grown):
    assert judge(grown) == {}


def test_a_price_in_cents_is_called_that_and_refused(judge, grown):
    failed = judge(grown.assign(price=grown.price.where(~today(grown), grown.price * 100)))
    assert failed["sales.price_unit"].severity == "block"
    assert "price looks like cents instead of euros" in failed["sales.price_unit"].sentence
    assert "100 times those of the last accepted run, and the shape of their spread is unchanged" in (
        failed["sales.price_unit"].sentence
    )
    assert set(failed) == {"sales.price_unit", "sales.price_steady"}


@pytest.mark.parametrize(
    "change",  # column, factor, share of the rows, what they look like
    [
        ("price", 100, 0.5, "cents"),
        ("price", 0.01, 1.0, "euros or dollars"),
        ("weight", 1000, 0.5, "thousandths"),
        ("weight", 28.3495, 1.0, "grams"),
    ],
)
def test_a_new_days_unit_is_named_even_of_a_part_of_its_rows(judge, grown, rng, change):
    column, factor, share, seems = change
    changed = today(grown) & (rng.random(len(grown)) < share)
    failed = judge(grown.assign(**{column: grown[column].where(~changed, grown[column] * factor)}))
    assert f"looks like {seems}" in failed[f"sales.{column}_unit"].sentence
    assert failed[f"sales.{column}_unit"].observed == pytest.approx(factor, rel=1e-3)


def test_a_unit_changed_in_rows_that_were_accepted_before_is_found(judge, grown, rng):
    tenth = ~today(grown) & (rng.random(len(grown)) < 0.1)
    failed = judge(grown.assign(price=grown.price.where(~tenth, grown.price * 100)))
    assert "days that the last accepted run had too" in failed["sales.price_unit"].sentence
    assert "10% of the values" in failed["sales.price_unit"].sentence


def test_a_table_that_was_written_again_in_pounds_is_told(judge, grown):
    failed = judge(grown.assign(weight=grown.weight * 2.20462))
    assert "looks like pounds instead of kilograms" in failed["sales.weight_unit"].sentence


@pytest.mark.parametrize("factor", [0.5, 0.9, 2, 3])
def test_a_sale_or_dearer_goods_are_no_change_of_unit(judge, grown, rng, factor):
    part = today(grown) & (rng.random(len(grown)) < 0.6)
    for changed in (today(grown), part):
        failed = judge(grown.assign(price=grown.price.where(~changed, grown.price * factor)))
        assert "sales.price_unit" not in failed


def test_bulk_orders_are_no_change_of_unit(judge, grown, rng):
    bulk = today(grown) & (rng.random(len(grown)) < 0.2)
    dear = np.exp(rng.normal(5.8, 0.3, len(grown)))
    assert "sales.price_unit" not in judge(grown.assign(price=np.where(bulk, dear, grown.price)))


def test_only_the_column_that_drifted_is_told_with_its_effect_and_what_is_usual(judge, grown, rng):
    moved = today(grown) & (rng.random(len(grown)) < 0.6)
    failed = judge(grown.assign(channel=grown.channel.where(~moved, "online")))
    assert set(failed) == {"sales.channel_steady"}
    rule = failed["sales.channel_steady"]
    assert rule.severity == "warn"
    assert rule.observed == pytest.approx(0.6 * 0.7, abs=0.1)  # of the 70 % that were not online, six in ten went there
    assert "learned from" in rule.sentence


def test_values_that_went_missing_are_told(judge, grown):
    gone = today(grown) & (grown.index % 4 == 0)
    failed = judge(grown.assign(price=grown.price.mask(gone)))
    assert set(failed) == {"sales.price_steady"}
    assert (
        "has no value in 26" in failed["sales.price_steady"].sentence or "27" in failed["sales.price_steady"].sentence
    )


def test_a_missing_day_is_named_and_a_closed_weekday_is_not(judge, grown):
    later = sold(np.random.default_rng(8), TODAY + timedelta(days=9))
    rows = pd.concat([grown[~today(grown)], later[later.sold_at.dt.date >= TODAY]], ignore_index=True)
    lost = date(2026, 7, 15)
    failed = judge(rows[rows.sold_at.dt.date != lost], as_of=date(2026, 7, 22))
    assert set(failed) == {"sales.days_present"}
    assert "for Wednesday 2026-07-15, though 200 or so are usual" in failed["sales.days_present"].sentence
    closed = ChecksParams(closed_days=("07-15",))
    assert judge(rows[rows.sold_at.dt.date != lost], as_of=date(2026, 7, 22), params=closed) == {}


def test_a_day_that_vanished_since_it_was_accepted_is_named(judge, grown):
    failed = judge(grown[grown.sold_at.dt.date != date(2026, 5, 5)])
    assert "Tuesday 2026-05-05" in failed["sales.days_present"].sentence


def test_a_day_that_came_in_part_is_named_with_what_its_weekday_brings(judge, grown):
    part = grown[~today(grown) | (grown.index % 4 == 0)]
    failed = judge(part)
    assert set(failed) == {"sales.days_whole"}
    assert "Monday 2026-07-13 brought 50 sales, where 200 are usual" in failed["sales.days_whole"].sentence


def earlier(accepted, count, growth):
    """Return runs on the days before, each with so much fewer rows."""
    return tuple(
        (
            f"run-{back}",
            {
                "as_of": str(NEWEST - timedelta(days=back)),
                "tables": {
                    "sales": {
                        "rows": round(accepted["tables"]["sales"]["rows"] / growth**back),
                        "newest_day": str(NEWEST - timedelta(days=back)),
                    }
                },
            },
        )
        for back in range(count, 0, -1)
    )


def test_days_that_are_late_are_named(judge, grown, accepted):
    runs = earlier(accepted, 6, 1.01)
    failed = judge(grown, as_of=TODAY + timedelta(days=2), runs=runs)
    assert set(failed) == {"sales.on_time"}
    assert "sales are late: Tuesday 2026-07-14, Wednesday 2026-07-15" in failed["sales.on_time"].sentence
    assert judge(grown, runs=runs) == {}


def test_volume_is_learned_once_enough_runs_were_accepted(judge, grown, accepted):
    """A shop that grew by 1 % a run: 1.01 ± 10 % is usual, where the constants tolerate 0.8 to 2."""
    half_again = pd.concat([grown, grown.sample(frac=0.3, random_state=1)], ignore_index=True)
    assert judge(half_again) == {}
    failed = judge(half_again, runs=earlier(accepted, 6, 1.01))
    assert set(failed) == {"sales.volume"}
    assert failed["sales.volume"].limit == f"{1.01 / 1.1:.4g}..{1.01 * 1.1:.4g}"
    assert "learned from 7 accepted runs" in failed["sales.volume"].sentence


def test_no_bin_of_a_profile_tells_of_fewer_than_five_rows(accepted):
    columns = accepted["tables"]["sales"]["columns"]
    for column in columns.values():
        assert min(column["all"]["bins"].values()) >= 5
    assert columns["price"]["all"]["kind"] == "number"
    assert set(columns["customer_id"]["all"]["bins"]) == {"present"}
    assert not {"till", "online", "app"} & set(
        columns["channel"]["all"]["bins"]
    )  # words of a column without agreed ones
