"""Converts one raw column to the contract's type, value by value: each is converted, missing, or wrong; none is guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml.contract import Column, ColumnType
from ml.field import NO_IDENTIFIER, is_identifier, is_shown
from ml.sources.mapping import NO_VALUE, ColumnMapping, TableMapping
from ml.sources.times import times_of

ARROW_TYPES: dict[ColumnType, Any] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "timestamp": pa.timestamp("us"),
    "boolean": pa.bool_(),
}
TRUTHS = {"true": True, "t": True, "yes": True, "1": True, "false": False, "f": False, "no": False, "0": False}
EXACT = 2**53  # whole numbers beyond it may have been rounded by whoever wrote them as floats
NOT_EXACT = r"^[+-]?[0-9]+(\.[0-9]*)?[eE][+-]?[0-9]+$|^[+-]?[0-9]*\.[0-9]*[1-9][0-9]*$"
NOT_WHOLE = "numbers that are not whole, or too large to be exact"
SAME_MARKS = {
    " ": " \u00a0\u2009\u202f",
    "'": "'\u2019",
}  # what programs write for a space, narrow or not, and an apostrophe
FLOAT_WHOLE = r"^([+-]?[0-9]+)\.0+$"


@dataclass(frozen=True)
class Rule:
    """How a table's column is to be read."""

    column: Column
    mapped: ColumnMapping
    table: TableMapping
    is_identifier: bool
    """Other tables or rows are found by it: `39.0` and `39` are the same one."""


@dataclass(frozen=True)
class Converted:
    """A column in the contract's type, and what could not be read."""

    values: pa.ChunkedArray
    """Only to be used where nothing is wrong."""
    wrong: np.ndarray[Any, np.dtype[np.bool_]]
    """Which values do not convert `(n_rows,)`."""
    why: str = ""
    """What they are, in words that quote none."""


def convert(raw: pa.ChunkedArray, rule: Rule) -> Converted:
    """Return a raw column's values in the contract's type; text is trimmed, and empty text is missing."""
    values = present(raw, rule.table.missing or ())
    if pa.types.is_decimal(raw.type):
        values, rule = raw.cast(pa.string()), replace(rule, table=TableMapping())  # text of our own, with a point
    try:
        return _BY_TYPE[rule.column.type](values, rule)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _all_wrong(values, f"{values.type} values that do not convert")


def present(values: pa.ChunkedArray, missing: tuple[str, ...]) -> pa.ChunkedArray:
    """Return the values with text as plain trimmed text, and what means a missing value as missing."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        values = _decoded(values)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        values = values.cast(pa.string())
    if not pa.types.is_string(values.type):
        return values
    trimmed = pc.utf8_trim_whitespace(values)
    none = pc.is_in(trimmed, value_set=pa.array(["", *missing]))
    return pc.if_else(none, pa.scalar(None, pa.string()), trimmed)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return values  # no text: whoever wants text will say so


def _string(values: pa.ChunkedArray, rule: Rule) -> Converted:
    if pa.types.is_floating(values.type):
        wrong = _where(pc.invert(_is_whole(values)))
        whole = values if wrong.any() else values.cast(pa.int64()).cast(pa.string())
        return Converted(whole, wrong, NOT_WHOLE)
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return _all_wrong(values, "bytes that are no UTF-8 text")
    text = values.cast(pa.string())
    if rule.is_identifier and not rule.mapped.verbatim:
        whole = pc.replace_substring_regex(text, FLOAT_WHOLE, r"\1")
        is_said = rule.table.missing not in (None, NO_VALUE)  # the shop lists its words: any other one is a name
        unfit = _where_not(whole, is_shown if is_said else is_identifier)
        if unfit.any():
            return Converted(text, unfit, f"{NO_IDENTIFIER} (list words that mean a missing value under `missing`)")
        wrong = _where(pc.match_substring_regex(text, NOT_EXACT))
        why = "decimal numbers where an identifier belongs (`verbatim: true` takes them as they are)"
        return Converted(whole, wrong, why)
    return Converted(text, _none_wrong(values))


def _where_not(texts: pa.ChunkedArray, is_fit: Callable[[str], bool]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which texts do not fit `(n_rows,)`; each is asked for once."""
    unfit = [text for text in pc.unique(texts).to_pylist() if text is not None and not is_fit(text)]
    return _where(pc.is_in(texts, value_set=pa.array(unfit, pa.string())))


def _float(values: pa.ChunkedArray, rule: Rule) -> Converted:
    if pa.types.is_string(values.type):
        return _number_text(values, rule)
    if pa.types.is_floating(values.type):
        values = _without_nan(values)  # infinite ones are numbers: the rules on the data quarantine their rows
    return Converted(_divided(values.cast(pa.float64()), rule), _none_wrong(values), "")


def _whole(values: pa.ChunkedArray, rule: Rule) -> Converted:
    if pa.types.is_string(values.type):
        return _number_text(values, rule)
    if pa.types.is_floating(values.type) or rule.mapped.divide_by != 1:
        return _as_whole(_divided(_without_nan(values.cast(pa.float64())), rule), np.zeros(len(values), bool), "")
    return Converted(values.cast(pa.int64()), _none_wrong(values))


