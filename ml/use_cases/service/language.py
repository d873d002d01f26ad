"""The languages the assistant knows, and whether a text can be in one."""

from __future__ import annotations

import re
from typing import Literal

from ml.use_cases.service.similarity import HAN

LANGUAGES = ("en", "zh")
_HAN = re.compile(f"[{HAN}]")
_LETTER = re.compile(r"[^\W\d_]")


def fits(text: str, language: str) -> bool:
    """Return whether a text's script suits the language.

    English has fewer Chinese characters than other letters. Chinese has at least one Chinese character, so a foreign
    word or an order number may stand in it. A text without any letter ("88", an emoji), and a Chinese customer's short
    foreign word ("hi", up to 3 letters), suit both. French in an English row is not noticed.
    """
    n_letters = len(_LETTER.findall(text))
    n_han = len(_HAN.findall(text))
    if language == "zh":
        return n_han > 0 or n_letters <= 3
    return 2 * n_han < n_letters or n_letters == 0


def language_of(text: str) -> Literal["en", "zh"]:
    """Return the language a message is in by its script; English where it has no letter."""
    return "en" if fits(text, "en") else "zh"
