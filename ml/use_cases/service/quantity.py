"""Reads the numbers of a text, in digits or words, with their units; English and Chinese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

ADDED = {
    "0": "zero|零|〇",
    "0.5": "half|半",
    "1": "one|一|壹",
    "2": "two|second|double|twice|couple|二|贰|两|兩|俩|双",
    "3": "three|third|triple|thrice|三|叁",
    "4": "four|fourth|四|肆",
    "5": "five|fifth|五|伍",
    "6": "six|sixth|六|陆",
    "7": "seven|seventh|七|柒",
    "8": "eight|eighth|八|捌",
    "9": "nine|ninth|九|玖",
    "10": "ten|tenth",
    "11": "eleven|eleventh",
    "12": "twelve|twelfth",
    "13": "thirteen",
    "14": "fourteen|fortnight",
    "15": "fifteen",
    "16": "sixteen",
    "17": "seventeen",
    "18": "eighteen",
    "19": "nineteen",
    "20": "twenty|twentieth",
    "30": "thirty|thirtieth",
    "40": "forty",
    "50": "fifty",
    "60": "sixty",
    "70": "seventy",
    "80": "eighty",
    "90": "ninety",
}
"""Words that add their size to a number."""
MULTIPLYING = {
    "10": "十|拾",
    "12": "dozen|dozens",
    "100": "hundred|hundreds|百|佰",
    "1000": "thousand|thousands|千|仟",
    "10000": "万|萬",
    "1000000": "million|millions",
    "100000000": "亿|億",
}
"""Words that multiply what stands before them."""
UNITS = {
    "second": "seconds|sec|秒",
    "minute": "minute|minutes|min|分钟",
    "hour": "hour|hours|hourly|h|小时|钟头",
    "day": "day|days|daily|天|日",
    "night": "night|nights|nightly|晚",
    "working day": "working day|working days|business day|business days|工作日",
    "week": "week|weeks|weekly|周|星期|礼拜",
    "month": "month|months|monthly|月",
    "quarter": "quarter|quarters|quarterly|季度",
    "year": "year|years|yearly|annually|年",
    "EUR": "€|eur|euro|euros|欧元",
    "GBP": "£|gbp|pound|pounds|英镑",
    "USD": "$|usd|dollar|dollars|美元",
    "CNY": "¥|cny|rmb|yuan|元|块",
    "cent": "cent|cents",
    "percent": "%|percent|per cent",
    "point": "point|points|分|积分",
    "time": "times|次|遍|倍",
}
"""Units by their words; a number before any other word has none."""


def _by_word(table: Mapping[str, str]) -> dict[str, str]:
    return {word: key for key, words in table.items() for word in words.split("|")}


def _any_of(words: Iterable[str]) -> str:
    """Return a pattern of the words, the longest first; those of Latin letters match as whole words only."""
    longest = sorted(words, key=len, reverse=True)
    return "|".join(rf"(?<![a-z]){word}(?![a-z])" if re.match("[a-z]", word) else re.escape(word) for word in longest)


SIZES, FACTORS, UNIT_OF = _by_word(ADDED), _by_word(MULTIPLYING), _by_word(UNITS)
DIGITS = {word: size for word, size in SIZES.items() if len(size) == 1}
IDIOMS = "一般|一旦|一起|一样|一定|一直|一并|一些|一律|统一|唯一|万一|同一"  # no numbers, though written with their characters
SPOKEN_PART = rf"(?:(?<![\d.])\d+(?:\.\d+)?[\s-]?(?={_any_of(FACTORS)}))?(?:{_any_of([*SIZES, *FACTORS])})"
SPOKEN = re.compile(
    rf"(?P<idiom>{IDIOMS})|{SPOKEN_PART}(?:(?:[\s-]*|(?:(?<=hundred)|(?<=thousand)) and ){SPOKEN_PART})*"
)
PART = re.compile(r"\d+(?:\.\d+)?|[a-z]+|[^\W\d]")
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
MARKS = str.maketrans("", "", "*_`")  # Markdown's emphasis
QUANTITY = re.compile(
    rf"(?:(?P<sign>{_any_of(word for word, unit in UNIT_OF.items() if unit.isupper())})\s?)?"
    r"(?P<number>\d+(?:[.,:]\d+)*|(?<![a-z])(?:few|several)(?![a-z])|几)(?:st|nd|rd|th)?"
    rf"(?:[\s-]*个?(?P<unit>{_any_of(UNIT_OF)}))?"
)
SINGLE = re.compile(
    rf"(?:(?<![a-z])(?:an?|per(?!\s+cents?)|each|every|first)\s+|[/每按]\s*个?|(?=[a-z]+ly(?![a-z])))(?P<unit>{_any_of(UNIT_OF)})"
)


def in_digits(text: str) -> str:
    """Return a text in lower case, without emphasis, and with its numbers in digits."""
    plain = unicodedata.normalize("NFKC", text).translate(MARKS).casefold()
    return SPOKEN.sub(_digits, THOUSANDS.sub("", plain))


def _digits(spoken: re.Match[str]) -> str:
    """Return a number that stands in words; digits in a row stay a row."""
    if spoken["idiom"]:
        return spoken[0]
    parts = [part for part in PART.findall(spoken[0]) if part != "and"]
    if all(part in DIGITS for part in parts):
        return "".join(DIGITS[part] for part in parts)
    return f"{_value(parts).normalize():f}"


def _value(parts: Sequence[str]) -> Decimal:
    """Return what words of size and factor, or digits, amount to; a factor multiplies all before it that is smaller than it."""
    total = added = Decimal(0)
    for part in parts:
        factor = Decimal(FACTORS.get(part, 0))
        if not factor:
            added += Decimal(SIZES.get(part, part))
        elif factor > total:
            total, added = (total + added or 1) * factor, Decimal(0)
        else:
            total, added = total + (added or 1) * factor, Decimal(0)
    return total + added


def quantities(text: str) -> set[tuple[str, str | None]]:
    """Return the numbers of a text with their units, none where there is none; "a day", "per day" and "daily" are 1 day.

    Args:
        text: As `in_digits` returns it.
    """
    counted = {(one["number"], UNIT_OF.get(one["sign"] or one["unit"])) for one in QUANTITY.finditer(text)}
    return counted | {("1", UNIT_OF[one["unit"]]) for one in SINGLE.finditer(text)}
