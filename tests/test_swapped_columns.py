"""Two input columns swapped in the image: everything is signed and whole, it answers, and it is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml.errors import IntegrityBroken
from ml.files import read_json
from ml.pipeline import package
from ml.registry import ledger
from tests.judged_run import judged
from tests.promotable_run import Answer, Linear, Question, answer, lay_out_run, walk_in


@pytest.fixture
def swapped(tmp_path, promoter, name):
    """Package a run whose golden answers come from the evaluated model while the image holds it with columns swapped."""
    context = lay_out_run(tmp_path / "run", promoter, name=name)
    weights = context.data("compress") / "int8" / "weights.npy"
    evaluated = tmp_path / "evaluated"
    evaluated.mkdir()
    (evaluated / "weights.npy").write_bytes(weights.read_bytes())
    np.save(weights, np.load(weights)[[1, 0, 2, 3]])
    model = replace(context.use_case.model, open=lambda folder: Linear(evaluated))
    judged(replace(context, use_case=replace(context.use_case, model=model)))
    package.run(context)
    return context


def test_swapped_columns_still_answer_but_are_not_promoted(swapped, promoter, name):
    state = read_json(swapped.data("features") / "state.json")
    question = Question(x=[1.0, 2.0, 3.0, 4.0])
    told = answer(Linear(swapped.data("compress") / "int8"), state, question, None)
    assert Answer.model_validate_json(told.model_dump_json()) == told
    with pytest.raises(IntegrityBroken, match="golden request 0"):
        walk_in(promoter, name, swapped.root)
    assert ledger.live(promoter, name, "production") is None
