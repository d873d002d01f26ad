"""Turns texts into what the model reads; training and serving share it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ml.contract import JsonObject
from ml.language.tokens import Tokens
from ml.use_cases.service.slot import ORDER_NUMBER

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

TOKENS = "tokens"


class _Known:
    """A state as a key: states are equal where they are the same object, and one that is kept cannot become another."""

    def __init__(self, state: JsonObject) -> None:
        self.state = state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and other.state is self.state

    def __hash__(self) -> int:
        return id(self.state)


def encode(examples: pd.DataFrame, state: JsonObject) -> dict[str, NDArray[Any]]:
    """Return `tokens` `(n_rows, n_tokens)`."""
    return encode_texts([unnumbered(str(text)) for text in examples["text"]], state)


def unnumbered(text: str) -> str:
    """Return a text without order numbers: their digits say nothing of the matter."""
    return ORDER_NUMBER.sub("", text)


def encode_texts(texts: list[str], state: JsonObject) -> dict[str, NDArray[np.int32]]:
    """Return the same of texts alone."""
    return {TOKENS: tokens_of(state)(texts)}


def tokens_of(state: JsonObject) -> Tokens:
    """Return the tokeniser of a state, made once."""
    return _made(_Known(state))


@lru_cache(maxsize=4)
def _made(known: _Known) -> Tokens:
    state = known.state
    return Tokens(state["vocabulary"], state["han"], state["longest"])
