"""Runs an exported LiteRT model; imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ml.compression.litert import MODEL
from ml.errors import IntegrityBroken

if TYPE_CHECKING:
    from ml.contract import Arrays


class LiteRtPredictor:
    """An interpreter on one thread; inputs are resized as they come. Not for use by two threads at once."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(model_path=str(path), num_threads=1)
        self._inputs = {_name(detail): detail for detail in self._interpreter.get_input_details()}
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shapes: dict[str, tuple[int, ...]] = {}

    def __call__(self, inputs: Arrays) -> NDArray[np.float32]:
        """Return scores `(n_rows, n_outputs)`."""
        self._resize({name: inputs[name].shape for name in self._inputs})
        for name, detail in self._inputs.items():
            self._interpreter.set_tensor(detail["index"], inputs[name].astype(detail["dtype"], copy=False))
        self._interpreter.invoke()
        scores: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return scores

    def _resize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        if shapes == self._shapes:
            return
        for name, shape in shapes.items():
            self._interpreter.resize_tensor_input(self._inputs[name]["index"], shape)
        self._interpreter.allocate_tensors()
        self._shapes = shapes


def open_litert(folder: Path) -> LiteRtPredictor:
    """Open a variant.

    Args:
        folder: Holds `model.tflite`.

    Raises:
        IntegrityBroken: There is no model, or none that can be read.
    """
    path = folder / MODEL
    try:
        return LiteRtPredictor(path)
    except (OSError, ValueError, RuntimeError) as error:
        found = type(error).__name__ if path.exists() else "no such file"
        raise IntegrityBroken(f"a LiteRT model {path}", found, "Run the compress stage again.") from error


def _name(detail: dict[str, Any]) -> str:
    """Return an input's name as the network knows it: the converter adds a number and sometimes a prefix."""
    name: str = detail["name"]
    return name.split(":", maxsplit=1)[0].removeprefix("serving_default_").removeprefix("inputs_")
