"""Says what was found in a shop's data without quoting it: a shifted row puts an e-mail into any column.

A value is described by its length and a mask. It is quoted only where the column is harmless and the value is plainly a short
number with a decimal part or a point in time: such a value names nobody, whatever column it was meant for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from ml.contract import Column, Table

MASKED = 24  # characters of a mask that are shown
NAMES = 40  # column names that are shown
HARMLESS = re.compile(
    r"[+-]?(?=(?:\D*\d){1,6}\D*$)[\d.,' ]*[.,]\d*"  # up to six digits, and a decimal or thousands mark
    r"|\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?"
    r"|\d{1,2}[./]\d{1,2}[./]\d{4}(?: \d{2}:\d{2}(?::\d{2})?)?"
)
DATA = re.compile(r"[+-]?\d[\d.,:/TZ +-]*|.*@.*", re.DOTALL)  # what no column is called: a number, a time, an e-mail


def mask(value: str) -> str:
    """Return a value's form: digits become 9, letters a or A, the rest stays; cut after `MASKED` characters."""
    form = "".join(_masked(letter) for letter in value[:MASKED])
    return form if len(value) <= MASKED else f"{form}…"


def _masked(letter: str) -> str:
    if letter.isdigit():
        return "9"
    if letter.isalpha():
        return "A" if letter.isupper() else "a"
    return letter if letter.isascii() and letter.isprintable() else "?"


def described(value: str, *, is_harmless: bool) -> str:
    """Return what a message may say of a value: itself where it names nobody, else its mask and length."""
    if is_harmless and HARMLESS.fullmatch(value):
        return repr(value)
    return f"{mask(value)!r} (masked, {len(value)} characters)"


def is_harmless(table: Table, column: Column) -> bool:
    """Tell whether a column holds numbers, truths or times that name nobody."""
    identifies = column.name in table.key or column.name in table.references
    return column.treatment == "keep" and column.type != "string" and not identifies


def column_names(names: Sequence[str]) -> str:
    """Return the names of a source's columns; masked where the first line looks like data instead of names."""
    if not names:
        return "no column"
    if any(DATA.fullmatch(name.strip()) for name in names):
        shown = ", ".join(repr(mask(name)) for name in names[:NAMES])
        return f"a first line that looks like data, not names (masked): {shown}"
    return f"the columns {', '.join(name if name.isprintable() else repr(name) for name in names[:NAMES])}"


def like(name: str, names: Sequence[str]) -> str | None:
    """Return the name that differs in case, spaces and signs alone, or is close; none if there is none."""
    plain = {_plain(other): other for other in reversed(names) if not DATA.fullmatch(other.strip())}
    if _plain(name) in plain:
        return plain[_plain(name)]
    close = get_close_matches(_plain(name), plain, n=1, cutoff=0.8)
    return plain[close[0]] if close else None


def same_but_spelling(name: str, names: Sequence[str]) -> list[str]:
    """Return the names that differ from one in case, spaces and signs alone."""
    return [other for other in names if other != name and _plain(other) == _plain(name)]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
