"""What the tests of the assistant share: a small real model of the shipped corpus, and a state around it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from ml.use_cases.service.corpus import OUT_OF_SCOPE, Corpus, read_corpus
from ml.use_cases.service.encode import encode_texts
from ml.use_cases.service.knowledge import read_knowledge

PRODUCTS = [
    {"product_id": "77", "name": "Kettle, 1.7 l", "category": "Kitchen", "brand": "Northwind"},
    {"product_id": "78", "name": "Oat Milk, 1 l", "category": "Dairy", "brand": "Store"},
    {"product_id": "79", "name": "Oat Milk, 0.5 l", "category": "Dairy", "brand": "Store"},
    {"product_id": "80", "name": "水壶, 1.7 升", "category": "厨房", "brand": "北风"},
]

SMOOTHING = 0.1  # added to each token's count
SHARPNESS = 0.6  # of the probabilities; tokens are not independent


class TokenModel:
    """Naive Bayes on the tokens of the shipped training utterances; stands for any model of its shape."""

    def __init__(self, corpus: Corpus, state: dict[str, Any]) -> None:
        rows = [one for one in corpus.utterances if one.split != "test"]
        inputs = encode_texts([one.text for one in rows], state)
        self._width = 1 + max(int(values.max()) for values in inputs.values())
        labels = np.array([state["classes"].index(one.intent) for one in rows])
        is_of = csr_matrix((np.ones(len(rows)), (labels, np.arange(len(rows)))))
        counts = (is_of @ self._bags(inputs)).toarray() + SMOOTHING
        self._log = np.log(counts / counts.sum(axis=1, keepdims=True))

    def __call__(self, inputs) -> np.ndarray:
        scores = SHARPNESS * (self._bags(inputs) @ self._log.T)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    def _bags(self, inputs) -> csr_matrix:
        ids = np.concatenate([values.reshape(len(values), -1) for values in inputs.values()], axis=1).astype(int)
        at, place = np.nonzero((ids > 0) & (ids < self._width))
        return csr_matrix((np.ones(len(at)), (at, ids[at, place])), shape=(len(ids), self._width))


def state_of(corpus: Corpus) -> dict[str, Any]:
    """Return a fitted state as the features stage writes it."""
    return {
        "as_of": "2026-06-30T23:59:59",
        "classes": [*(intent.name for intent in corpus.intents), OUT_OF_SCOPE],
        "intents": [
            {
                "intent": one.name,
                "title_en": one.titles["en"],
                "title_zh": one.titles["zh"],
                "description": one.description,
                "slots": list(one.slots),
                "tool": one.tool,
                "page": one.page,
            }
            for one in corpus.intents
        ],
        "passages": [
            {
                "language": page.language,
                "page": page.id,
                "title": page.title,
                "heading": passage.heading,
                "text": passage.text,
                "intents": list(page.intents),
            }
            for page in read_knowledge(corpus.intents)
            for passage in page.passages
        ],
        "products": PRODUCTS,
    }


def small_model() -> tuple[TokenModel, dict[str, Any]]:
    """Return a fitted model and its state."""
    corpus = read_corpus()
    state = state_of(corpus)
    return TokenModel(corpus, state), state
