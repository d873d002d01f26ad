"""Intents against what a shop would use instead: bank customers' questions, few examples of them, and out-of-scope queries."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ml.benchmark.comparison import Bar, Comparison, Figures, Peer
from ml.contract import JsonObject
from ml.use_cases.service.labelled_csv import Example, read_examples
from ml.use_cases.service.trial import Rows, Settings, run

SHOTS = 10
OUTSIDE = "oos"
FULL = Settings(epochs=6)
MANY = Settings(epochs=6, members=3)
FEW = Settings()  # as many passes as so few rows ask for, each text read twice
OURS, LINEAR = "MiniLM, fine-tuned and distilled", "TF-IDF and LinearSVC"
P50 = "student p50 [ms]"
QUICK = Bar(figure=P50, limit=5.0, side="at most")
COPIED = ("accuracy", "out_of_scope_recall", "out_of_scope_precision", "calibration_error")


def load_banking(file: Path) -> Rows:
    """Return BANKING77: the training file, and the test file beside it."""
    return Rows(train=read_examples(file), valid=(), test=read_examples(file.with_name("test.csv.gz")))


def load_clinc(file: Path) -> Rows:
    """Return CLINC150 in its own three splits, each with its out-of-scope queries."""
    found = json.loads(gzip.decompress(file.read_bytes()))
    splits = (_pairs(found[name]) + _pairs(found[f"{OUTSIDE}_{name}"]) for name in ("train", "val", "test"))
    train, valid, test = splits
    return Rows(train=train, valid=valid, test=test, out_of_scope=OUTSIDE)


def few(rows: Rows, seed: int) -> Rows:
    """Return the rows with ten training examples of each label, drawn by the seed."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    for at in np.random.default_rng(seed).permutation(len(rows.train)):
        by_label[rows.train[at][1]].append(rows.train[at])
    return replace(rows, train=[example for label in sorted(by_label) for example in by_label[label][:SHOTS]])


def ours(rows: Rows, seed: int, settings: Settings) -> Figures:
    """Return the figures of the teacher under their names, and those of the exported student behind `student`."""
    with tempfile.TemporaryDirectory() as scratch:
        told = run(rows, replace(settings, seed=seed), Path(scratch))
    student = {f"student {name}": value for name, value in _copied(told["student"]).items()}
    return {**_copied(told["teacher"]), **student, P50: told["student"]["latency"]["p50_ms"]}


def linear(rows: Rows) -> Figures:
    """Return the figures of a linear support vector machine on words and pairs of words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LinearSVC())
    model.fit(*zip(*[*rows.train, *rows.valid], strict=True))
    texts, labels = map(list, zip(*rows.test, strict=True))
    right = np.array(model.predict(texts)) == np.array(labels)
    outside = np.array(labels) == rows.out_of_scope
    told = {"accuracy": float(right[~outside].mean())}
    return {**told, "out_of_scope_recall": float(right[outside].mean())} if outside.any() else told


def _pairs(rows: Sequence[Sequence[str]]) -> list[Example]:
    return [(text, label) for text, label in rows]


def _copied(told: JsonObject) -> Figures:
    return {name: float(told[name]) for name in COPIED if name in told}


def _peers(settings: Settings, shots: bool = False) -> dict[str, Peer]:
    def seen(rows: Rows, seed: int) -> Rows:
        return few(rows, seed) if shots else rows

    return {
        OURS: lambda rows, seed: ours(seen(rows, seed), seed, settings),
        LINEAR: lambda rows, seed: linear(seen(rows, seed)),
    }


BANKING = Comparison(
    name="banking77",
    use_case="service",
    title="Intents: BANKING77, all training rows",
    protocol=(
        "The published split (Casanueva et al. 2020, arXiv:2003.04807): 10,003 rows to learn from, a tenth of each label of "
        "which choose pass and calibration, 3,080 to test. `accuracy` is that of the fine-tuned teacher, `student "
        "accuracy` that of the exported int8 model of three blocks; times on one thread."
    ),
    data="banking77/train.csv.gz",
    load=load_banking,
    peers=_peers(FULL),
    ours=OURS,
    seeds=(1,),
    fixed=frozenset({LINEAR}),
    bars=(Bar(figure="accuracy", limit=0.935, side="at least"), QUICK),
)

TEN_SHOT = Comparison(
    name="banking77-10-shot",
    use_case="service",
    title="Intents: BANKING77, ten examples of each label",
    protocol=(
        "Ten training rows of each of the 77 labels, drawn by the seed, and the labels' names; all 3,080 test rows. Nothing is "
        "held out: twenty passes, of which the last one counts; two readings of a text must agree (R-Drop, weight 6, chosen on "
        "other rows of the training file). Published figures come from draws of their own."
    ),
    data="banking77/train.csv.gz",
    load=load_banking,
    peers=_peers(FEW, shots=True),
    ours=OURS,
    seeds=(1, 2, 3),
    bars=(Bar(figure="accuracy", limit=0.86, side="at least"), QUICK),
)

CLINC = Comparison(
    name="clinc150",
    use_case="service",
    title="Intents: CLINC150 with out-of-scope queries",
    protocol=(
        "The published splits of `data_full` (Larson et al. 2019, aclanthology D19-1131): 15,000 + 100 out-of-scope rows to "
        "learn from, 3,000 + 100 choose pass, calibration and threshold, 4,500 + 1,000 to test. `accuracy` is that of three "
        "fine-tuned teachers together, in scope; a query in scope that is declined counts as wrong. The threshold "
        "is the highest that costs at most 0.3 points of accuracy in scope on the validation rows."
    ),
    data="clinc150/data_full.json.gz",
    load=load_clinc,
    peers=_peers(MANY),
    ours=OURS,
    seeds=(1,),
    fixed=frozenset({LINEAR}),
    bars=(
        Bar(figure="accuracy", limit=0.969, side="at least"),
        Bar(figure="out_of_scope_recall", limit=0.6, side="at least"),
        QUICK,
    ),
)

COMPARISONS = (BANKING, TEN_SHOT, CLINC)
