"""The chart of the model card: whether lists favour what is popular anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.contract import JsonObject, Plot
from ml.explanation.chart import COLOURS
from ml.use_cases.recommend.catalogue import catalogue_of
from ml.use_cases.recommend.judgement import listed, targets_of

if TYPE_CHECKING:
    import pandas as pd

DECILES = 10
BOUGHT, OURS = "bought", "recommended"


def popularity_bias(scores: NDArray[np.float32], examples: pd.DataFrame, state: JsonObject) -> Plot:
    """Return shares of what is recommended and of what was bought by popularity of the product."""
    import altair as alt

    n_learned = catalogue_of(state).n_learned
    bought = np.concatenate([*targets_of(examples, state), np.zeros(0, dtype=np.int64)])
    shares = {
        OURS: decile_shares(listed(scores, examples, state).ravel(), n_learned),
        BOUGHT: decile_shares(bought, n_learned),
    }
    rows = [
        {"what": what, "decile": str(at), "share": share}
        for what, found in shares.items()
        for at, share in found.items()
    ]
    order = [str(at) for at in shares[OURS]]
    colours = alt.Scale(domain=list(shares), range=[COLOURS["ships"], COLOURS["baseline"]])
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "decile:N",
                sort=order,
                title="tenth of the products, the most popular first",
                axis=alt.Axis(labelAngle=0),
            ),
            xOffset=alt.XOffset("what:N", sort=list(shares)),
            y=alt.Y("share:Q", title="share", axis=alt.Axis(format="%")),
            color=alt.Color("what:N", scale=colours, legend=alt.Legend(orient="top", title=None)),
        )
    )
    told = "; ".join(
        f"{at}: {shares[OURS][at]:.1%} recommended, {shares[BOUGHT][at]:.1%} bought" for at in shares[OURS]
    )
    return Plot(
        title="Does it favour what is popular anyway?",
        text="All places of the lists, and all products of the baskets they were made for, by popularity before. Where the "
        "first bar is the higher, lists show such products more often than they are bought. `new` are those too new "
        "to be learned.",
        label=f"Popularity: {told}",
        spec=chart.to_dict(),
    )


def decile_shares(numbers: NDArray[np.int64], n_learned: int) -> dict[int | str, float]:
    """Return the share of numbers in each tenth of the learned products, and of new ones; 0 where there are no numbers."""
    tenth = np.minimum(numbers * DECILES // n_learned, DECILES)
    counts = np.bincount(tenth, minlength=DECILES + 1) / max(len(numbers), 1)
    names = (*range(1, DECILES + 1), "new")
    return dict(zip(names, counts.tolist(), strict=True))
