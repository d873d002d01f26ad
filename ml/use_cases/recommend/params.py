"""What can be set of recommendations in `params.yaml`: how examples are cut, how the model is trained."""

from __future__ import annotations

from pydantic import Field, field_validator

from ml.parameter import Section, UseCaseParams, searched
from ml.use_cases.recommend.explore_params import FEATURES, RecommendExplore
from ml.use_cases.recommend.history import MAX_BASKETS


class RecommendFeatures(Section):
    """How purchases become examples."""

    test_days: int = Field(28, ge=1, le=90)
    """Length of the newest window: each customer's first basket in it is a test example [days]."""
    valid_days: int = Field(28, ge=1, le=90)
    """Length of the window before it, on which choices are made [days]."""
    train_days: int = Field(112, ge=1, le=365)
    """Length of the window before that, whose baskets are training examples; what is older is only history [days]."""
    min_count: int = Field(10, ge=1, le=10_000)
    """A product is in the vocabulary if it was in at least so many baskets before the validation window."""
    max_products: int = Field(20_000, ge=10, le=60_000)
    """Most products in the vocabulary; the most frequent stay."""
    new_share: float = Field(0.1, ge=0, le=1)
    """Share of lists whose tenth place goes to a product too new to be learned: those where it is likeliest to be bought."""
    examples_per_customer: int = Field(8, ge=1, le=200)
    """Newest baskets of each customer in the training window that become examples."""
    min_baskets: int = Field(1, ge=1, le=50)
    """Baskets a customer must have before a training example."""
    max_baskets: int = Field(100, ge=1, le=MAX_BASKETS)
    """Newest baskets of a history that are looked at."""
    max_history: int = Field(256, ge=8, le=1024)
    """Distinct products of a history that enter the model: those bought most, recent purchases counting more."""
    explore: RecommendExplore = RecommendExplore()
    """How lists explore; off by default."""

    @field_validator("explore")
    @classmethod
    def _weights_known(cls, value: RecommendExplore) -> RecommendExplore:
        unknown = sorted(set(value.policy.weights) - set(FEATURES)) if value.policy else []
        if unknown:
            raise ValueError(f"policy.weights name {', '.join(unknown)}; known are {', '.join(FEATURES)}")
        return value


class RecommendTrain(Section):
    """How the model is trained."""

    seed: int = Field(20260101, ge=0)
    """Seed of the initial weights, the order of examples and dropout."""
    epochs: int = Field(6, ge=1, le=200)
    """Most passes over the training examples."""
    patience: int = Field(2, ge=1, le=50)
    """Passes without a better Recall@10 on `valid` before training ends; the best pass is kept."""
    batch_size: int = Field(32, ge=8, le=2048, json_schema_extra=searched(16, 128, log=True))
    """Examples a step."""
    learning_rate: float = Field(0.003, gt=0, le=0.1, json_schema_extra=searched(0.0005, 0.02, log=True))
    """Step size of Adam at the start; it falls along a half cosine to a tenth."""
    embedding: int = Field(32, ge=1, le=256, json_schema_extra=searched(8, 64, log=True))
    """Numbers that describe a product in the explore term."""
    hidden: int = Field(48, ge=4, le=256, json_schema_extra=searched(16, 96))
    """Units of the layers that weigh a history's product."""
    dropout: float = Field(0.1, ge=0, lt=0.9, json_schema_extra=searched(0, 0.4))
    """Share of the explore term's numbers that is dropped while training."""
    threads: int = Field(2, ge=1, le=64)
    """Threads of one TensorFlow operation; another number can change the last bits of the weights."""


class RecommendParams(UseCaseParams):
    """Section `recommend` of `params.yaml`."""

    features: RecommendFeatures = RecommendFeatures()
    train: RecommendTrain = RecommendTrain()
