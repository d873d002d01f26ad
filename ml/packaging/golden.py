"""Golden requests: questions a version answered when it was packaged, asked again before it goes live anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

from ml.contract import JsonObject, Predictor, UseCase
from ml.errors import IntegrityBroken
from ml.files import read_json

GOLDEN_SCHEMA = "tradewind/golden/1"
TOLERANCE = 1e-5
"""Largest difference of a number from the recorded one, absolute below 1 and relative above."""


def record(use_case: UseCase, predictor: Predictor, state: JsonObject, requests: Iterable[JsonObject]) -> JsonObject:
    """Return requests with the answers of the exported model."""
    cases = [{"request": item, "answer": _answer(use_case, predictor, state, item)} for item in requests]
    return {"schema": GOLDEN_SCHEMA, "cases": cases}


def replay(use_case: UseCase, folder: Path) -> int:
    """Ask an unpacked version its golden requests and return how many it answered as recorded.

    Args:
        use_case: The record of its use case.
        folder: Holds `model/`, `state.json` and `golden.json`.

    Raises:
        IntegrityBroken: There are none, or an answer differs by more than `TOLERANCE`.
    """
    golden = read_json(folder / "golden.json")
    cases = golden.get("cases")
    if golden.get("schema") != GOLDEN_SCHEMA or not cases:
        raise IntegrityBroken(f"golden requests in {GOLDEN_SCHEMA}", "none", "Package the version again.")
    predictor, state = use_case.model.open(folder / "model"), read_json(folder / "state.json")
    for index, case in enumerate(cases):
        answer = _answer(use_case, predictor, state, case["request"])
        _compare(index, case["answer"], answer)
    return len(cases)


def compare(use_case: UseCase, original: Path, other: Path) -> tuple[int, int]:
    """Ask another unpacked version the golden requests of one: (how many there are, how many it answers otherwise)."""
    cases = read_json(original / "golden.json")["cases"]
    predictor, state = use_case.model.open(other / "model"), read_json(other / "state.json")
    answers = (_answer(use_case, predictor, state, case["request"]) for case in cases)
    otherwise = [any(differences(case["answer"], answer)) for case, answer in zip(cases, answers, strict=True)]
    return len(cases), sum(otherwise)


def differences(expected: object, received: object, place: str = "answer") -> Iterator[str]:
    """Yield where two JSON values differ; numbers may differ by `TOLERANCE`, everything else not at all."""
    if isinstance(expected, dict) and isinstance(received, dict) and expected.keys() == received.keys():
        for key in sorted(expected):
            yield from differences(expected[key], received[key], f"{place}.{key}")
    elif isinstance(expected, list) and isinstance(received, list) and len(expected) == len(received):
        for index, pair in enumerate(zip(expected, received, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif not _agree(expected, received):
        yield place


def _agree(expected: object, received: object) -> bool:
    if _is_number(expected) and _is_number(received) and float in (type(expected), type(received)):
        return math.isclose(expected, received, rel_tol=TOLERANCE, abs_tol=TOLERANCE)  # type: ignore[arg-type]  # both are numbers here
    return type(expected) is type(received) and expected == received


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _answer(use_case: UseCase, predictor: Predictor, state: JsonObject, request: JsonObject) -> JsonObject:
    question = use_case.service.request.model_validate(request)
    return use_case.service.answer(predictor, state, question, None).model_dump(mode="json")


def _compare(index: int, expected: JsonObject, received: JsonObject) -> None:
    places = list(differences(expected, received))
    if places:
        raise IntegrityBroken(
            f"golden request {index} answered as recorded, to {TOLERANCE:g}",
            f"another answer at {', '.join(places[:3])}",
            "The bytes or the code that runs them changed: package the version again with this code.",
            case=index,
        )
