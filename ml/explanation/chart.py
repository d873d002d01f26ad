"""Draws the card's charts as inline SVG: no script, no request, readable on a phone and on paper."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ml.contract import JsonObject, Plot

if TYPE_CHECKING:
    import pandas as pd

INK, FAINT = "#1d2b36", "#dfe5ea"
COLOURS = {
    "ships": "#0b7a75",
    "variant": "#7fb8b4",
    "production": "#b3541e",
    "baseline": "#7b8794",
}
"""By role of a contender; each is also named in words, so that no one has to tell colours apart."""
REFUSED = "#c2272d"  # data that a rule refused; its mark has another shape too
WIDTH = 360  # of a whole chart [px]: the card lays as many side by side as fit
AXIS = {
    "labelColor": INK,
    "titleColor": INK,
    "gridColor": FAINT,
    "domain": False,
    "ticks": False,
    "labelPadding": 6,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "tickCount": 5,
}
PADDING = {"left": 14, "right": 2, "top": 2, "bottom": 2}  # [px]; a reader's font may be wider than the one measured
SMALL_WIDTH, SMALL_HEIGHT = 240, 70  # of a small multiple [px]
FEW_LABELS = 6  # beneath a small multiple
NOTICEABLE = 0.002  # share of the rows
PLOT_HEIGHT = 220  # of a use case's own chart [px]
ROW = 24  # height of one bar or interval [px]


def drawn(plot: Plot) -> str:
    """Draw a use case's own chart in the card's style."""
    import altair as alt

    return _svg(alt.Chart.from_dict(plot.spec), PLOT_HEIGHT, plot.label)


def intervals(rows: Sequence[JsonObject], axis: str, label: str) -> str:
    """Draw a point and its interval for each row.

    Args:
        rows: `name`, `role` (a key of `COLOURS`), `value`, `low`, `high`; drawn in this order.
        axis: Title of the axis, with its unit.
        label: What a reader who cannot see the chart is told.
    """
    return _svg(_points(rows, axis), ROW * len(rows), label)


def changes(rows: Sequence[JsonObject], axis: str, label: str) -> str:
    """Draw a point and its interval for each row beside a line at 0, where nothing changed.

    Args:
        rows: As for `intervals`.
        axis: Title of the axis, with its unit.
        label: What a reader who cannot see the chart is told.
    """
    import altair as alt

    nothing = alt.Chart(_frame([{"nothing": 0}])).mark_rule(color=COLOURS["baseline"], strokeDash=[4, 3])
    return _svg(nothing.encode(x="nothing:Q") + _points(rows, axis), ROW * len(rows), label)


def paired_intervals(rows: Sequence[JsonObject], axis: str, label: str) -> str:
    """Draw intervals of several contenders for each group, one below the other.

    Args:
        rows: As for `intervals`, and `group`.
        axis: Title of the axis.
        label: What a reader who cannot see the chart is told.
    """
    import altair as alt

    groups = list(dict.fromkeys(row["group"] for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    y = alt.Y("group:N", sort=groups, title=None)
    offset = alt.YOffset("name:N", sort=names)
    base = alt.Chart(_frame(rows)).encode(y=y, yOffset=offset, color=_colours())
    scale = alt.Scale(zero=False, nice=True)
    bars = base.mark_rule(strokeWidth=3, opacity=0.55).encode(x=alt.X("low:Q", title=axis, scale=scale), x2="high:Q")
    points = base.mark_point(filled=True, size=45, opacity=1).encode(x=alt.X("value:Q", title=axis, scale=scale))
    return _svg(bars + points, len(groups) * (14 * len(names) + 8), label)


def lines(rows: Sequence[JsonObject], axis: str, label: str) -> str:
    """Draw one line a series over the epochs.

    Args:
        rows: `epoch`, `series`, `value`.
        axis: Title of the vertical axis.
        label: What a reader who cannot see the chart is told.
    """
    import altair as alt

    order = list(dict.fromkeys(row["series"] for row in rows))
    epochs = sorted({row["epoch"] for row in rows})
    ticks = epochs if len(epochs) <= 8 else epochs[:: -(-len(epochs) // 8)]
    colours = alt.Scale(domain=order, range=[COLOURS["ships"], COLOURS["production"], COLOURS["baseline"], INK])
    chart = (
        alt.Chart(_frame(rows))
        .mark_line(point=alt.OverlayMarkDef(size=30), strokeWidth=2)
        .encode(
            x=alt.X("epoch:Q", title="epoch", axis=alt.Axis(values=ticks, format="d"), scale=alt.Scale(zero=False)),
            y=alt.Y("value:Q", title=axis, scale=alt.Scale(zero=False)),
            color=alt.Color("series:N", sort=order, scale=colours, legend=alt.Legend(orient="top", title=None)),
        )
    )
    return _svg(chart, 170, label)


def bars(rows: Sequence[JsonObject], axis: str, label: str) -> str:
    """Draw one bar a row.

    Args:
        rows: `name` and `value`, and `low`, `high` where there is an interval.
        axis: Title of the axis.
        label: What a reader who cannot see the chart is told.
    """
    import altair as alt

    base = alt.Chart(_frame(rows)).encode(y=_names())
    chart: Any = base.mark_bar(color=COLOURS["ships"], height=12).encode(x=alt.X("value:Q", title=axis))
    if all("low" in row for row in rows):
        chart += base.mark_rule(color=INK, strokeWidth=2).encode(x=alt.X("low:Q", title=axis), x2="high:Q")
    return _svg(chart, ROW * len(rows), label)


def spread(rows: Sequence[JsonObject]) -> str:
    """Draw how numbers were spread before (an area) and are now (a line), on an axis of orders of magnitude.

    Args:
        rows: `series` (`before` or `now`), `value`, `share` of the rows.
    """
    import altair as alt

    axis = alt.Axis(format="~s", tickCount=4, labelOverlap=True)
    x = alt.X("value:Q", title=None, axis=axis, scale=alt.Scale(type="symlog", constant=_smallest(rows), nice=False))
    y = alt.Y("share:Q", title=None, axis=None)
    base = alt.Chart(_frame(rows)).encode(x=x, y=y)
    before = base.transform_filter("datum.series == 'before'").mark_area(
        interpolate="step", color=COLOURS["baseline"], opacity=0.45
    )
    now = base.transform_filter("datum.series == 'now'").mark_line(
        interpolate="step", color=COLOURS["production"], strokeWidth=1.5
    )
    return _svg(before + now, SMALL_HEIGHT, None, SMALL_WIDTH)


def categories(rows: Sequence[JsonObject], order: Sequence[str]) -> str:
    """Draw each category's share before (a bar) and now (a tick).

    Args:
        rows: `series` (`before` or `now`), `place`, `share` of the rows.
        order: Categories from left to right.
    """
    import altair as alt

    x = alt.X("place:N", sort=list(order), title=None, axis=alt.Axis(labels=len(order) <= FEW_LABELS, labelAngle=0))
    y = alt.Y("share:Q", title=None, axis=None)
    base = alt.Chart(_frame(rows)).encode(x=x, y=y)
    before = base.transform_filter("datum.series == 'before'").mark_bar(color=COLOURS["baseline"], opacity=0.45)
    now = base.transform_filter("datum.series == 'now'").mark_tick(color=COLOURS["production"], thickness=2)
    return _svg(before + now, SMALL_HEIGHT, None, SMALL_WIDTH)


def trend(rows: Sequence[JsonObject]) -> str:
    """Draw the rows of each run, oldest first; a run that was refused as a cross.

    Args:
        rows: `rows` and whether they were `accepted`.
    """
    import altair as alt

    numbered = [{"number": at, "rows": row["rows"], "accepted": row["accepted"]} for at, row in enumerate(rows)]
    x = alt.X("number:O", title=None, axis=None)
    y = alt.Y("rows:Q", title=None, axis=alt.Axis(format="~s", tickCount=3), scale=alt.Scale(zero=True))
    base, both = alt.Chart(_frame(numbered)).encode(x=x, y=y), [True, False]
    shape = alt.Shape("accepted:N", scale=alt.Scale(domain=both, range=["circle", "cross"]), legend=None)
    colours = alt.Scale(domain=both, range=[COLOURS["ships"], REFUSED])
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        shape=shape, color=alt.Color("accepted:N", scale=colours, legend=None)
    )
    return _svg(base.mark_line(color=COLOURS["baseline"]) + points, SMALL_HEIGHT, None)


def _smallest(rows: Sequence[JsonObject]) -> float:
    """Return the least size that a noticeable share of the rows has: the axis is logarithmic above it."""
    return min((abs(row["value"]) for row in rows if row["value"] and row["share"] >= NOTICEABLE), default=1.0)


def _points(rows: Sequence[JsonObject], axis: str) -> Any:
    import altair as alt

    base = alt.Chart(_frame(rows)).encode(y=_names(), color=_colours())
    scale = alt.Scale(zero=False, nice=True)
    bars = base.mark_rule(strokeWidth=3, opacity=0.55, strokeCap="round").encode(
        x=alt.X("low:Q", title=axis, scale=scale), x2="high:Q"
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("value:Q", title=axis, scale=scale))
    return bars + points


def _frame(rows: Sequence[JsonObject]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))


def _names() -> Any:
    import altair as alt

    return alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=190))


def _colours() -> Any:
    import altair as alt

    scale = alt.Scale(domain=list(COLOURS), range=list(COLOURS.values()))
    return alt.Color("role:N", scale=scale, legend=None)


def _svg(chart: Any, height: int, label: str | None, width: int = WIDTH) -> str:
    """Render, let the page decide the width, and tell screen readers what is to be seen; without a label the page does."""
    import altair as alt
    import vl_convert

    styled = (
        chart.properties(
            width=width, height=max(height, ROW), autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
        )
        .configure(background="transparent", padding=PADDING, font="Liberation Sans, Arial, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(**AXIS)
        .configure_axisY(grid=False)
        .configure_legend(labelFontSize=12, labelColor=INK)
    )
    drawn = vl_convert.vegalite_to_svg(styled.to_dict())
    told = 'aria-hidden="true"' if label is None else f'role="img" aria-label="{html.escape(label)}"'
    opening = f"<svg {told} "
    return re.sub(r' width="[\d.]+" height="[\d.]+"', "", drawn.replace("<svg ", opening, 1), count=1)
