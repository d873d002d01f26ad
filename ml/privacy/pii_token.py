"""Cuts a text into tokens and describes each by what a tagger can learn from: its letters, shape and neighbours."""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import groupby
from zlib import crc32

from ml.privacy.pii_span import Span

TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)+(?!\w)|\d+(?=-[^\W\d])|\w+(?:[’'-](?!s\b)[^\W\d_]\w*)*|[^\w\s]")
NUMBER = re.compile(r"[+(]?\d(?:[\d().\-/ ]*\d)?(?:x\d+)?")
MARK = "\x00"  # stands before the type of a token that a pattern already told: no word has it
WORDS = (
    "english_words.txt.gz"  # 64,000 lower-case words of SCOWL (Debian wamerican); names that are no word are not in it
)
NAMES = (
    "person_names.txt.gz"  # 33,000 first and last names and, below, 29,000 words of places of Faker's (MIT), lower case
)
PLACES = "place_names.txt.gz"
AFFIX = 4  # longest prefix and suffix that are looked at [characters]
GROUPS = 12  # of a number's groups of digits, how many are told
LONGEST = 64  # what is looked at of a word; what is remembered of words stays small so [characters]
Token = tuple[int, int, str]
"""Start, end, and its characters or MARK and a type."""


def tokens(text: str, known: Sequence[Span]) -> list[Token]:
    """Return the words, numbers and marks of a text; each span that is known already is one token."""
    found: list[Token] = []
    at = 0
    for span in known:
        found += [_token(one) for one in TOKEN.finditer(text, at, span.start)]
        found.append((span.start, span.end, MARK + span.type))
        at = span.end
    return found + [_token(one) for one in TOKEN.finditer(text, at)]


def _token(one: re.Match[str]) -> Token:
    return one.start(), one.end(), one.group()[:LONGEST]


def features(text: str, cut: Sequence[Token], *, thinned: bool = False) -> list[list[str]]:
    """Return each token's features: its own, and those of two tokens on either side.

    Args:
        text: The text.
        cut: Its tokens.
        thinned: Half of the lists of names and places is taken for unknown: so one learns that a name need not be listed.
    """
    listed = [_listed(token.lower(), thinned) for _, _, token in cut]
    own = [_own(token) for _, _, token in cut]
    short = [(token.lower(), _class(token)) for _, _, token in cut]
    numbers = _numbers(text)
    described = []
    for i, (start, end, _) in enumerate(cut):
        row = [*own[i], *_near(short, i), *numbers.get(start, ())]
        row += [f"in={listed[i]}", f"in={listed[i]}&{short[i][1]}", f"-1in={listed[i - 1] if i else ''}"]
        row.append(f"1in={listed[i + 1] if i + 1 < len(cut) else ''}")
        before = text[cut[i - 1][1] if i else 0 : start]
        after = text[end : cut[i + 1][0]] if i + 1 < len(cut) else "\n"
        if i == 0 or "\n" in before:
            row.append("line starts")
        if "\n" in after:
            row.append("line ends")
        if not before and i:
            row.append("joined")
        described.append(row)
    return described


@lru_cache(maxsize=20_000)
def shape(token: str) -> str:
    """Return its characters' classes, runs shortened: `Aa` for Anna, `9` and its length for digits, `A.` for J."""
    if token[0] == MARK:
        return token
    if token.isdigit():
        return f"9{min(len(token), 9)}"
    return "".join(_short(sign, list(run)) for sign, run in groupby(map(_sign, token)))


def _short(sign: str, run: list[str]) -> str:
    return f"{sign}{min(len(run), 6)}" if sign == "9" else sign if len(run) == 1 else sign + "+"


def _sign(char: str) -> str:
    if char.isdigit():
        return "9"
    if char.isalpha():
        return "A" if char.isupper() else "a"
    return char


@lru_cache(maxsize=20_000)
def _own(token: str) -> tuple[str, ...]:
    if token[0] == MARK:
        return ("bias", f"is={token}")
    lower = token.lower()
    found = ["bias", f"w={lower}", f"s={shape(token)}", f"script={_script(token)}"]
    if lower[0].isalpha():
        found.append(f"c={shape(token)[0]}{_is_word(lower)}")
        found += [f"p{n}={lower[:n]}" for n in range(1, AFFIX + 1) if len(lower) > n]
        found += [f"e{n}={lower[-n:]}" for n in range(1, AFFIX + 1) if len(lower) > n]
        found.append(f"len={min(len(lower), 10)}")
    return tuple(found)


def _script(token: str) -> str:
    if token.isascii():
        return "ascii"
    return next((unicodedata.name(char, "?").split()[0] for char in token if not char.isascii()), "?")


@lru_cache(maxsize=20_000)
def _class(token: str) -> str:
    """Return what a neighbour sees of a token: its shape, and whether it is an everyday word."""
    return shape(token) + _is_word(token.lower()) if token[0].isalpha() else shape(token)


def _is_word(lower: str) -> str:
    return "word" if lower in _list(WORDS) else "other"


def _listed(lower: str, thinned: bool) -> str:
    """Return which of the lists hold a word: `n` for persons, `p` for places."""
    if thinned and crc32(lower.encode()) % 2:
        return ""
    return ("n" if lower in _list(NAMES) else "") + ("p" if lower in _list(PLACES) else "")


@lru_cache(maxsize=3)
def _list(file: str) -> frozenset[str]:
    packed = files("ml.privacy").joinpath(file).read_bytes()
    return frozenset(gzip.decompress(packed).decode().split("\n"))


def _near(short: Sequence[tuple[str, str]], i: int) -> list[str]:
    found = []
    for step in (-2, -1, 1, 2):
        inside = 0 <= i + step < len(short)
        word, form = short[i + step] if inside else ("", "edge")
        found += [f"{step}w={word}", f"{step}s={form}"]
    before, after = found[2], found[4]
    return [
        *found,
        f"{before}&{after}",
        f"{found[0]}&{before}",
        f"s={short[i][1]}&{before}",
        f"s={short[i][1]}&{after}",
    ]


def _numbers(text: str) -> dict[int, tuple[str, ...]]:
    """Return, for each place at which digits start, what number that is written in groups they belong to."""
    found: dict[int, tuple[str, ...]] = {}
    for one in NUMBER.finditer(text):
        number = one.group()
        digits = sum(char.isdigit() for char in number)
        groups = " ".join(str(len(group)) for group in re.findall(r"\d+", number)[:GROUPS])
        told = (f"digits={min(digits, 20)}", f"groups={groups}", f"opens={number[0] if not number[0].isdigit() else 9}")
        for at in range(one.start(), one.end()):
            found[at] = told
    return found
