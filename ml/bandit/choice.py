"""Which product stands at a place: one of few, drawn with chances that are known exactly; numpy alone, for the server.

Arm 0 is the base list's own product, the others are its challengers. Each place has challengers of its own, so that
places are drawn independently, no product can appear twice, and the chance of what is shown needs no sum over lists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Numbers: TypeAlias = "NDArray[np.float64]"
BASE = 0  # the arm that the list would hold without exploration


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Places whose content is or was drawn."""

    features: Numbers
    """`(n_rows, n_arms, n_features)`"""
    is_there: NDArray[np.bool_]
    """`(n_rows, n_arms)` whether there is such an arm: a place may have fewer challengers than others."""


def prefer_base(choices: Choices) -> NDArray[np.int64]:
    """Return `(n_rows,)` the base list's own arm."""
    return np.full(len(choices.features), BASE, dtype=np.int64)


def prefer_best(choices: Choices, weights: Sequence[float] | Numbers) -> NDArray[np.int64]:
    """Return `(n_rows,)` the arm with the largest weighted sum of features; the earlier of equal ones.

    Args:
        choices: The places.
        weights: `(n_features,)` of a linear model of the log-odds of a reward.
    """
    scores = np.where(choices.is_there, choices.features @ np.asarray(weights, dtype=np.float64), -np.inf)
    best: NDArray[np.int64] = np.argmax(scores, axis=1)
    return best


def chances(choices: Choices, preferred: NDArray[np.int64], explore: float) -> Numbers:
    """Return `(n_rows, n_arms)` `explore / arms + (1 − explore) · [arm is preferred]`: the ε-greedy choice.

    With it a reward weighs at most arms / explore in an estimate from the log (Langford and Zhang 2007, NeurIPS 20).

    Args:
        choices: The places.
        preferred: `(n_rows,)` the arm that is shown where nothing is explored.
        explore: Share of draws that fall on any arm alike [0..1]; 0 draws nothing.
    """
    even = choices.is_there / choices.is_there.sum(axis=1, keepdims=True)
    greedy = np.arange(choices.is_there.shape[1]) == preferred[:, None]
    mixed: Numbers = explore * even + (1 - explore) * greedy
    return mixed


def draw(chance: Numbers, seed: str) -> NDArray[np.int64]:
    """Return `(n_rows,)` an arm for each place; the same chances and seed give the same arms on every machine.

    Args:
        chance: `(n_rows, n_arms)`, each row summing to 1.
        seed: Such as a request's id.
    """
    digest = hashlib.blake2b(seed.encode(), digest_size=16).digest()
    uniform = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big"))).random(len(chance))
    return drawn(chance, uniform)


def drawn(chance: Numbers, uniform: Numbers) -> NDArray[np.int64]:
    """Return `(n_rows,)` the arm at which the cumulated chances pass uniform numbers `(n_rows,)` in [0, 1)."""
    cumulated = np.cumsum(chance, axis=1)
    arms: NDArray[np.int64] = (cumulated[:, :-1] <= uniform[:, None] * cumulated[:, -1:]).sum(axis=1)
    return arms
