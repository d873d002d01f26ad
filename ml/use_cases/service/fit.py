"""Fine-tunes MiniLM on both languages' utterances, and distils it into the small student that ships."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ml.compression.litert import export_litert
from ml.contract import Frames, JsonObject, Predictor, Variant
from ml.files import write_json
from ml.language import minilm, vocabulary
from ml.language.shape import Shape
from ml.training import weights
from ml.training.determinism import make_deterministic
from ml.use_cases.service.encode import TOKENS, encode, encode_texts
from ml.use_cases.service.params import ServiceTrain

if TYPE_CHECKING:
    import pandas as pd
    from pydantic import BaseModel

    from ml.use_cases.service.learn import Labelled

TEACHER_HISTORY = "teacher_history.json"
TEACHER, STUDENT = "teacher", "student"

log = logging.getLogger(__name__)


def train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    """Train teacher and student, calibrate the student on `valid`, write its weights, config and history."""
    wanted = cast(ServiceTrain, params)
    conditions = make_deterministic(wanted.seed, wanted.threads)
    from ml.use_cases.service import learn, network  # TensorFlow reads its settings when it is imported
    from ml.use_cases.service.calibrate import calibrate

    rows, valid = labelled(splits["train"], state), labelled(splits["valid"], state)
    pages = _of_pages(state, rows.tokens.shape[1])
    words = vocabulary.vectors(state["vocabulary"], state["han"])
    met = np.unique(np.concatenate([part.ravel() for part in (rows.tokens, valid.tokens, pages)]))
    rows, valid = (replace(part, tokens=_renumbered(part.tokens, met)) for part in (rows, valid))
    course, blocks = course_of(wanted), network.blocks_of(wanted.student_blocks)
    teacher = network.from_minilm(words[met], len(state["classes"]), learns_words=True)
    teacher_epochs = learn.teach(teacher, rows, valid, course)
    shape = replace(minilm.SHAPE, vocabulary=len(met), blocks=len(blocks), places=state["longest"], learns_words=True)
    student = network.copied(teacher, shape, blocks)
    texts = np.concatenate([rows.tokens, _renumbered(pages, met)])
    epochs = learn.distil(student, [teacher], texts, valid, replace(course, learning_rate=2 * course.learning_rate))
    scale, shift = calibrate(student, valid, shifts_last=True)
    figures = {name: {"accuracy": learn.accuracy(one, valid)} for name, one in ((TEACHER, teacher), (STUDENT, student))}
    words[met] = student.encoder.get_layer("words").get_weights()[0]
    shape = replace(shape, vocabulary=len(words))
    student = network.copied(student, shape, range(len(blocks)), words)
    config = {"shape": asdict(shape), "classes": len(state["classes"]), "conditions": conditions}
    weights.save(student.answers, config, epochs, out)
    write_json(out / TEACHER_HISTORY, {"epochs": teacher_epochs})
    log.info("student distilled teacher=%.4f student=%.4f", *(one["accuracy"] for one in figures.values()))
    return {
        "chosen": STUDENT,
        "valid": figures,
        "scale": round(scale, 4),
        "out_of_scope_shift": round(shift, 4),
        "parameters": int(student.answers.count_params()),
        "rows": {name: len(frame) for name, frame in splits.items()},
    }


def export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:  # noqa: ARG001
    """Return the variants float32, float16 and int8."""
    return export_litert(_rebuilt(trained), {TOKENS: (None, None)}, out)


def reference(trained: Path) -> Predictor:
    """Return the trained student as Keras runs it."""
    return weights.as_predictor(_rebuilt(trained))


def labelled(examples: pd.DataFrame, state: JsonObject) -> Labelled:
    """Return a split as arrays."""
    from ml.use_cases.service.learn import Labelled

    numbers = {name: number for number, name in enumerate(state["classes"])}
    intents = np.array([numbers[name] for name in examples["intent"]], dtype=np.int64)
    return Labelled(tokens=encode(examples, state)[TOKENS], intents=intents)


def course_of(params: ServiceTrain) -> Any:
    """Return how the parameters say that a network is trained."""
    from ml.use_cases.service.learn import Course

    return Course(**{name: getattr(params, name) for name in Course.__dataclass_fields__})


def _of_pages(state: JsonObject, width: int) -> np.ndarray:
    """Return what the pages' headings and passages begin with, as tokens no longer than the utterances'."""
    texts = [text for passage in state["passages"] for text in (passage["heading"], passage["text"])]
    tokens = encode_texts(texts, state)[TOKENS][:, :width]
    return np.pad(tokens, ((0, 0), (0, width - tokens.shape[1])))


def _renumbered(tokens: np.ndarray, met: np.ndarray) -> np.ndarray:
    """Return tokens as numbers among those that training meets: what it never meets, it cannot change."""
    return np.searchsorted(met, tokens).astype(np.int32)


def _rebuilt(trained: Path) -> Any:
    config = weights.config(trained)
    make_deterministic(config["conditions"]["seed"], config["conditions"]["threads"])
    from ml.use_cases.service import network

    model = network.build(Shape(**config["shape"]), config["classes"]).answers
    weights.load(model, trained)
    return model
