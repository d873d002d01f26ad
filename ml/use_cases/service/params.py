"""What can be set of customer service in `params.yaml`."""

from __future__ import annotations

from pydantic import Field

from ml.parameter import Section, UseCaseParams, searched


class ServiceFeatures(Section):
    """How utterances and pages become examples and state."""

    english_words: int = Field(16_000, ge=100, le=30_000)
    """Most usual English words that are read as one token; others are read in pieces."""
    chinese_words: int = Field(12_000, ge=100, le=60_000)
    """Most usual Chinese words that are known beside those of the utterances and pages."""
    longest: int = Field(64, ge=8, le=256)
    """Tokens of an utterance that are read; what comes after them is not."""


class ServiceTrain(Section):
    """How teacher and student are trained."""

    seed: int = Field(20260101, ge=0)
    """Seed of the order of examples and of dropout."""
    epochs: int = Field(5, ge=1, le=100)
    """Most passes of the teacher over the training utterances."""
    student_epochs: int = Field(4, ge=1, le=100)
    """Most passes of the student over what the teacher says of them."""
    patience: int = Field(3, ge=1, le=100)
    """Passes without a better accuracy on `valid` before training ends; the best pass is kept."""
    batch_size: int = Field(32, ge=4, le=512, json_schema_extra=searched(16, 64, log=True))
    """Utterances a step."""
    learning_rate: float = Field(1e-4, gt=0, le=0.01, json_schema_extra=searched(3e-5, 4e-4, log=True))
    """Step size of Adam after its first tenth, from where it falls."""
    smoothing: float = Field(0.1, ge=0, lt=1, json_schema_extra=searched(0, 0.2))
    """Share of each label's weight that is spread over all intents."""
    consistency: float = Field(0.0, ge=0, le=20)
    """How much two readings of an utterance by the teacher, under dropout, must agree; 0 reads it once, in half the time."""
    student_blocks: int = Field(3, ge=1, le=6)
    """Blocks of the student; the teacher has MiniLM's six."""
    threads: int = Field(2, ge=1, le=64)
    """Threads of one TensorFlow operation; another number can change the last bits of the weights."""


class ServiceParams(UseCaseParams):
    """Section `service` of `params.yaml`."""

    features: ServiceFeatures = ServiceFeatures()
    train: ServiceTrain = ServiceTrain()
