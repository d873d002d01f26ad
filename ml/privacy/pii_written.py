"""Finds e-mail addresses that are written so that machines do not see them: at, (at), [dot], 艾特, spaces around the sign."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ml.privacy.pii_span import Span

SURE = 0.93  # less than a plain address, more than what the context tells
LOCAL = r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_](?:[A-Za-z0-9_.+-]{0,62}[A-Za-z0-9_-])?"
OPEN, CLOSE = r"[\[({<（【]\s?", r"\s?[\])}>）】]"
SPELLED = (
    r"(?:\s(?:underscore|dash|hyphen|dot|minus|plus)\s[A-Za-z0-9]{1,30}){0,4}"  # within what stands before the sign
)
SIGN = rf"(?:\s{{0,2}}@\s{{0,2}}|\s?{OPEN}(?:at|@|#){CLOSE}\s?|\s?(?:艾特|爱特|圈a|小老鼠)\s?)"
DOT = rf"(?:\.|\s?{OPEN}(?:dot|punkt|point|\.){CLOSE}\s?|\s(?:dot|punkt)\s|\s?[点點]\s?)"
HOST, ENDING = r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", r"[A-Za-z]{2,24}(?![\w@])"
FORMS = (
    re.compile(rf"{LOCAL}{SIGN}(?:{HOST}{DOT}){{1,4}}{ENDING}", re.IGNORECASE),
    re.compile(
        rf"{LOCAL}{SPELLED}\sat\s(?:{HOST}{DOT}){{0,3}}{HOST}(?:\sdot\s|\s?{OPEN}dot{CLOSE}\s?){ENDING}", re.IGNORECASE
    ),
)
CUED = re.compile(
    rf"(?:e-?mails?|mail|address|inbox|write|contact|reply|邮箱|邮件)[^\n@]{{0,16}}?\s?({LOCAL}\s?(?:\sat\s|#)\s?(?:{HOST}\.){{1,4}}{ENDING})",
    re.IGNORECASE,
)


def find_written(text: str) -> Iterator[Span]:
    """Yield addresses in any of these forms; a word before `at` counts where the host is spelled with `dot`."""
    for form in FORMS:
        for one in form.finditer(text):
            yield Span(one.start(), one.end(), "EMAIL", SURE)
    for one in CUED.finditer(text):
        yield Span(one.start(1), one.end(1), "EMAIL", SURE)
