"""Trains teacher and student on any labelled texts and scores both on test rows: `tradewind intents`, and the benchmarks."""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml.compression.latency import measure_latency
from ml.compression.litert import export_litert
from ml.compression.predictor import open_litert
from ml.contract import JsonObject, Predictor
from ml.errors import SourceInvalid
from ml.language import minilm, vocabulary
from ml.language.tokens import STEP
from ml.training.determinism import make_deterministic
from ml.use_cases.service.encode import TOKENS, encode_texts
from ml.use_cases.service.labelled_csv import Example
from ml.use_cases.service.threshold import Scored, choose, figures

if TYPE_CHECKING:
    from ml.use_cases.service.committee import Committee
    from ml.use_cases.service.learn import Course, Labelled
    from ml.use_cases.service.network import Network

HELD_OUT = 0.1  # of the training rows of each label, where no validation rows are given
LEAST_HELD_OUT = 20  # rows of a label; with fewer of them each is worth more as an example, and the last pass is kept
SINGLE_REQUESTS = 200
WORST = 10
LONGEST = 64  # tokens
CHUNK = 256  # texts scored at a time
MEMBER_SEEDS = 1000  # between the seeds of two members
EPOCHS, LEAST_STEPS = 6, 550  # of a network: few examples are seen more often
FEW_ROWS = 2000
AGREEING = 6.0  # consistency where each row has to teach much; many rows gained little from being read twice


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Labelled texts, told apart by what they are for."""

    train: Sequence[Example]
    valid: Sequence[Example]
    """Rows that choose passes, scale and threshold; none are taken from `train`."""
    test: Sequence[Example]
    out_of_scope: str | None = None
    """The label of what no other label covers."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How both networks are trained; passes of 0 and no consistency leave that to how many rows there are to learn from."""

    seed: int = 1
    threads: int = 2
    epochs: int = 0
    batch_size: int = 32
    learning_rate: float = 1e-4
    smoothing: float = 0.1
    consistency: float | None = None
    """How much two readings of a text by a teacher must agree (R-Drop); none leaves it to the number of rows."""
    members: int = 1
    """Teachers that answer together; each has an order of examples of its own."""
    student_blocks: int = 3
    """0 trains no student."""

    def settled(self, n_rows: int) -> Settings:
        """Return the settings with what was left to the number of rows."""
        steps = -(-n_rows // self.batch_size)
        return replace(
            self,
            epochs=self.epochs or max(EPOCHS, round(LEAST_STEPS / steps)),
            consistency=(AGREEING if n_rows < FEW_ROWS else 0.0) if self.consistency is None else self.consistency,
        )


def run(rows: Rows, settings: Settings, scratch: Path) -> JsonObject:
    """Train, score `test` once, and return the figures of teacher and student, each by name.

    Args:
        rows: All that is known; `test` is looked at last.
        settings: Chosen without `test`.
        scratch: Folder for the exported student.

    Raises:
        SourceInvalid: A split holds a label that training does not, or no row is labelled out of scope.
    """
    _check(rows)
    conditions = make_deterministic(settings.seed, settings.threads)
    rows = rows if rows.valid else held_out(rows)
    data = _data(rows)
    settings = settings.settled(len(data.train.tokens))
    teacher = _teacher(data, settings)
    told: JsonObject = {
        "conditions": conditions,
        "settings": asdict(settings),
        "rows": {"train": len(rows.train), "valid": len(rows.valid), "test": len(rows.test)},
        "teacher": _figures(teacher, data),
    }
    if settings.student_blocks:
        student = _student(teacher, data, settings)
        (shipped,) = export_litert(student.answers, {TOKENS: (None, None)}, scratch, ["int8"])
        told["student"] = {**_figures(open_litert(shipped.path), data), **_footprint(shipped.path, data)}
    return told


def _check(rows: Rows) -> None:
    """Refuse labels that training cannot learn, and an out-of-scope label that would stand beside the right one as a class."""
    learned, scored = (
        {label for part in parts for _, label in part} for parts in ((rows.train,), (rows.valid, rows.test))
    )
    labels = sorted(learned | scored)
    if rows.out_of_scope is not None and rows.out_of_scope not in labels:
        folded = {label.casefold(): label for label in labels}
        near = [folded[name] for name in difflib.get_close_matches(rows.out_of_scope.casefold(), folded)]
        found = f"{len(labels)} others" + (f", {', '.join(near)} among them" if near else "")
        raise SourceInvalid(
            f"the label {rows.out_of_scope} in some row", found, "Correct --out-of-scope, or leave it out."
        )
    if unknown := scored - learned - {rows.out_of_scope}:
        shown = ", ".join(sorted(unknown)[:WORST])
        raise SourceInvalid("labels that training rows have", shown, "Correct them, or name --out-of-scope LABEL.")


@dataclass(frozen=True, kw_only=True)
class _Data:
    """The rows as networks see them."""

    state: JsonObject
    train: Labelled
    valid: Labelled | None
    test: Labelled
    has_outside: bool


def _data(rows: Rows) -> _Data:
    state = _state(rows)
    named = [(label.replace("_", " "), label) for label in state["classes"] if label != rows.out_of_scope]
    return _Data(
        state=state,
        train=_labelled([*rows.train, *named], state),
        valid=_labelled(rows.valid, state) if rows.valid else None,
        test=_labelled(rows.test, state),
        has_outside=rows.out_of_scope is not None,
    )


def held_out(rows: Rows) -> Rows:
    """Return the rows with a tenth of each label's training rows set aside, by a digest of their text."""
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in rows.train:
        by_label[example[1]].append(example)
    aside = {
        example
        for own in by_label.values()
        if len(own) >= LEAST_HELD_OUT
        for example in sorted(own, key=_digest)[: round(HELD_OUT * len(own))]
    }
    kept = [example for example in rows.train if example not in aside]
    return replace(rows, train=kept, valid=[example for example in rows.train if example in aside])


def _digest(example: Example) -> str:
    return hashlib.sha256(example[0].encode()).hexdigest()


def _state(rows: Rows) -> JsonObject:
    """Return what the networks read and say; out of scope is the last class."""
    labels = sorted({label for _, label in rows.train} - {rows.out_of_scope})
    return {
        "classes": [*labels, *([rows.out_of_scope] if rows.out_of_scope is not None else [])],
        "vocabulary": vocabulary.english(minilm.SHAPE.vocabulary),
        "han": vocabulary.han(0, (text for text, _ in rows.train)),
        "longest": LONGEST,
    }


def _labelled(examples: Sequence[Example], state: JsonObject) -> Labelled:
    from ml.use_cases.service.learn import Labelled

    numbers = {name: number for number, name in enumerate(state["classes"])}
    intents = np.array([numbers[label] for _, label in examples], dtype=np.int64)
    return Labelled(tokens=encode_texts([text for text, _ in examples], state)[TOKENS], intents=intents)


def _teacher(data: _Data, settings: Settings) -> Committee:
    """Return MiniLM, fine-tuned and calibrated; the vectors of words are kept, except where Chinese has to be learned."""
    from ml.use_cases.service import learn, network
    from ml.use_cases.service.committee import Committee

    state, members = data.state, []
    words = vocabulary.vectors(state["vocabulary"], state["han"])
    for number in range(settings.members):
        one = network.from_minilm(words, len(state["classes"]), learns_words=bool(state["han"]))
        course = _course(settings)
        learn.teach(one, data.train, data.valid, replace(course, seed=course.seed + MEMBER_SEEDS * number))
        members.append(one)
    return Committee(members, data.valid, shifts_last=data.has_outside)


def _student(teacher: Committee, data: _Data, settings: Settings) -> Network:
    from ml.use_cases.service import learn, network
    from ml.use_cases.service.calibrate import calibrate

    first, blocks = teacher.members[0], network.blocks_of(settings.student_blocks)
    student = network.copied(first, replace(first.shape, blocks=len(blocks), places=LONGEST), blocks)
    course = replace(_course(settings), learning_rate=2 * settings.learning_rate)
    learn.distil(student, teacher.members, data.train.tokens, data.valid, course)
    if data.valid is not None:
        calibrate(student, data.valid, shifts_last=data.has_outside)
    return student


def _course(settings: Settings) -> Course:
    from ml.use_cases.service.learn import Course

    names = ("seed", "epochs", "batch_size", "learning_rate", "smoothing", "consistency")
    return Course(patience=settings.epochs, **{name: getattr(settings, name) for name in names})


def _figures(predictor: Predictor, data: _Data) -> JsonObject:
    """Return the figures on the test rows, at the threshold that the validation rows choose."""
    threshold = choose(_scored(predictor, data.valid, data)) if data.valid is not None else 0.0
    test = _scored(predictor, data.test, data)
    return {**figures(test, threshold), "worst": _worst(test, data.state["classes"])}


def _scored(predictor: Predictor, rows: Labelled, data: _Data) -> Scored:
    parts = [predictor({TOKENS: rows.tokens[at : at + CHUNK]}) for at in range(0, len(rows.tokens), CHUNK)]
    return Scored(p=np.concatenate(parts).astype(np.float64), intents=rows.intents, has_outside=data.has_outside)


def _worst(test: Scored, classes: Sequence[str]) -> list[JsonObject]:
    """Return the labels that are recognised least often, and what they are mostly taken for."""
    found = test.p.argmax(axis=1)
    told = []
    for number in np.unique(test.intents):
        own = found[test.intents == number]
        wrong = Counter(classes[other] for other in own if other != number)
        mostly = min(wrong, key=lambda name: (-wrong[name], name)) if wrong else None
        told.append({"label": classes[number], "recall": float((own == number).mean()), "mostly": mostly})
    return sorted(told, key=lambda one: (one["recall"], one["label"]))[:WORST]


def _footprint(folder: Path, data: _Data) -> JsonObject:
    """Return size, and the time of single test texts spread over all, on one thread."""
    chosen = data.test.tokens[:: max(1, len(data.test.tokens) // SINGLE_REQUESTS)][:SINGLE_REQUESTS]
    lengths = np.count_nonzero(chosen, axis=1)
    requests = [{TOKENS: row[None, : -(-length // STEP) * STEP]} for row, length in zip(chosen, lengths, strict=True)]
    latency = measure_latency(open_litert(folder), requests)
    return {
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "latency": {**latency, "median_tokens": float(np.median(lengths)), "most_tokens": int(lengths.max())},
    }
