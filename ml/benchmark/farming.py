"""What order farming buys: planted farms, and what is left of a product's gain in rank once farmed orders are set aside."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from data_checks.farming import rows_of_farms
from ml.benchmark.comparison import Bar, Comparison, Figures
from ml.contract import Features
from ml.files import write_parquet
from ml.sources.complete_journey import MAKERS
from ml.sources.engine import open_tables
from ml.use_cases import load
from ml.use_cases.recommend.cut import windows
from ml.use_cases.recommend.params import RecommendParams
from ml.use_cases.recommend.vocabulary import vocabulary_of

ORDERS = 500
MIDDLING = 0.5  # rank of the product that is farmed, as a share of the vocabulary
ROWS = 256  # examples scored at a time


@dataclass(frozen=True, kw_only=True)
class Farm:
    """How a farm spreads its orders."""

    name: str
    accounts: int
    """Among which the orders are spread evenly."""
    days: int
    """The newest before the validation window."""
    beside: int = 0
    """Popular products in each order besides the farmed one."""
    is_known: bool = False
    """Whether shoppers' accounts are used rather than new ones."""


FARMS = (
    Farm(name="2 days, 50 accounts", accounts=50, days=2),
    Farm(name="2 days, shoppers' accounts", accounts=ORDERS, days=2, is_known=True),
    Farm(name="28 days, 500 accounts", accounts=ORDERS, days=28),
    Farm(name="28 days, 2 products beside", accounts=ORDERS, days=28, beside=2),
)


