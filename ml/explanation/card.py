"""Composes the model card: one self-contained HTML page that tells people what would go live, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ml.contract import JsonObject, Plot, UseCase, Verdict
from ml.explanation import chart
from ml.explanation.collect import TOLERANCE

BYTES = ("bytes", "kB", "MB", "GB")
MOST_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """All that the card tells, as other stages handed it over."""

    use_case: UseCase
    verdict: Verdict
    metrics: JsonObject
    """evaluate's `metrics.json`"""
    explanations: JsonObject
    """explain's `explanations.json`"""
    splits: Sequence[JsonObject]
    """Of each split: `name`, `rows`, `units`, `first`, `last`."""
    training: JsonObject
    """train's `summary.json`"""
    curves: Sequence[JsonObject]
    """Of each epoch and figure: `epoch`, `series`, `value`."""
    plots: Sequence[Plot]
    """The use case's own charts of what is shown."""
    inputs: JsonObject
    """The fields of the run's inputs that the card names: `as_of`, `source`."""

    @property
    def shown(self) -> str:
        """The variant the card is about: what ships, or the most faithful one where nothing does."""
        return str(self.explanations["variant"])


def render(facts: CardFacts) -> str:
    """Return the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    pages = Environment(
        loader=PackageLoader("ml.explanation"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"figure": figure, "size": size, "percent": percent, "count": count, "told": told, "words": words}
    page = pages.get_template("card.html.j2").render(
        facts=facts,
        use_case=facts.use_case,
        verdict=facts.verdict,
        metrics=facts.metrics,
        explanations=facts.explanations,
        contenders=contenders(facts),
        pictures=dict(pictures(facts)),
        plots=[(plot, chart.drawn(plot)) for plot in facts.plots],
        slices=slices(facts),
        variants=variants(facts),
        examples=examples(facts),
        summary_names=sorted({name for one in facts.metrics["contenders"] for name in one["summary"]}),
        training=list(training_facts(facts)),
        chosen_from=chosen_from(facts),
        tolerance=TOLERANCE,
    )
    return page if page.endswith("\n") else f"{page}\n"


def contenders(facts: CardFacts) -> list[JsonObject]:
    """Return the contenders in order of interest: what ships, production, baselines, the other variants."""
    order = ("ships", "production", "baseline", "variant")
    known = [{**one, "role": _role(one, facts), "label": _label(one, facts)} for one in facts.metrics["contenders"]]
    return sorted(known, key=lambda one: order.index(one["role"]))


def slices(facts: CardFacts) -> list[JsonObject]:
    """Return the slices with the primary metric of what ships, of production and of the naive baseline."""
    primary, naive = facts.metrics["primary"], facts.metrics["naive"]
    rivals = [one for one in contenders(facts) if one["role"] in ("ships", "production") or one["name"] == naive]
    found = []
    for part in facts.metrics["slices"]:
        if part["rows"] == facts.metrics["test"]["rows"]:
            continue  # the whole says nothing of its parts
        known = [(one, part["figures"].get(f"{one['kind']}:{one['name']}", {}).get(primary)) for one in rivals]
        found.append(
            {**part, "shown": [{"label": one["label"], "role": one["role"], **(at or {})} for one, at in known]}
        )
    return found


def variants(facts: CardFacts) -> list[JsonObject]:
    """Return the exported variants with size and figures, most faithful first."""
    return [one for one in facts.metrics["contenders"] if one["kind"] == "variant"]


def examples(facts: CardFacts) -> list[JsonObject]:
    """Return the example explanations with the length of each bar, -100 to 100 [% of the longest]."""
    return [_with_bars(one) for one in facts.explanations["examples"]]


def training_facts(facts: CardFacts) -> Iterator[tuple[str, str]]:
    """Yield what train says of its choice, as far as it is plain."""
    for name, value in sorted(facts.training.items()):
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield words(name).capitalize(), value if isinstance(value, str) else figure(value)
        elif isinstance(value, dict) and all(isinstance(said, str) for said in value.values()):
            yield from ((f"{words(name).capitalize()}: {words(key)}", said) for key, said in value.items())


def chosen_from(facts: CardFacts) -> list[JsonObject]:
    """Return the contenders among which train chose, with their figures on `valid`, where its summary lists them."""
    listed = facts.training.get("valid")
    if not isinstance(listed, dict) or not all(isinstance(figures, dict) for figures in listed.values()):
        return []
    names = sorted({name for figures in listed.values() for name in figures})
    return [
        {
            "name": words(contender),
            "is_chosen": contender == facts.training.get("chosen"),
            "figures": {name: figures.get(name) for name in names},
        }
        for contender, figures in listed.items()
    ]


def pictures(facts: CardFacts) -> Iterator[tuple[str, list[str]]]:
    """Yield the charts of each section as inline SVG."""
    yield "metrics", [_metric_chart(facts, metric) for metric in facts.metrics["metrics"]]
    yield "slices", list(_slice_charts(facts))
    yield "training", list(_training_charts(facts))
    yield "importance", list(_importance_charts(facts))


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.{digits}g}"


def told(estimate: JsonObject) -> JsonObject:
    """Return an estimate in words, to two digits of its interval's width: what is not known is not written."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None or low is None:
        return {"value": figure(value), "range": ""}
    width = high - low
    digits = min(max(1 - math.floor(math.log10(width)), 0), MOST_DECIMALS) if width > 0 else 4
    return {"value": f"{value:,.{digits}f}", "range": f"{low:,.{digits}f} to {high:,.{digits}f}"}


