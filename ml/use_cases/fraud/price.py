"""Features of a sales report without any label: how far its unit price lies from what the product usually costs.

Robust figures, because the reports they are taken from hold the frauds too: on logarithms, the median of a product and
the width of its middle half (Tukey 1977; the box-plot rule of Torgo 2016, "Data Mining with R", ch. 6, ranks by the
distance from the median in such widths).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("seller_id", "product_id", "quantity", "value")
QUARTILES = {"low": 0.25, "middle": 0.5, "high": 0.75}
LEAST_WIDTH = 0.05  # of a product's middle half: five per cent, so that constant prices do not divide by nothing
MOST_WIDTHS = 10.0  # one report's distance counts at most so much in a seller's mean


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What reports usually say, by product and by seller."""

    products: pd.DataFrame
    """Index `product_id`: `low`, `middle`, `high` of the logarithm of the unit price, `reports`."""
    overall: pd.Series
    """The same over all products, for one nobody reported."""
    sellers: pd.DataFrame
    """Index `seller_id`: `distance` (mean), `value` (median of the logarithm), `reports`."""


def learn(reports: pd.DataFrame) -> Usual:
    """Return what is usual; only rows with quantity and value tell a price.

    Args:
        reports: Columns `COLUMNS`; quantity and value above 0, or missing.
    """
    import pandas as pd

    unit = (reports["value"] / reports["quantity"]).dropna()
    price = pd.Series(np.log(unit), index=unit.index)
    by_product = price.groupby(reports.loc[price.index, "product_id"])
    quartiles = {name: by_product.quantile(at) for name, at in QUARTILES.items()}
    products = pd.DataFrame({**quartiles, "reports": by_product.size().astype(float)})
    overall = pd.Series([*(price.quantile(at) for at in QUARTILES.values()), 0.0], index=products.columns)
    without = Usual(products=products, overall=overall, sellers=pd.DataFrame())
    told = _of_report(reports, without).assign(seller_id=reports["seller_id"])
    sellers = told.assign(distance=told["distance"].clip(upper=MOST_WIDTHS)).groupby("seller_id")
    return Usual(
        products=products,
        overall=overall,
        sellers=pd.DataFrame(
            {"distance": sellers["distance"].mean(), "value": sellers["value"].median(), "reports": sellers.size()}
        ),
    )


def features_of(reports: pd.DataFrame, usual: Usual) -> pd.DataFrame:
    """Return the features, index as the reports; not-a-number for a seller nobody knows."""
    told = _of_report(reports, usual)
    seller = usual.sellers.reindex(reports["seller_id"]).set_axis(reports.index)
    return told.assign(
        seller_distance=seller["distance"],
        seller_reports=seller["reports"],
        seller_value=seller["value"],
        value_to_seller=told["value"] - seller["value"],
    )


def _of_report(reports: pd.DataFrame, usual: Usual) -> pd.DataFrame:
    import pandas as pd

    product = usual.products.reindex(reports["product_id"]).fillna(usual.overall).set_axis(reports.index)
    quantity, value = np.log(reports["quantity"]), np.log(reports["value"])
    filled_quantity = quantity.fillna(value - product["middle"])
    filled_value = value.fillna(quantity + product["middle"])
    ratio = filled_value - filled_quantity - product["middle"]
    widths = ratio / np.maximum(product["high"] - product["low"], LEAST_WIDTH)
    found = {
        "quantity": filled_quantity,
        "value": filled_value,
        "price": filled_value - filled_quantity,
        "usual_price": product["middle"],
        "price_ratio": ratio,
        "price_widths": widths,
        "distance": widths.abs(),
        "product_width": product["high"] - product["low"],
        "product_reports": product["reports"],
        "lacks_quantity": quantity.isna(),
        "lacks_value": value.isna(),
    }
    return pd.DataFrame(found).astype(float)
