"""What can be set of rating prediction in `params.yaml`."""

from __future__ import annotations

from pydantic import Field

from ml.parameter import Section, UseCaseParams, searched


class RatingFeatures(Section):
    """How rows become examples."""

    valid_share: float = Field(0.2, gt=0, lt=0.5)
    """Share of the rows on which choices are made [0..1]."""
    test_share: float = Field(0.2, gt=0, lt=0.5)
    """Share of the rows on which the gate judges [0..1]."""
    split_seed: int = Field(20260101, ge=0)
    """Seed of the draw that splits the rows; a row stays in its split when others come."""


class RatingTrain(Section):
    """How the models are fitted."""

    seed: int = Field(20260101, ge=0)
    """Seed of the initial weights and of the order of examples."""
    epochs: int = Field(60, ge=1, le=1000)
    """Most passes over the training examples."""
    patience: int = Field(10, ge=1, le=100)
    """Passes without a better R² on `valid` before training ends; the best pass is kept."""
    batch_size: int = Field(32, ge=4, le=1024, json_schema_extra=searched(8, 128, log=True))
    """Examples a step."""
    learning_rate: float = Field(0.003, gt=0, le=0.1, json_schema_extra=searched(0.0003, 0.03, log=True))
    """Step size of Adam."""
    hidden: int = Field(16, ge=2, le=128, json_schema_extra=searched(4, 64, log=True))
    """Units of the layer that bends the straight line."""
    least_gain: float = Field(0.002, ge=0, lt=1)
    """Gain in R² on `valid` from which the network ships instead of the straight line, which everybody can read."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Confidence level of the coefficients' intervals."""
    threads: int = Field(2, ge=1, le=64)
    """Threads of one TensorFlow operation; another number can change the last bits of the weights."""


class RatingParams(UseCaseParams):
    """Section `rating` of `params.yaml`."""

    features: RatingFeatures = RatingFeatures()
    train: RatingTrain = RatingTrain()