def orders(farm: Farm, product: str, purchases: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """Return the lines of a farm's orders, in the columns of `ml.shop.PURCHASES`.

    Args:
        farm: How they are spread.
        product: What is farmed.
        purchases: Of the shop; accounts and products beside are taken from them.
        until: End of the farm's last day.
    """
    rng = np.random.default_rng(ORDERS)
    shoppers = purchases["customer_id"].drop_duplicates().sort_values()
    known = rng.choice(shoppers, farm.accounts, replace=len(shoppers) < farm.accounts)
    accounts = known if farm.is_known else np.array([f"9{number:07d}" for number in range(farm.accounts)])
    popular = purchases["product_id"].value_counts().index[:50]
    one = pd.DataFrame(
        {
            "customer_id": np.resize(accounts, ORDERS),
            "basket_id": [f"farmed-{number}" for number in range(ORDERS)],
            "product_id": [[product, *rng.choice(popular, farm.beside, replace=False)] for _ in range(ORDERS)],
            "store_id": purchases["store_id"].iloc[0],
            "purchased_at": until - pd.to_timedelta(rng.uniform(0, farm.days, ORDERS), unit="D"),
        }
    )
    return one.explode("product_id").assign(quantity=1, amount=1.0, discount=0.0)[list(purchases.columns)]


def gain_lost(shown: float, farmed: float, ruled: float) -> float:
    """Return the share of the gain in rank that is lost [..1]; 1 if the product is shown as if there were no farm.

    Args:
        shown: Mean rank without a farm; 1 is first.
        farmed: With the farm.
        ruled: With the farm, its orders set aside as far as they are recognised.
    """
    return (ruled - farmed) / (shown - farmed)


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A shop, and the product that a farm wants to lift."""

    purchases: pd.DataFrame
    products: pd.DataFrame
    product: str
    until: pd.Timestamp
    """When the farm ends: the last moment of training."""


def load_journey(path: Path) -> Shop:
    """Return Complete Journey, and a product of middling popularity.

    Args:
        path: `transactions.parquet`, with `products.parquet` beside it.
    """
    purchases, products = (
        MAKERS[name](pq.read_table(path.with_name(file))).to_pandas()
        for name, file in (("purchases", path.name), ("products", "products.parquet"))
    )
    return shop(_texts(purchases), _texts(products), RecommendParams())


def shop(purchases: pd.DataFrame, products: pd.DataFrame, params: RecommendParams) -> Shop:
    """Return a shop with the product in the middle of its vocabulary."""
    known = _built(purchases, products, params).state["products"]
    oldest, newest = purchases["purchased_at"].agg(["min", "max"])
    return Shop(
        purchases=purchases,
        products=products,
        product=known[int(MIDDLING * len(known))],
        until=pd.Timestamp(windows(oldest, newest, params.features).valid_start),
    )


def measure(given: Shop, farm: Farm, rank: Callable[[pd.DataFrame], float], shown: float) -> tuple[float, float]:
    """Return how far a farm lifts its product [ranks], and the share of that gain which is lost by the rule.

    Args:
        given: The shop and the product.
        farm: How the farm goes about it.
        rank: Purchases -> mean rank at which the product is shown; lower is better.
        shown: That rank without a farm.
    """
    farmed = pd.concat([given.purchases, orders(farm, given.product, given.purchases, given.until)], ignore_index=True)
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(Path(folder) / "purchases" / "all.parquet", farmed)
        aside = rows_of_farms(open_tables(Path(folder))["purchases"])(farmed)
    lifted = rank(farmed)
    kept = farmed[~aside].reset_index(drop=True)
    ruled = shown if kept.equals(given.purchases) else rank(kept)
    return shown - lifted, gain_lost(shown, lifted, ruled)


def model_rank(given: Shop, params: RecommendParams) -> Callable[[pd.DataFrame], float]:
    """Return what trains on purchases and tells the product's mean rank over the test customers."""
    return lambda purchases: _model_rank(_built(purchases, given.products, params), given.product, params)


def _built(purchases: pd.DataFrame, products: pd.DataFrame, params: RecommendParams) -> Features:
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in {"purchases": purchases, "products": products}.items():
            write_parquet(Path(folder) / name / "all.parquet", frame)
        return load("recommend").data.build(open_tables(Path(folder)), params.features)


def _model_rank(built: Features, product: str, params: RecommendParams) -> float:
    use_case, state, test = load("recommend"), built.state, built.splits["test"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        use_case.model.train(built.splits, state, params.train, folder / "train")
        best = use_case.model.export(folder / "train", folder / "export", built.splits, state)[0]
        predict = use_case.model.open(best.path)
        number = vocabulary_of(state).numbers.get(product)
        if number is None:
            return float(len(state["products"]) + 1)
        chunks = [test.iloc[start : start + ROWS] for start in range(0, len(test), ROWS)]
        scores = (predict(use_case.data.encode(chunk, state)) for chunk in chunks)
        return float(np.concatenate([_ranks(rows, number) for rows in scores]).mean())


def _ranks(scores: np.ndarray[Any, Any], number: int) -> np.ndarray[Any, Any]:
    """Return a product's rank in each row `(n_rows,)`; of equal scores the more popular product's counts as better."""
    own = scores[:, [number]]
    before: np.ndarray[Any, Any] = (scores > own).sum(axis=1) + (scores[:, :number] == own).sum(axis=1)
    return before + 1


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its identifiers as text."""
    return frame.astype({name: "str" for name in frame.columns if name.endswith("_id")})


def _measure_all(given: Shop, _seed: int) -> Figures:
    rank = model_rank(given, RecommendParams())
    shown = rank(given.purchases)
    figures: Figures = {}
    for farm in FARMS:
        gain, lost = measure(given, farm, rank, shown)
        figures |= {f"{farm.name}: ranks gained": gain, f"{farm.name}: gain lost": lost}
    return figures


COMPARISONS = (
    Comparison(
        name="order-farming",
        use_case="recommend",
        title="Order farming: 500 orders for one product",
        protocol=(
            "Complete Journey with 500 orders planted before the validation window, for the product in the middle of the "
            "vocabulary. Rank: mean over the test customers, of the model trained on all orders, and of the model trained on those "
            "that the rule `purchases.not_farmed` lets pass."
        ),
        data="complete_journey/transactions.parquet",
        load=load_journey,
        peers={"not_farmed": _measure_all},
        ours="not_farmed",
        fixed=frozenset({"not_farmed"}),
        bars=tuple(Bar(figure=f"{farm.name}: gain lost", limit=0.8, side="at least") for farm in FARMS),
    ),
)
