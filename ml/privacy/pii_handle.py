"""Finds the names that people have in messengers and networks, by the network's own name before them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ml.privacy.pii_span import Span

SURE = 0.93  # as an address that is spelled
NETWORK = (
    r"(?<![A-Za-z0-9@.])(?:telegram|tg|instagram|insta|ig|skype|discord|twitter|snapchat|snap|tiktok|facebook|fb|messenger|viber|signal"
    r"|line\sid|kakao(?:talk)?|linkedin|reddit|threads|mastodon|steam)(?![A-Za-z0-9])"
)
WORDS = r"(?:'s)?(?:\s(?:id|handle|name|user(?:name)?|account|nick(?:name)?|tag)){0,2}"
LINK = r"(?:\s{0,2}(?:is|as|under|[:=-]))"
NAMED = r"@[A-Za-z0-9_][\w.]{1,39}(?:#\d{4})?(?!\w)"
ODD = r"(?:live:)?(?=[\w.-]{0,39}[\d_])[A-Za-z][\w.-]{2,39}(?:#\d{4})?(?![\w@])"  # no plain word: a digit or a low line in it
HANDLES = (
    re.compile(rf"{NETWORK}{WORDS}{LINK}?\s{{0,2}}({NAMED})", re.IGNORECASE | re.ASCII),
    re.compile(rf"{NETWORK}{WORDS}{LINK}?\s{{0,2}}({ODD})", re.IGNORECASE | re.ASCII),
)


def find_handles(text: str) -> Iterator[Span]:
    """Yield them, with the sign before; a word that could be any counts for none."""
    for form in HANDLES:
        for one in form.finditer(text):
            yield Span(one.start(1), one.end(1), "ACCOUNT", SURE)
