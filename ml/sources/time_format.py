"""Judges a mapping's `format` of times before any value is read: formats that would lose half of a day, a year or an offset."""

from __future__ import annotations

import re

KNOWN = frozenset("aAbBcdfGHIjmMpSuUVwWxXyYz%")
UTC_AT_END = re.compile(r"(?<![A-Za-z%])(?:Z|UTC|GMT)\s*$")
OFFSET_AT_END = re.compile(r"[+-][0-9]{2}:?(?:[0-9]{2})?\s*$")
DIRECTIVE = re.compile(r"%(.?)", re.DOTALL)


def fault_of(form: str) -> str | None:
    """Return why times of this `strptime` format could not be read, or would be read as others; none where they can be."""
    directives = DIRECTIVE.findall(form)
    used = set(directives)
    if "Z" in used:
        return "%Z: names of time zones are ambiguous; deliver offsets and write %z, or write UTC as it stands"
    unknown = [f"%{one}" for one in directives if one not in KNOWN]
    if unknown:
        return f"{unknown[0]} is no directive of strptime"
    if not _has_date(used):
        return "a year and a day are needed, such as %Y-%m-%d"
    if ("p" in used) != ("I" in used) or {"H", "I"} <= used:
        return "%I and %p go together: the 12-hour clock; %H is the 24-hour clock"
    if "z" not in used and OFFSET_AT_END.search(DIRECTIVE.sub("d", form)):
        return "an offset that stands as it is would be lost; write %z"
    return None


def tells_instants(form: str) -> bool:
    """Tell whether each time of this format has an offset: one of its own (`%z`), or UTC by a literal at the end."""
    plain = DIRECTIVE.sub(" ", form)
    return "z" in DIRECTIVE.findall(form) or UTC_AT_END.search(plain) is not None


def _has_date(used: set[str]) -> bool:
    weekday = used & set("uwaA")
    in_year = "j" in used or ("d" in used and used & set("mbB")) or (used & set("UW") and weekday)
    iso_week = {"G", "V"} <= used and weekday
    return bool(used & set("cx") or (used & set("Yy") and in_year) or iso_week)
