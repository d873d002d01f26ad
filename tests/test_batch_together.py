"""Many requests share one call of the model, and each gets its own rows and its own error."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.serving.together import in_batches


class Doubler:
    """Doubles its rows; counts the calls and how many ran at a time."""

    def __init__(self):
        self.calls = []
        self._lock = threading.Lock()

    def __call__(self, inputs):
        assert self._lock.acquire(blocking=False), "two calls at a time"
        try:
            self.calls.append(len(inputs["x"]))
            if (inputs["x"] < 0).any():
                raise ValueError("negative")
            return inputs["x"] * 2
        finally:
            self._lock.release()


def ask(predictor, rows):
    return predictor({"x": np.array(rows, np.float32)}).tolist()


@settings(max_examples=30)
@given(
    questions=st.lists(
        st.integers(1, 3).flatmap(
            lambda width: st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=1, max_size=3)
        ),
        max_size=20,
    ),
    members=st.integers(1, 8),
)
def test_each_question_gets_the_answer_it_gets_alone_in_order(questions, members):
    answers = list(in_batches(Doubler(), ask, questions, members))
    assert answers == [[[2.0 * x for x in row] for row in rows] for rows in questions]


def test_questions_share_calls():
    doubler = Doubler()
    assert len(list(in_batches(doubler, ask, [[[1.0]]] * 100, members=50))) == 100
    assert doubler.calls == [50, 50]


def test_a_question_that_asks_twice_or_never_holds_nobody_up():
    def moody(predictor, n):
        return sum(ask(predictor, [[n]])[0][0] for _ in range(n))

    assert list(in_batches(Doubler(), moody, [0, 1, 2, 3, 0], members=5)) == [0, 2.0, 8.0, 18.0, 0]


def test_an_error_reaches_whoever_waits():
    with pytest.raises(ValueError, match="negative"):
        list(in_batches(Doubler(), ask, [[[1.0]], [[-1.0]], [[2.0, 2.0]]], members=3))
