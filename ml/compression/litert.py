"""Exports a network as LiteRT in several precisions, each the same bytes for the same weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.contract import Variant
from ml.files import write_bytes

MODEL = "model.tflite"
PRECISIONS = ("float32", "float16", "int8")


def export_litert(
    model: Any, signature: Mapping[str, Sequence[int | None]], out: Path, precisions: Sequence[str] = PRECISIONS
) -> tuple[Variant, ...]:
    """Write one variant a precision, each in a folder of its own.

    Args:
        model: A Keras model that takes a dictionary of inputs and returns scores.
        signature: Shape of each input by name; `None` for a dimension that changes.
        out: Folder the variants' folders are made in.
        precisions: `float32`; `float16` halves the weights; `int8` stores weights as 8-bit integers with a scale and
            computes with activations quantised as they come (dynamic range), so that no calibration is needed.

    Returns:
        The variants, most faithful first.
    """
    function = _concrete(model, signature)
    found = []
    for precision in precisions:
        folder = out / precision
        write_bytes(folder / MODEL, _converted(function, precision))
        found.append(Variant(name=precision, path=folder))
    return tuple(found)


def _concrete(model: Any, signature: Mapping[str, Sequence[int | None]]) -> Any:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    types = {tensor.name: tensor.dtype for tensor in model.inputs}
    specs = {name: tf.TensorSpec(list(shape), types[name], name=name) for name, shape in signature.items()}
    function = tf.function(lambda **inputs: model(inputs, training=False)).get_concrete_function(**specs)
    return convert_variables_to_constants_v2(function)  # left as variables, they would stay resources


def _converted(function: Any, precision: str) -> bytes:
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    written: bytes = converter.convert()
    return written
