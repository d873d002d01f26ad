"""Golden requests that no customer wrote: the titles of the intents, the headings of the pages, and the odd ones out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.contract import JsonObject

if TYPE_CHECKING:
    import pandas as pd

LANGUAGES = ("en", "zh")
BESIDE = (
    {"message": "Where is my order A1047-220?", "language": "en"},
    {"message": "我的订单A1047-220到哪了？", "language": "zh"},
    {"message": "?!"},
    {"message": "What will the weather be like tomorrow", "language": "en"},
)


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001 - no customer's words
    """Return n requests, spread over intents and pages, in both languages by turns."""
    titles = [
        {"message": str(intent[f"title_{language}"]), "language": language}
        for intent in state["intents"]
        for language in LANGUAGES
        if intent[f"title_{language}"]
    ]
    headings = [{"message": str(heading)} for heading in dict.fromkeys(one["heading"] for one in state["passages"])]
    told = [*titles, *(one for one in headings if one["message"])]
    few = max(n - len(BESIDE), 1)
    spread = told[:: max(1, len(told) // few)][:few]
    return [*spread, *BESIDE][:n]
