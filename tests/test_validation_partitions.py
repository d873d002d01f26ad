"""Day files are packed by month without losing, repeating or reordering any."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from data_checks.partition import month_of, packed

DAYS = st.dates(date(1999, 1, 1), date(2050, 12, 31))


@given(day=DAYS)
def test_a_day_belongs_to_its_calendar_month(day):
    assert month_of(day.isoformat()) == day.strftime("%Y-%m")


@given(name=st.sampled_from(["all", "undated", "2026-1-1", "x2026-01-01"]))
def test_other_names_stand_for_themselves(name):
    assert month_of(name) == name


@given(days=st.sets(DAYS, max_size=60), undated=st.booleans(), seed=st.randoms())
def test_every_file_is_in_exactly_one_pack_in_order(days, undated, seed):
    files = [Path(f"{day.isoformat()}.parquet") for day in days] + [Path("undated.parquet")] * undated
    seed.shuffle(files)
    packs = list(packed(files))
    names = [name for name, _ in packs]
    assert [file for _, members in packs for file in members] == sorted(files)
    assert names == sorted(set(names))
    assert all(month_of(file.stem) == name for name, members in packs for file in members)
