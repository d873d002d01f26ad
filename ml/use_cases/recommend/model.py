"""The record's part on the model: how it is made, exported and opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml.compression.predictor import open_litert
from ml.contract import Frames, JsonObject, Model, Predictor, Variant

if TYPE_CHECKING:
    from pydantic import BaseModel


def _train(splits: Frames, state: JsonObject, params: BaseModel, out: Path) -> JsonObject:
    from ml.use_cases.recommend.fit import train

    return train(splits, state, params, out)


def _export(trained: Path, out: Path, splits: Frames, state: JsonObject) -> tuple[Variant, ...]:
    from ml.use_cases.recommend.export import export

    return export(trained, out, splits, state)


def _reference(trained: Path) -> Predictor:
    from ml.use_cases.recommend.export import reference

    return reference(trained)


MODEL = Model(train=_train, export=_export, open=open_litert, reference=_reference)
