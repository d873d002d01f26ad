"""Writes a text as the finders' expressions expect it: without what nobody sees, and with ASCII's signs for their look-alikes.

What is copied from an app or a page has spaces that do not break, hyphens and apostrophes of several kinds, and invisible
characters; what is typed abroad has other digits. All of them stand in numbers and addresses that are personal all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ml.privacy.pii_span import Span

INVISIBLE = re.compile(  # Default_Ignorable_Code_Point of the Unicode Standard, and marks of annotations
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
APOSTROPHES = "\u2018\u2019\u201b\u02bc\uff07"
WIDE_SIGNS = "@._"
DIGITS = range(0x0660, 0x1FBFA)  # where decimal digits of other scripts stand


@dataclass(frozen=True)
class Plain:
    """A text as it is searched."""

    text: str
    places: Sequence[int]
    """Where each of its characters stands in the text that was given."""

    def there(self, span: Span) -> Span:
        """Return where a span of this text stands in the one that was given; what is invisible within is part of it."""
        return replace(span, start=self.places[span.start], end=self.places[span.end - 1] + 1)


def plain(text: str) -> Plain:
    """Return the text as it is searched; texts in ASCII, and in Chinese, are mostly searched as they are."""
    if text.isascii():
        return Plain(text, range(len(text)))
    places: Sequence[int] = range(len(text))
    if INVISIBLE.search(text):
        places = [at for at, char in enumerate(text) if not INVISIBLE.match(char)]
        text = "".join(text[at] for at in places)
    return Plain(text.translate(_alike()), places)


@lru_cache(maxsize=1)
def _alike() -> dict[int, str]:
    """Return the ASCII sign for each character that stands for it."""
    alike = {ord(char): sign for chars, sign in ((SPACES, " "), (HYPHENS, "-"), (APOSTROPHES, "'")) for char in chars}
    alike |= {code: str(digit) for code in DIGITS if (digit := unicodedata.decimal(chr(code), -1)) >= 0}
    wide = [
        char for char in map(chr, range(0x21, 0x7F)) if (char.isalnum() and not char.isdigit()) or char in WIDE_SIGNS
    ]
    return alike | {ord(char) + 0xFEE0: char for char in wide}
