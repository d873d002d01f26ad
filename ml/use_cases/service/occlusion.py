"""What each word of a message adds to the probability of an intent, by leaving it out of what the shipped model reads."""

from __future__ import annotations

import numpy as np

from ml.contract import JsonObject, Predictor
from ml.use_cases.service.encode import TOKENS, encode_texts, tokens_of

Contribution = tuple[str, float]


def token_contributions(
    predictor: Predictor,
    state: JsonObject,
    text: str,
    language: str,  # noqa: ARG001 - called as the contract says
    intent: str,
) -> list[Contribution]:
    """Return each word as the customer wrote it, and p(intent | text) − p(intent | text without its tokens), in order.

    The parts do not add up to the probability: words that say the same twice share what each alone would bring.

    Args:
        predictor: The exported model.
        state: Its state.
        text: Redacted.
        language: Not used: one model reads both.
        intent: One of `state["classes"]`.
    """
    (row,) = encode_texts([text], state)[TOKENS]
    words = _words(text, tokens_of(state).places(text))
    without = np.stack([row, *(_left_out(row, first, last) for first, last, _ in words)])
    p = predictor({TOKENS: without})[:, state["classes"].index(intent)].astype(np.float64)
    return [(word, float(p[0] - left)) for (_, _, word), left in zip(words, p[1:], strict=True)]


def _words(text: str, places: list[tuple[int, int]]) -> list[tuple[int, int, str]]:
    """Return words with the numbers of their first and last token; pieces that touch are one word, unless Chinese."""
    words: list[tuple[int, int, str]] = []
    for number, (begin, end) in enumerate(places, start=1):  # token 0 marks the start
        piece = text[begin:end]
        touches = words and begin == places[number - 2][1] and piece.isascii() and words[-1][2].isascii()
        if touches and piece.isalnum() and words[-1][2].isalnum():
            first, _, word = words[-1]
            words[-1] = (first, number, word + piece)
        else:
            words.append((number, number, piece))
    return words


def _left_out(row: np.ndarray, first: int, last: int) -> np.ndarray:
    kept = np.concatenate([row[:first], row[last + 1 :]])
    return np.pad(kept, (0, len(row) - len(kept)))
