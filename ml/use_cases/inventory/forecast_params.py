"""What can be set of the demand forecast: which examples, which features, how the network is trained."""

from __future__ import annotations

from pydantic import Field

from ml.parameter import Section


class WindowParams(Section):
    """How far an example looks back and ahead, and which series are forecast."""

    history: int = Field(36, ge=1, le=520)
    """Newest periods of demand that are looked at."""
    horizon: int = Field(8, ge=1, le=52)
    """Periods ahead, forecast at once."""
    active_periods: int = Field(0, ge=0, le=520)
    """Newest periods in which a series must have sold to be forecast at an origin."""
    min_sales: int = Field(0, ge=0, le=520)
    """Fewest of those periods with a sale. Decided at each origin from what precedes it, for training and test alike: a
    choice over the whole training period would keep just those series that are known to sell later."""


class FeatureParams(Section):
    """What the network sees of a history."""

    half_lives: tuple[float, ...] = (3.0, 8.0, 26.0)
    """Half-lives of the decayed rates [periods]; the last is the scale that demand is measured in."""
    windows: tuple[int, ...] = (4, 8, 18)
    """Lengths over which mean, scatter and share of empty periods are taken [periods]."""
    ordered: int = Field(13, ge=1, le=104)
    """Newest demands that enter in ascending order."""
    lags: int = Field(8, ge=1, le=104)
    """Newest demands that enter one by one."""
    prior: float = Field(2.0, gt=0)
    """How many periods of evidence the group's rate is worth."""
    calendar: bool = False
    """Whether the time of year enters; learning it takes at least two years."""
    month: bool = False
    """Whether the place of a week in its month enters, for paydays."""
    period_days: float = Field(7.0, gt=0)
    """Length of a period [days]."""


class TrainParams(Section):
    """How the network is trained."""

    seed: int = Field(20260101, ge=0)
    """Seed of the initial weights, the order of examples and dropout."""
    epochs: int = Field(6, ge=1, le=200)
    """Most passes over the training examples."""
    patience: int = Field(2, ge=1, le=50)
    """Passes without a better WQL on `valid` before training ends."""
    batch_size: int = Field(256, ge=8, le=4096)
    """Examples a step."""
    learning_rate: float = Field(0.004, gt=0, le=0.1)
    """Step size of Adam at the start; it falls along a half cosine to a fiftieth."""
    hidden: int = Field(64, ge=4, le=512)
    """Units of each hidden layer."""
    embedding: int = Field(4, ge=1, le=64)
    """Numbers that describe a group."""
    dropout: float = Field(0.1, ge=0, lt=0.9)
    """Share of the first layer's units that is dropped while training."""
    members: int = Field(3, ge=1, le=10)
    """Networks whose quantiles are averaged."""
    warm_start: bool = False
    """Whether training starts at the quantiles that all examples share, relative to their scale: fewer passes are needed."""
    threads: int = Field(2, ge=1, le=64)
    """Threads of one TensorFlow operation; another number can change the last bits of the weights."""
