"""Fine-tunes MiniLM on both languages' utterances, and distils it into the small student that ships."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ml.compression.litert import export_litert
from ml.contract import Frames, JsonObject, Predictor, Variant
from ml.files import write_json
from ml.language import vocabulary
from ml.language.shape import Shape
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.service.encode import TOKENS, encode, encode_texts
from ml.use_cases.service.params import ServiceTrain

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel

    from ml.use_cases.service.learn import Course, Labelled
    from ml.use_cases.service.network import Network

TEACHER_HISTORY = "teacher_history.json"
TEACHER, STUDENT = "teacher", "student"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Material:
    """What both networks learn from, in the numbers of the tokens that it holds: no other token can be changed by it."""

    train: Labelled
    valid: Labelled
    texts: NDArray[np.int32]
    """Utterances and the pages' headings, which need no label `(n_texts, n_tokens)`."""
    met: NDArray[np.int32]
    """The vocabulary's number of each token."""
    words: NDArray[np.float32]
    """Vectors of the whole vocabulary `(n_words, width)`."""


def train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    """Train teacher and student, calibrate the student on `valid`, write its weights, config and history."""
    wanted = cast(ServiceTrain, params)
    conditions = make_deterministic(wanted.seed, wanted.threads)
    from ml.use_cases.service import learn  # TensorFlow reads its settings when it is imported
    from ml.use_cases.service.calibrate import calibrate

    material, course = _material(splits, state), _course(wanted)
    teacher, teacher_epochs = _teacher(material, len(state["classes"]), course)
    student, epochs = _student(teacher, material, wanted, state["longest"])
    scale, shift = calibrate(student, material.valid, shifts_last=True)
    networks = {TEACHER: teacher, STUDENT: student}
    figures = {name: {"accuracy": learn.accuracy(one, material.valid)} for name, one in networks.items()}
    whole = _widened(student, material)
    config = {"shape": asdict(whole.shape), "classes": len(state["classes"]), "conditions": conditions}
    weights.save(whole.answers, config, epochs, out)
    write_json(out / TEACHER_HISTORY, {"epochs": teacher_epochs})
    log.info("student distilled teacher=%.4f student=%.4f", *(one["accuracy"] for one in figures.values()))
    return {
        "chosen": STUDENT,
        "valid": figures,
        "scale": round(scale, 4),
        "out_of_scope_shift": round(shift, 4),
        "parameters": int(whole.answers.count_params()),
        "rows": {name: len(frame) for name, frame in splits.items()},
    }


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001 - called as the contract says
    """Return the variants float32, float16 and int8."""
    return export_litert(_rebuilt(trained), {TOKENS: (None, None)}, out)


def reference(trained: Path) -> Predictor:
    """Return the trained student as Keras runs it."""
    return weights.as_predictor(_rebuilt(trained))


def labelled(examples: pd.DataFrame, state: JsonObject) -> Labelled:
    """Return a split as arrays, without utterances of an intent that training never saw."""
    from ml.use_cases.service.learn import Labelled

    numbers = {name: number for number, name in enumerate(state["classes"])}
    known = examples[examples["intent"].isin(state["classes"])]
    intents = np.array([numbers[name] for name in known["intent"]], dtype=np.int64)
    return Labelled(tokens=encode(known, state)[TOKENS], intents=intents)


def _course(params: ServiceTrain) -> Course:
    """Return how the parameters say that a network is trained."""
    from ml.use_cases.service.learn import Course

    return Course(**{name: getattr(params, name) for name in Course.__dataclass_fields__})


def _material(splits: Frames, state: JsonObject) -> _Material:
    train, valid = labelled(splits["train"], state), labelled(splits["valid"], state)
    headings = _headings(state, train.tokens.shape[1])
    met = np.unique(np.concatenate([part.ravel() for part in (train.tokens, valid.tokens, headings)]))

    def renumbered(tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        return np.searchsorted(met, tokens).astype(np.int32)

    return _Material(
        train=replace(train, tokens=renumbered(train.tokens)),
        valid=replace(valid, tokens=renumbered(valid.tokens)),
        texts=renumbered(np.concatenate([train.tokens, headings])),
        met=met,
        words=vocabulary.vectors(state["vocabulary"], state["han"]),
    )


def _teacher(material: _Material, n_intents: int, course: Course) -> tuple[Network, list[JsonObject]]:
    from ml.use_cases.service import learn, network

    teacher = network.from_minilm(material.words[material.met], n_intents, learns_words=True)
    return teacher, learn.teach(teacher, material.train, material.valid, course)


def _student(
    teacher: Network, material: _Material, params: ServiceTrain, longest: int
) -> tuple[Network, list[JsonObject]]:
    from ml.use_cases.service import learn, network

    blocks, course = network.blocks_of(params.student_blocks), _course(params)
    student = network.copied(teacher, replace(teacher.shape, blocks=len(blocks), places=longest), blocks)
    course = replace(course, epochs=params.student_epochs, learning_rate=2 * course.learning_rate)
    return student, learn.distil(student, [teacher], material.texts, material.valid, course)


def _widened(student: Network, material: _Material) -> Network:
    """Return the student with the whole vocabulary: words that training never met stay where they began."""
    from ml.use_cases.service import network

    words = material.words.copy()
    words[material.met] = student.encoder.get_layer("words").get_weights()[0]
    shape = replace(student.shape, vocabulary=len(words))
    return network.copied(student, shape, range(shape.blocks), words)


def _headings(state: JsonObject, width: int) -> np.ndarray:
    """Return the headings of the pages' passages as tokens `(n_passages, width)`, no longer than the utterances'."""
    tokens = encode_texts([passage["heading"] for passage in state["passages"]], state)[TOKENS][:, :width]
    return np.pad(tokens, ((0, 0), (0, width - tokens.shape[1])))


def _rebuilt(trained: Path) -> Any:
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.service import network

    model = network.build(Shape(**config["shape"]), config["classes"]).answers
    weights.load(model, trained)
    return model