def _number_text(values: pa.ChunkedArray, rule: Rule) -> Converted:
    """Return numbers that are text, under the mapping's marks; one that the marks allow to be read in two ways is wrong."""
    decimal, grouping = rule.table.decimal, _grouping(rule.table)
    wants_whole = rule.column.type == "int64" and rule.mapped.divide_by == 1
    ok = pc.match_substring_regex(values, _form(rule.table, wants_whole))
    wrong = _where(pc.invert(ok))
    why = f"text that is no {'whole ' if wants_whole else ''}number with the decimal mark {decimal!r}, or could be two"
    if wrong.any():
        return Converted(values, wrong, why)
    plain = pc.replace_substring_regex(values, f"[{grouping}]", "")
    plain = pc.replace_substring(plain, decimal, ".") if decimal != "." else plain
    if wants_whole:
        return _whole_text(pc.replace_substring_regex(plain, r"\.0*$", ""))
    numbers = _divided(plain.cast(pa.float64()), rule)
    wrong = _where(pc.invert(pc.is_finite(numbers)))
    return (
        _as_whole(numbers, wrong, "infinite numbers") if rule.column.type == "int64" else Converted(numbers, wrong, why)
    )


def _grouping(table: TableMapping) -> str:
    """Return all signs that stand for the table's mark between groups of digits."""
    mark = table.grouping or {".": ",", ",": "."}[table.decimal]
    return SAME_MARKS.get(mark, mark)


def _form(table: TableMapping, wants_whole: bool) -> str:
    """Return the pattern of a number: grouped by thousands only as declared, or where no other reading is left."""
    mark, group = f"[{table.decimal}]", f"[{_grouping(table)}]"
    decimals, fraction = ("0*", f"(?:{mark}0*)?") if wants_whole else ("[0-9]*", f"(?:{mark}[0-9]*)?")
    first = "[1-9][0-9]{0,2}"
    if table.grouping is not None:
        grouped = [f"{first}(?:{group}[0-9]{{3}})+{fraction}"]
    else:
        grouped = [f"{first}(?:{group}[0-9]{{3}})+{mark}{decimals}", f"{first}(?:{group}[0-9]{{3}}){{2,}}"]
    plain = [f"[0-9]+{fraction}", *([] if wants_whole else [f"{mark}[0-9]+"])]
    exponent = "" if wants_whole else "(?:[eE][+-]?[0-9]+)?"
    return f"^[+-]?(?:(?:{'|'.join(plain)}){exponent}|{'|'.join(grouped)})$"


def _whole_text(plain: pa.ChunkedArray) -> Converted:
    try:
        return Converted(pc.replace_substring_regex(plain, r"^\+", "").cast(pa.int64()), _none_wrong(plain))
    except pa.ArrowInvalid:
        large = [value is not None and not -(2**63) <= int(value[:40]) < 2**63 for value in plain.to_pylist()]
        return Converted(plain, np.asarray(large, bool), "whole numbers beyond 64 bits")


def _as_whole(numbers: pa.ChunkedArray, wrong: np.ndarray[Any, np.dtype[np.bool_]], why: str) -> Converted:
    broken = _where(pc.invert(_is_whole(numbers)))
    if wrong.any() or broken.any():
        return Converted(numbers, wrong | broken, why if wrong.any() else NOT_WHOLE)
    return Converted(numbers.cast(pa.int64()), wrong)


def _divided(numbers: pa.ChunkedArray, rule: Rule) -> pa.ChunkedArray:
    return numbers if rule.mapped.divide_by == 1 else pc.divide(numbers.cast(pa.float64()), rule.mapped.divide_by)


def _without_nan(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the numbers with not-a-number as missing: pandas writes it so."""
    return pc.if_else(pc.is_nan(numbers), pa.scalar(None, numbers.type), numbers)


def _is_whole(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    numbers = numbers.cast(pa.float64())
    exact = pc.less_equal(pc.abs(numbers), float(EXACT))
    return pc.and_(exact, pc.equal(pc.floor(numbers), numbers))


def _boolean(values: pa.ChunkedArray, _: Rule) -> Converted:
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        values = pc.replace_substring_regex(values.cast(pa.string()), FLOAT_WHOLE, r"\1")
    if not pa.types.is_string(values.type):
        return Converted(values.cast(pa.bool_()), _none_wrong(values))
    at = pc.index_in(pc.utf8_lower(values), value_set=pa.array(list(TRUTHS)))
    wrong = _where(pc.and_(pc.is_null(at), pc.is_valid(values)))
    return Converted(pc.take(pa.array(list(TRUTHS.values())), at), wrong, "no truth values")


def _time(values: pa.ChunkedArray, rule: Rule) -> Converted:
    times, wrong, why = times_of(values, rule.mapped)
    return Converted(times, wrong, why)


_BY_TYPE: dict[ColumnType, Callable[[pa.ChunkedArray, Rule], Converted]] = {
    "string": _string,
    "int64": _whole,
    "float64": _float,
    "boolean": _boolean,
    "timestamp": _time,
}


def _where(condition: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return a condition as an array `(n_rows,)`; false where the value is missing."""
    return np.asarray(pc.fill_null(condition, False).combine_chunks().to_numpy(zero_copy_only=False), dtype=bool)


def _none_wrong(values: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.zeros(len(values), dtype=bool)


def _all_wrong(values: pa.ChunkedArray, why: str) -> Converted:
    return Converted(values, _where(pc.is_valid(values)), why)
