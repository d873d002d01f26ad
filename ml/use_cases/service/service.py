"""How the recogniser is asked and answers: a message in, what is wanted by it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from ml.contract import Explanation, JsonObject, Predictor, Reason, Service
from ml.privacy.redact import redact
from ml.use_cases.service.encode import encode_texts
from ml.use_cases.service.occlusion import token_contributions

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6


class ServiceRequest(BaseModel):
    """A customer's message."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(min_length=1, max_length=500)
    language: Literal["en", "zh"] = "en"


class ServiceResponse(BaseModel):
    """What is wanted."""

    intent: str
    confidence: float


def answer(
    predictor: Predictor,
    state: JsonObject,
    request: BaseModel,
    history: JsonObject | None,  # noqa: ARG001
) -> ServiceResponse:
    """Return the most probable intent."""
    p = predictor(encode_texts([_text(request)], state))[0]
    at = int(p.argmax())
    return ServiceResponse(intent=state["classes"][at], confidence=round(float(p[at]), DIGITS))


def explain(
    predictor: Predictor, state: JsonObject, request: BaseModel, history: JsonObject | None
) -> list[Explanation]:
    """Return what each word adds to the probability of the intent."""
    given = answer(predictor, state, request, history)
    asked = cast(ServiceRequest, request)
    parts = token_contributions(predictor, state, _text(request), asked.language, given.intent)
    reasons = tuple(Reason(text=word, contribution=part, kind="word") for word, part in parts)
    residual = given.confidence - sum(part for _, part in parts)
    return [Explanation(subject=given.intent, score=given.confidence, base=0.0, reasons=reasons, residual=residual)]


def observe(history: JsonObject | None, event: JsonObject) -> JsonObject:  # noqa: ARG001
    """Return nothing: a message stands alone."""
    return {}


def golden(examples: pd.DataFrame, state: JsonObject, n: int) -> list[JsonObject]:  # noqa: ARG001
    """Return test utterances as requests."""
    rows = examples.head(n)
    return [
        {"message": text, "language": language} for text, language in zip(rows["text"], rows["language"], strict=True)
    ]


def features(request: BaseModel, response: BaseModel, history: JsonObject | None) -> dict[str, float | str]:  # noqa: ARG001
    """Return what drift is looked for in."""
    asked, given = cast(ServiceRequest, request), cast(ServiceResponse, response)
    return {"characters": float(len(_text(request))), "language": asked.language, "score": given.confidence}


def outcome(logged: JsonObject, events: list[JsonObject]) -> dict[str, float]:  # noqa: ARG001
    """Return nothing: what was meant is never told."""
    return {}


def _text(request: BaseModel) -> str:
    return redact(cast(ServiceRequest, request).message).text


SERVICE = Service(
    request=ServiceRequest,
    response=ServiceResponse,
    identity=None,
    answer=answer,
    explain=explain,
    observe=observe,
    golden=golden,
    features=features,
    outcome=outcome,
)
