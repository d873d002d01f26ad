"""Asks the exported model what a message is about, and why."""

from __future__ import annotations

from ml.contract import Explanation, JsonObject, Predictor, Reason
from ml.use_cases.service.encode import encode_texts
from ml.use_cases.service.occlusion import token_contributions
from ml.use_cases.service.policy import Ranked

WORD = "word of the message"


def ranked(predictor: Predictor, state: JsonObject, text: str) -> Ranked:
    """Return all intents and out of scope with their calibrated probabilities, most probable first."""
    row = predictor(encode_texts([text], state))[0]
    pairs = zip(state["classes"], row.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


def explained(
    predictor: Predictor, state: JsonObject, text: str, language: str, intent: str, title: str
) -> Explanation:
    """Return what each word adds to an intent's probability, by leaving it out; the base is an empty message's.

    Words that say the same twice share what each alone would bring: that is the residual.
    """
    score, base = (dict(ranked(predictor, state, one))[intent] for one in (text, ""))
    parts = token_contributions(predictor, state, text, language, intent)
    reasons = tuple(Reason(text=token, contribution=part, kind=WORD) for token, part in parts)
    residual = score - base - sum(part for _, part in parts)
    return Explanation(subject=title, score=score, base=base, reasons=reasons, residual=residual)
