"""What can be set of fraud detection in `params.yaml`: windows, costs, training."""

from __future__ import annotations

from pydantic import Field

from ml.parameter import GateParams, MonitorParams, Section, UseCaseParams, searched


class FraudFeatures(Section):
    """How payments become examples, and what a decision may cost; the costs travel with the model."""

    delay_days: int = Field(14, ge=1, le=120)
    """A payment without a charge-back after so many days counts as settled; as long is the gap between two windows, in
    which charge-backs still come in [days]."""
    test_days: int = Field(28, ge=1, le=90)
    """Length of the newest window whose payments are settled [days]."""
    valid_days: int = Field(28, ge=1, le=90)
    """Length of the window a gap before it, on which choices are made [days]."""
    train_days: int = Field(270, ge=7, le=1000)
    """Most days before that, after another gap, whose payments are learned from [days]."""
    genuine_share: float = Field(0.3, gt=0, le=1)
    """Share of the genuine training payments that is learned from, drawn by the seed; each counts for those left out."""
    sampling_seed: int = Field(20260101, ge=0)
    """Seed of that draw."""
    reviews_per_day: int = Field(10, ge=1, le=100_000)
    """Payments that people can look at on a day."""
    review_cost: float = Field(2.0, ge=0)
    """Cost of looking at one payment [currency of the amounts]."""
    decline_loss: float = Field(3.0, ge=0, le=1000)
    """What a declined genuine payment loses, in multiples of its amount: the margin, and a customer who may not return."""


class FraudTrain(Section):
    """How the models are trained."""

    seed: int = Field(20260101, ge=0)
    """Seed of the trees, the initial weights and the order of examples."""
    trees: int = Field(250, ge=50, le=4000)
    """Most trees; how many of them are used is chosen on `valid`."""
    leaves: int = Field(15, ge=2, le=255, json_schema_extra=searched(7, 63, log=True))
    """Most leaves of a tree."""
    bins: int = Field(255, ge=15, le=1023)
    """Most values of a feature that a tree tells apart."""
    tree_rate: float = Field(0.05, gt=0, le=1, json_schema_extra=searched(0.01, 0.1, log=True))
    """Step size of a tree."""
    epochs: int = Field(12, ge=1, le=200)
    """Most passes of the network over the training examples."""
    patience: int = Field(4, ge=1, le=50)
    """Passes without a better average precision on `valid` before training ends; the best pass is kept."""
    batch_size: int = Field(256, ge=8, le=8192, json_schema_extra=searched(64, 1024, log=True))
    """Examples a step."""
    learning_rate: float = Field(0.003, gt=0, le=0.1, json_schema_extra=searched(0.0005, 0.02, log=True))
    """Step size of Adam at the start; it falls along a half cosine to a tenth."""
    hidden: int = Field(64, ge=4, le=512, json_schema_extra=searched(16, 128, log=True))
    """Units of each of the network's two layers."""
    dropout: float = Field(0.1, ge=0, lt=0.9, json_schema_extra=searched(0, 0.4))
    """Share of the first layer's numbers that is dropped while training."""
    threads: int = Field(2, ge=1, le=64)
    """Threads of one TensorFlow operation; another number can change the last bits of the weights."""


class FraudGate(GateParams):
    """What a candidate must show before it may go live."""

    resamples: int = Field(500, ge=200)
    """Bootstrap resamples of the units; fewer than elsewhere, since rankings are worked out anew in each."""


class FraudMonitor(MonitorParams):
    """When monitoring asks for a retraining."""

    outcome_days: int = Field(45, ge=1, le=90)
    """How far back answers reach whose outcome may have become known: charge-backs take their time [days]."""


class FraudParams(UseCaseParams):
    """Section `fraud` of `params.yaml`."""

    features: FraudFeatures = FraudFeatures()
    train: FraudTrain = FraudTrain()
    gate: FraudGate = FraudGate()
    monitor: FraudMonitor = FraudMonitor()
