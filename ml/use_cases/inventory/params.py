"""What can be set of inventory in `params.yaml`: which series are forecast, on what terms stock is replenished."""

from __future__ import annotations

from pydantic import Field

from ml.parameter import Section, UseCaseParams, searched
from ml.use_cases.inventory.forecast_params import FeatureParams, TrainParams, WindowParams


class StockParams(Section):
    """What stock costs and what a shop promises; a product's own terms come before it."""

    review_weeks: int = Field(1, ge=1, le=8)
    """Weeks from one chance to order to the next."""
    lead_time_weeks: int = Field(1, ge=0, le=24)
    """From order to arrival, where no supplier's terms are known [weeks]."""
    cost_share: float = Field(0.7, gt=0, lt=1)
    """Purchase price as a share of the price paid, where no supplier's terms are known."""
    holding_rate: float = Field(0.02, gt=0, le=1)
    """Cost of holding a piece for a week, as a share of its purchase price: capital, room, waste."""
    service_level: float = Field(0.95, gt=0, lt=1)
    """Promised chance that stock lasts until the next order arrives. It also prices a piece short: h · a / (1 − a)."""
    order_cost: float = Field(0.05, ge=0)
    """Cost of an order line, whatever its size [currency of the shop]."""
    budget: float | None = Field(None, gt=0)
    """Most that the proposals of one review may cost together [currency of the shop]; none is no limit."""


class InventoryFeatures(Section):
    """How sales become weekly demand and examples."""

    window: WindowParams = WindowParams(history=36, horizon=4, active_periods=18, min_sales=6)
    """How far an example looks back and ahead [weeks], and which series are forecast at all."""
    inputs: FeatureParams = FeatureParams(calendar=True, month=True)
    """What the network sees of a series."""
    max_series: int = Field(3000, ge=10, le=200_000)
    """Most series at an origin: those with the highest turnover in `window.active_periods`; training time grows with it."""
    test_weeks: int = Field(8, ge=2, le=52)
    """Newest weeks: stock is simulated on them, and every one is the origin of a test example."""
    valid_weeks: int = Field(4, ge=1, le=52)
    """Weeks before them, on which choices are made."""
    train_stride: int = Field(2, ge=1, le=13)
    """Weeks between the origins of training examples."""
    season: int = Field(1, ge=1, le=52)
    """Weeks after which the seasonal naive repeats itself; 52 takes a history of more than a year."""
    exclude_departments: tuple[str, ...] = ()
    """Departments whose quantities are not pieces."""
    stock: StockParams = StockParams()
    """Terms of replenishment."""


class InventoryTrain(TrainParams):
    """How the network is trained."""

    warm_start: bool = True
    """Whether training starts at the quantiles that all examples share, relative to their scale: fewer passes are needed."""
    epochs: int = Field(5, ge=1, le=200)
    """Most passes over the training examples."""
    batch_size: int = Field(256, ge=8, le=4096, json_schema_extra=searched(64, 1024, log=True))
    """Examples a step."""
    learning_rate: float = Field(0.004, gt=0, le=0.1, json_schema_extra=searched(0.0005, 0.02, log=True))
    """Step size of Adam at the start; it falls along a half cosine to a fiftieth."""
    hidden: int = Field(48, ge=4, le=512, json_schema_extra=searched(16, 128, log=True))
    """Units of each hidden layer."""
    dropout: float = Field(0.1, ge=0, lt=0.9, json_schema_extra=searched(0, 0.4))
    """Share of the first layer's units that is dropped while training."""


class InventoryParams(UseCaseParams):
    """Section `inventory` of `params.yaml`."""

    features: InventoryFeatures = InventoryFeatures()
    train: InventoryTrain = InventoryTrain()