def words(name: str) -> str:
    """Return a name as people read it."""
    return name.replace("_", " ")


def percent(value: float | None) -> str:
    """Return a share in percent, with two decimals where one would read as nothing."""
    if value is None:
        return "–"
    if value in (0, 1):
        return f"{value:.0%}"
    return f"{value:.1%}" if value >= 0.001 else f"{value:.2%}"


def count(value: int) -> str:
    """Return a whole number with separators."""
    return f"{value:,}"


def size(value: float | None) -> str:
    """Return a number of bytes in the unit in which it reads best."""
    if value is None:
        return "–"
    power = min(int(math.log(value, 1000)), len(BYTES) - 1) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {BYTES[power]}"


def _role(contender: JsonObject, facts: CardFacts) -> str:
    is_shown = contender["kind"] == "variant" and contender["name"] == facts.shown
    return "ships" if is_shown else str(contender["kind"])


def _label(contender: JsonObject, facts: CardFacts) -> str:
    if contender["kind"] == "production":
        return "in production" if contender["name"] == "production" else "best of the last 90 days"
    if _role(contender, facts) == "ships":
        return f"this model ({contender['name']})"
    return f"this model as {contender['name']}" if contender["kind"] == "variant" else words(contender["name"])


def _metric_chart(facts: CardFacts, metric: JsonObject) -> str:
    rows = [
        {"name": one["label"], "role": one["role"], **one["figures"][metric["name"]]}
        for one in contenders(facts)
        if one["figures"][metric["name"]]["low"] is not None
    ]
    unit = f" [{metric['unit']}]" if metric["unit"] else ""
    better = "more is better" if metric["higher_is_better"] else "less is better"
    told = "; ".join(f"{row['name']} {figure(row['value'])}" for row in rows)
    return chart.intervals(rows, f"{metric['name']}{unit}, {better}", f"{metric['name']}: {told}") if rows else ""


def _slice_charts(facts: CardFacts) -> Iterator[str]:
    primary, parts = facts.metrics["primary"], slices(facts)
    for column in dict.fromkeys(part["column"] for part in parts):
        rows = [
            {"group": part["value"], "name": one["label"], **one}
            for part in parts
            if part["column"] == column
            for one in part["shown"]
            if one.get("low") is not None
        ]
        if rows:
            yield chart.paired_intervals(rows, f"{primary} by {column}", f"{primary} by {column}, as in the table")


def _training_charts(facts: CardFacts) -> Iterator[str]:
    """Draw losses together and each other figure alone: their scales have nothing in common."""
    named = {row["series"] for row in facts.curves}
    losses = {name for name in named if "loss" in name}
    for group in ([losses] if losses else []) + [{name} for name in sorted(named - losses)]:
        rows = [row for row in facts.curves if row["series"] in group]
        title = "loss" if group == losses else next(iter(group))
        yield chart.lines(rows, title, f"{title} by epoch, {figure(rows[-1]['value'])} in the last")


def _importance_charts(facts: CardFacts) -> Iterator[str]:
    found = facts.explanations["importance"]
    reasons = [{"name": one["reason"], "value": one["mean"]} for one in found["reasons"]]
    if reasons:
        yield chart.bars(reasons, "mean |contribution| to a score", "importance of reasons, as in the table")
    inputs = [{"name": one["input"], **one["loss"]} for one in found["inputs"] if one["loss"]["low"] is not None]
    if inputs:
        yield chart.bars(inputs, f"loss of {facts.metrics['primary']} when shuffled", "importance of model inputs")


def _with_bars(explanation: JsonObject) -> JsonObject:
    parts = [
        {"text": "starting value", "contribution": explanation["base"], "kind": ""},
        *explanation["reasons"],
        {"text": "not accounted for", "contribution": explanation["residual"], "kind": ""},
    ]
    longest = max(abs(part["contribution"]) for part in parts) or 1.0
    bars = [
        {**part, "length": round(100 * part["contribution"] / longest, 1), "told": _told(part["contribution"], longest)}
        for part in parts
    ]
    leftmost = -100 if any(bar["length"] < 0 for bar in bars) else 0
    weaker = _told(explanation["left_out_sum"], longest)
    return {**explanation, "bars": bars, "leftmost": leftmost, "left_out_told": weaker}


def _told(contribution: float, longest: float) -> str:
    """Return a contribution with its sign; one that no bar could show is a plain 0."""
    return "0" if abs(contribution) < longest / 1000 else f"{contribution:+.3g}"
