"""Runs the model calls of many requests as one, so that the answer path of one request serves a batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ml.contract import Arrays, Predictor

if TYPE_CHECKING:
    import numpy as np

Q = TypeVar("Q")
A = TypeVar("A")

MEMBERS = 16  # requests whose model calls run as one; more cost more in waiting than they save in the model


class Together:
    """A predictor for a fixed number of threads: runs when every one of them has asked or left."""

    def __init__(self, predictor: Predictor, members: int) -> None:
        self._predictor = predictor
        self._members = members
        self._asked: list[_Call] = []
        self._changed = threading.Condition()

    def __call__(self, inputs: Arrays) -> np.ndarray:
        """Return the scores of the caller's own rows."""
        call = _Call(inputs)
        with self._changed:
            self._asked.append(call)
            self._run_if_complete()
            self._changed.wait_for(lambda: call.done)
        if call.error is not None:
            raise call.error
        return call.scores

    def leave(self) -> None:
        """Say that this thread asks no more."""
        with self._changed:
            self._members -= 1
            self._run_if_complete()

    def _run_if_complete(self) -> None:
        if self._asked and len(self._asked) >= self._members:
            calls, self._asked = self._asked, []
            _answer(self._predictor, calls)
            self._changed.notify_all()


class _Call:
    """One caller's rows and what came of them."""

    scores: np.ndarray

    def __init__(self, inputs: Arrays) -> None:
        self.inputs = inputs
        self.error: Exception | None = None
        self.done = False


def in_batches(
    predictor: Predictor, ask: Callable[[Predictor, Q], A], questions: Iterable[Q], members: int = MEMBERS
) -> Iterator[A]:
    """Yield the answers in order of the questions.

    Args:
        predictor: The model; it is called by one thread at a time.
        ask: Answers one question with the predictor it is given.
        questions: As many as you like; a bounded number is in memory.
        members: Questions answered at a time.
    """
    questions = iter(questions)
    with ThreadPoolExecutor(members) as pool:
        while chunk := list(islice(questions, members)):
            together = Together(predictor, len(chunk))
            yield from pool.map(lambda question, shared=together: _member(shared, ask, question), chunk)


def _member(together: Together, ask: Callable[[Predictor, Q], A], question: Q) -> A:
    try:
        return ask(together, question)
    finally:
        together.leave()


def _answer(predictor: Predictor, calls: list[_Call]) -> None:
    """Run calls whose rows have equal shapes as one and hand each its rows; an error reaches its callers."""
    alike: dict[object, list[_Call]] = {}
    for call in calls:
        shape = tuple((name, call.inputs[name].shape[1:]) for name in sorted(call.inputs))
        alike.setdefault(shape, []).append(call)
    for group in alike.values():
        try:
            _hand_out(group, predictor(_joined(group)))
        except Exception as error:  # a caller elsewhere must not wait for ever
            for call in group:
                call.error = error
    for call in calls:
        call.done = True


def _joined(calls: list[_Call]) -> dict[str, np.ndarray]:
    import numpy as np

    return {name: np.concatenate([call.inputs[name] for call in calls]) for name in calls[0].inputs}


def _hand_out(calls: list[_Call], scores: np.ndarray) -> None:
    start = 0
    for call in calls:
        rows = len(next(iter(call.inputs.values())))
        call.scores = scores[start : start + rows]
        start += rows
