"""Cuts purchases into next-basket examples by time, with everything a model may know at that moment.

`test` = each customer's first basket in the newest window, `valid` = the same in the window before it, `train` = the
newest baskets of the window before both. An example's history ends strictly before its own basket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import ibis
import numpy as np
import pandas as pd

from ml.contract import Expressions, Features, JsonObject
from ml.use_cases.recommend.cut import Cut, cut_baskets, frame
from ml.use_cases.recommend.describe import describe
from ml.use_cases.recommend.fitted import UNKNOWN, activity, fit_state
from ml.use_cases.recommend.offers_fit import fit_offers
from ml.use_cases.recommend.params import RecommendFeatures
from ml.use_cases.recommend.snapshot import snapshot

if TYPE_CHECKING:
    from pydantic import BaseModel

SPLITS = ("train", "valid", "test")
TIERS = ("low", "medium", "high")


def build(tables: Expressions, params: BaseModel) -> Features:
    """Return examples, fitted state, profile and histories.

    Args:
        tables: Anonymised `purchases`, `products` and, if the shop has it, `customers`.
        params: `RecommendFeatures`.

    Raises:
        ValueError: There is no purchase, or no product is frequent enough.
    """
    purchases = cut_baskets(tables["purchases"], cast(RecommendFeatures, params))
    state = fit_state(purchases, tables["products"])
    examples = _chosen(purchases).merge(_slices(tables, purchases, state), on="unit", how="left")
    examples = _with_lists(examples.fillna({"age_group": UNKNOWN, "income_group": UNKNOWN}), purchases)
    splits = {name: _split(examples, name) for name in SPLITS}
    state |= fit_offers(tables, purchases, state, splits["train"])
    profile = {"reference": describe(splits["train"].drop_duplicates("unit", keep="last"))}
    return Features(splits=splits, state=state, profile=profile, histories=_histories(purchases))


def _slices(tables: Expressions, cut: Cut, state: JsonObject) -> pd.DataFrame:
    """Return unit, age_group, income_group and activity of every customer with a purchase."""
    units = frame(cut.baskets.select("unit").distinct().order_by("unit"))
    counts = units.merge(activity(cut), on="unit", how="left")["baskets"].fillna(0).to_numpy()
    tiers = np.array(TIERS, dtype=object)[np.searchsorted(state["tiers"], counts, side="left")]
    found = units.assign(activity=tiers)
    if "customers" not in tables:
        return found.assign(age_group=UNKNOWN, income_group=UNKNOWN)
    customers = tables["customers"]
    chosen = frame(customers.select("age_group", "income_group", unit=customers.customer_id))
    return found.merge(chosen.drop_duplicates("unit"), on="unit", how="left")


def _chosen(cut: Cut) -> pd.DataFrame:
    """Return the baskets that become examples: example, split, unit, basket, time, second, number, n_targets."""
    baskets, edges = cut.baskets, cut.windows
    split = ibis.cases(
        (baskets.time >= edges.test_start, "test"),
        (baskets.time >= edges.valid_start, "valid"),
        (baskets.time >= edges.train_start, "train"),
        else_="past",
    )
    labelled = baskets.mutate(split=split)
    oldest = labelled.mutate(first=ibis.row_number().over(group_by=["unit", "split"], order_by=["number"]))
    ranked = oldest.mutate(newest=ibis.row_number().over(group_by=["unit", "split"], order_by=[ibis.desc("number")]))
    is_train = (ranked.split == "train") & (ranked.number > cut.params.min_baskets)
    is_held_out = ranked.split.isin(["valid", "test"]) & (ranked.first == 0) & (ranked.number > 1)
    kept = ranked.filter((is_train & (ranked.newest < cut.params.examples_per_customer)) | is_held_out)
    sized = cut.lines.group_by("unit", "basket").aggregate(n_targets=cut.lines.count())
    joined = kept.join(sized, ["unit", "basket"]).select(
        "split", "unit", "basket", "time", "second", "number", "n_targets"
    )
    found = frame(joined.order_by(["time", "unit", "number"]))
    return found.assign(example=np.arange(len(found), dtype=np.int32))


def _with_lists(examples: pd.DataFrame, cut: Cut) -> pd.DataFrame:
    """Add what was bought before and what is bought now, as lists."""
    here = ibis.memtable(examples[["example", "unit", "basket", "second", "number"]])
    past = _past(here, cut)
    bought = here.join(cut.lines, ["unit", "basket"]).select("example", "key")
    targets = frame(bought.order_by(["example", "key"]))
    rows = len(examples)
    return examples.assign(
        items=_lists(past["key"], past["example"], rows),
        ages=_lists(past["age"], past["example"], rows),
        baskets_ago=_lists(past["ago"], past["example"], rows),
        targets=_lists(targets["key"], targets["example"], rows),
        **_bounds(here, cut),
    )


def _past(here: ibis.Table, cut: Cut) -> pd.DataFrame:
    """Return one row for each product of each earlier basket: example, key, age [s], ago [baskets]; newest first."""
    earlier = _earlier(here, cut)
    lines = earlier.join(cut.lines, ["unit", "basket"]).select("example", "age", "ago", "key")
    return frame(lines.order_by(["example", "age", "ago", "key"]))


def _earlier(here: ibis.Table, cut: Cut) -> ibis.Table:
    past = cut.baskets.select("unit", "basket", then="second", before="number")
    asked = here.select("example", "unit", now="second", at="number")
    joined = asked.join(past, "unit")
    ago = joined.at - joined.before
    strictly = joined.filter((joined.then < joined.now) & (ago >= 1) & (ago <= cut.params.max_baskets))
    return strictly.select(
        "example",
        "unit",
        "basket",
        age=(strictly.now - strictly.then).cast("int32"),
        ago=(strictly.at - strictly.before).cast("int32"),
    )


def _bounds(here: ibis.Table, cut: Cut) -> dict[str, pd.Series]:
    """Return how many baskets are looked at, and the age of the newest and of the oldest of them [s]."""
    earlier = _earlier(here, cut)
    bounds = earlier.group_by("example").aggregate(
        n_baskets=earlier.count(), newest_age=earlier.age.min(), oldest_age=earlier.age.max()
    )
    found = frame(here.select("example").left_join(bounds, "example").order_by("example"))
    return {name: found[name].fillna(0).astype("int64") for name in ("n_baskets", "newest_age", "oldest_age")}


def _lists(values: pd.Series, example: pd.Series, rows: int) -> pd.Series:
    """Return one array a row from values that are sorted by row."""
    edges = np.searchsorted(example.to_numpy(), np.arange(1, rows))
    return pd.Series(np.split(values.to_numpy(), edges), dtype=object)


def _split(examples: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = examples[examples["split"] == name]
    return rows.drop(columns=["split", "example", "basket", "second", "number"]).reset_index(drop=True)


def _histories(cut: Cut) -> pd.DataFrame:
    """Return each customer's newest baskets as the JSON that serving reads: columns unit, history."""
    newest = cut.baskets.mutate(ago=ibis.row_number().over(group_by="unit", order_by=[ibis.desc("number")]))
    kept = newest.filter(newest.ago < cut.params.max_baskets)
    lines = kept.join(cut.lines, ["unit", "basket"]).select("unit", "basket", "number", "time", "product")
    return snapshot(lines.order_by(["unit", "number", "product"]).execute())
