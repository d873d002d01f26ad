"""Puts the drawn places of logged answers into arrays, as learning and estimating want them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml.bandit.choice import Choices
from ml.bandit.learn import Log
from ml.contract import DrawnPlace


def feature_names(places: Sequence[DrawnPlace]) -> tuple[str, ...]:
    """Return the features that every candidate of every place has, in order of name."""
    common = set.intersection(*(set(one) for place in places for one in place.features))
    return tuple(sorted(common))


def gather(units: Sequence[str], places: Sequence[DrawnPlace], names: Sequence[str]) -> Log:
    """Return the places as a log.

    Args:
        units: Customer of each place.
        places: At least one; they may differ in how many candidates they have.
        names: Features to keep, in order.
    """
    shape = len(places), max(len(place.chances) for place in places)
    features, chance = np.zeros((*shape, len(names))), np.zeros(shape)
    for row, place in enumerate(places):
        features[row, : len(place.chances)] = [[one[name] for name in names] for one in place.features]
        chance[row, : len(place.chances)] = place.chances
    return Log(
        choices=Choices(features=features, is_there=chance > 0),
        chance=chance,
        shown=np.array([place.shown for place in places]),
        reward=np.array([place.reward for place in places]),
        units=np.array(units),
    )


def explored(log: Log) -> float:
    """Return the share of draws that fell on any candidate alike when the last place was drawn [0..1]."""
    chance = log.chance[-1][log.choices.is_there[-1]]
    return float(chance.min() * len(chance))
