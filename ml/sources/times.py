"""Reads points in time as the shop's local time: with or without an offset, across daylight saving, of real days only."""

from __future__ import annotations

from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ml.sources.mapping import ColumnMapping
from ml.sources.time_format import tells_instants

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
LOCAL = pa.timestamp("us")
OFFSET = r"(?:Z|z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
CLOCK = r"[0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]{1,9})?)?)?"
ISO = rf"^(?:[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|[0-9]{{8}})(?:[T ]{CLOCK} ?(?:{OFFSET[:-1]})?)?$"
FIRST, LAST = (
    pd.Timestamp("0001-01-02"),
    pd.Timestamp("9999-12-30"),
)  # a day from the calendar's ends: an offset may cross them
NO_ZONE = "times with an offset, without a `time_zone` of the mapping that says in which zone the shop's local time is"
NO_TIME = "no points in time"
GAP = "local times that the clock skips in {zone} (daylight saving)"


def times_of(values: pa.ChunkedArray, mapped: ColumnMapping) -> tuple[pa.ChunkedArray, Mask, str]:
    """Return local times without a zone `(n_rows,)`, which values are none, and what these are.

    A time with an offset is an instant: with `time_zone` it is told in that zone; without, it stands as it is written, as long as
    all of the column bear one and the same offset. A time without an offset is local already.
    """
    if values.type == pa.null():
        return values.cast(LOCAL), np.zeros(len(values), dtype=bool), ""
    if pa.types.is_string(values.type):
        return _of_text(values, mapped)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s")) if values.type == pa.date32() else values.cast(pa.timestamp("ms"))
    if not pa.types.is_timestamp(values.type):
        return values, _filled(pc.is_valid(values)), f"{values.type} values, {NO_TIME}"
    if values.type.tz is not None:
        values = pc.local_timestamp(values.cast(pa.timestamp(values.type.unit, mapped.time_zone or values.type.tz)))
        return _bounded(values, None)
    return _bounded(values, mapped.time_zone)


def _bounded(values: pa.ChunkedArray, zone: str | None) -> tuple[pa.ChunkedArray, Mask, str]:
    """Return times in microseconds; finer is cut off."""
    kind = values.type
    low, high = (pa.scalar(day.to_pydatetime(), LOCAL).cast(kind) for day in _ends(kind))
    wrong = _filled(pc.or_(pc.less(values, low), pc.greater(values, high)))
    if wrong.any():
        return values, wrong, f"times outside the years {FIRST.year} to {LAST.year}"
    local = values.cast(LOCAL, safe=False)
    skipped = _in_gap(local.to_pandas(), zone)
    return local, skipped, GAP.format(zone=zone)


def _ends(kind: pa.DataType) -> tuple[pd.Timestamp, pd.Timestamp]:
    return (pd.Timestamp("1678-01-01"), pd.Timestamp("2262-01-01")) if kind.unit == "ns" else (FIRST, LAST)


def _of_text(values: pa.ChunkedArray, mapped: ColumnMapping) -> tuple[pa.ChunkedArray, Mask, str]:
    text = values.to_pandas().astype("str")
    has_offset = _has_offset(text, mapped.format)
    parsed = _parsed(text, mapped.format)
    wrong = _filled(pc.is_valid(values)) & (parsed.isna() | (parsed < FIRST) | (parsed > LAST)).to_numpy(dtype=bool)
    if wrong.any():
        form = f"of the format {mapped.format}" if mapped.format else "in ISO 8601 (2026-11-23T18:05:00)"
        return values, wrong, f"text that is no point in time {form}"
    local, skipped, why = _local(text, parsed, has_offset, mapped)
    return pa.chunked_array([pa.Array.from_pandas(local.astype("datetime64[us]"), type=LOCAL)]), skipped, why


def _has_offset(text: pd.Series[Any], form: str | None) -> Mask:
    if form is not None:
        return np.full(len(text), tells_instants(form)) & text.notna().to_numpy(dtype=bool)
    clock = (
        text.str.contains(":", regex=False) | text.str.contains("T", regex=False) | text.str.contains(" ", regex=False)
    )
    return (clock & text.str.contains(OFFSET, regex=True)).fillna(False).to_numpy(dtype=bool)


def _parsed(text: pd.Series[Any], form: str | None) -> pd.Series[Any]:
    """Return instants for times with an offset, local times for those without, all without a zone; none where it is no time."""
    if form is not None:
        return pd.to_datetime(text, format=form, errors="coerce", utc=True).dt.tz_localize(None)
    plain = text.where(text.str.fullmatch(ISO).fillna(False).astype(bool))
    return pd.to_datetime(plain, format="ISO8601", errors="coerce", utc=True).dt.tz_localize(None)


def _local(
    text: pd.Series[Any], parsed: pd.Series[Any], has_offset: Mask, mapped: ColumnMapping
) -> tuple[pd.Series[Any], Mask, str]:
    if not has_offset.any():
        return parsed, _in_gap(parsed, mapped.time_zone), GAP.format(zone=mapped.time_zone)
    if mapped.time_zone is not None:
        told = parsed.dt.tz_localize("UTC").dt.tz_convert(mapped.time_zone).dt.tz_localize(None)
        local = told.where(has_offset, parsed)
        return local, _in_gap(parsed.mask(has_offset), mapped.time_zone), GAP.format(zone=mapped.time_zone)
    written = _as_written(text[has_offset], mapped.format)
    if written is None or not has_offset[text.notna().to_numpy(dtype=bool)].all():
        return parsed, has_offset, NO_ZONE
    return parsed.where(~has_offset, written), np.zeros(len(text), dtype=bool), ""


def _as_written(text: pd.Series[Any], form: str | None) -> pd.Series[Any] | None:
    """Return times with an offset as local times of that offset; none where there is more than one."""
    try:
        return pd.to_datetime(text, format=form or "ISO8601").dt.tz_localize(None)
    except ValueError:
        return None


def _in_gap(local: pd.Series[Any], zone: str | None) -> Mask:
    """Tell which local times the zone's clocks skip: told in UTC and back, they are another time."""
    if zone is None or not len(local):
        return np.zeros(len(local), dtype=bool)
    shifted = local.dt.tz_localize(ZoneInfo(zone), nonexistent="NaT", ambiguous=np.zeros(len(local), dtype=bool))
    return np.asarray(local.notna() & shifted.isna(), dtype=bool)


def _filled(condition: pa.ChunkedArray) -> Mask:
    return np.asarray(pc.fill_null(condition, False).combine_chunks().to_numpy(zero_copy_only=False), dtype=bool)
