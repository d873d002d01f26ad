"""Explains what would go live, to people: a sample of answers, what the model leans on, and the model card.

Reads `features`, `train`, `compress` and `evaluate`; writes `explanations.json` and `card.html`, which is also a report. The
card tells nothing that was measured of time or memory: what is packaged with it has the same digest on every run.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ml.contract import Explanation, JsonObject, Plot, Predictor, UseCase
from ml.evaluation.bootstrap import Column, resample
from ml.evaluation.contender import Rows, score
from ml.evaluation.figures import column, day
from ml.evaluation.figures import plain as plain_estimate
from ml.explanation.card import CardFacts, render
from ml.explanation.collect import check, explain_each, plain, reason_importance, sample_requests, scores_of_each
from ml.explanation.permutation import shuffled_values
from ml.files import read_json, read_verdict, write_bytes, write_json
from ml.pipeline.context import StageContext

if TYPE_CHECKING:
    import pandas as pd

EXPLANATIONS_SCHEMA = "tradewind/explanations/1"
ANSWERED = 500  # requests whose scores tell monitoring what is usual
REQUESTS = 100  # of them explained, checked and added up
TOLD = 20  # golden requests whose answers may be shown: they are no customer's
EXAMPLES = 6  # of their answers shown on the card
SHOWN_REASONS = 8  # strongest reasons of an example that are shown one by one
LEAST_SHARE = 1e-3  # of the strongest reason: what is weaker is not shown alone
TOP_REASONS = 15
SHUFFLED_ROWS = 5000  # examples on which inputs are shuffled: enough to hold rare outcomes
SPLITS = ("train", "valid", "test")

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Explain the chosen variant, or the most faithful one where the gate refused, and write the card.

    Raises:
        IntegrityBroken: Explanations do not add up to their scores, or an input of the stage is missing.
    """
    features = context.data("features")
    verdict = read_verdict(context.data("evaluate") / "verdict.json")
    metrics = read_json(context.data("evaluate") / "metrics.json")
    variant = verdict.chosen or next(one["name"] for one in metrics["contenders"] if one["kind"] == "variant")
    rows = _test_rows(context)
    explanations = _explanations(context, variant, metrics, rows)
    write_json(context.data("explain") / "explanations.json", explanations)
    facts = CardFacts(
        use_case=context.use_case,
        verdict=verdict,
        metrics=metrics,
        explanations=explanations,
        splits=[_describe(features, name) for name in SPLITS],
        training=read_json(context.data("train") / "summary.json"),
        curves=list(curves(read_json(context.data("train") / "history.json"))),
        plots=_plots(rows, context.data("compress") / variant),
        inputs=context.inputs,
    )
    card = render(facts).encode()
    for folder in (context.data("explain"), context.reports("explain")):  # people read the second
        write_bytes(folder / "card.html", card)
    log.info("explained variant=%s explanations=%d", variant, explanations["completeness"]["explanations"])


def curves(history: JsonObject) -> Iterator[JsonObject]:
    """Yield `epoch`, `series`, `value` of each figure that changes over the epochs, whichever way they are listed."""
    epochs = history.get("epochs")
    if not isinstance(epochs, list):
        epochs = _by_epoch(history)
    for number, epoch in enumerate(epochs, start=1):
        for series, value in sorted(epoch.items()):
            if series not in ("epoch", "seconds") and isinstance(value, int | float):
                yield {"epoch": epoch.get("epoch", number), "series": series, "value": float(value)}


def _by_epoch(history: JsonObject) -> list[JsonObject]:
    """Turn Keras's lists, one a figure, into one record an epoch."""
    columns = {name: values for name, values in history.items() if isinstance(values, list)}
    length = min(map(len, columns.values()), default=0)
    return [{name: values[at] for name, values in columns.items()} for at in range(length)]


def _explanations(context: StageContext, variant: str, metrics: JsonObject, rows: Rows) -> JsonObject:
    use_case, test, state, seed = context.use_case, rows.examples, rows.state, metrics["interval"]["seed"]
    predictor = use_case.model.open(context.data("compress") / variant)
    requests = sample_requests(use_case, test, state, ANSWERED, seed)
    explained = explain_each(use_case, predictor, state, requests[:REQUESTS])
    reasons = reason_importance(explained)
    told = explain_each(use_case, predictor, state, use_case.service.golden(test, state, TOLD))  # people read these
    return {
        "schema": EXPLANATIONS_SCHEMA,
        "variant": variant,
        "completeness": asdict(check(explained)),
        "scores": sorted(scores_of_each(use_case, predictor, state, requests)),
        "importance": {
            "reasons": reasons[:TOP_REASONS],
            "rows": min(SHUFFLED_ROWS, len(test)),
            "inputs": _input_importance(use_case, predictor, test, state, metrics),
        },
        "examples": [_shortened(one) for one in _shown([answer[0] for answer in told if answer])],
    }


def _test_rows(context: StageContext) -> Rows:
    import pandas as pd

    state = read_json(context.data("features") / "state.json")
    test = pd.read_parquet(context.data("features") / "test.parquet")
    return Rows(use_case=context.use_case, examples=test, state=state)


def _plots(rows: Rows, variant: Path) -> list[Plot]:
    wanted = rows.use_case.judgement.plots
    if not wanted:
        return []
    scores = score(variant, rows)
    return [plot(scores, rows.examples, rows.state) for plot in wanted]


def _input_importance(
    use_case: UseCase, predictor: Predictor, test: pd.DataFrame, state: JsonObject, metrics: JsonObject
) -> list[JsonObject]:
    """Return how much worse the primary metric gets when each input is shuffled, with an interval as the gate's."""
    sampling = metrics["interval"]
    rows = _whole_units(test, sampling["seed"])
    intact, shuffled = shuffled_values(use_case, predictor, rows, state, sampling["seed"])
    metric = use_case.judgement.metric(metrics["primary"])
    columns: dict[Hashable, Column] = {
        "": column(metric, intact),
        **{f"={name}": column(metric, values) for name, values in shuffled.items()},
    }
    draws = resample(columns, rows["unit"].to_numpy(dtype=object), **sampling)
    found = {name: draws.difference("", f"={name}", metric.sign) for name in shuffled}
    ordered = sorted(found, key=lambda name: (-found[name].value, name))
    return [{"input": name, "loss": plain_estimate(found[name])} for name in ordered]


def _shown(explained: list[Explanation]) -> list[Explanation]:
    """Return the highest scored half of the explanations, and others from all over the ranks below."""
    ranked = sorted(explained, key=lambda one: (-one.score, one.subject))
    top, below = ranked[: EXAMPLES // 2], ranked[EXAMPLES // 2 :]
    n_below = EXAMPLES - len(top)
    return [*top, *below[:: max(1, len(below) // n_below)][:n_below]]


def _whole_units(test: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return all rows of a seeded draw of units, nearly `SHUFFLED_ROWS`: what is measured may look at a unit's rows together."""
    units = test["unit"].drop_duplicates()
    wanted = max(1, SHUFFLED_ROWS * len(units) // max(len(test), SHUFFLED_ROWS))
    return test[test["unit"].isin(units.sample(n=wanted, random_state=seed))]


def _shortened(explanation: Explanation) -> JsonObject:
    """Return an explanation as JSON with its strongest reasons, and what the weaker ones add up to."""
    whole = plain(explanation)
    least = LEAST_SHARE * max(abs(reason["contribution"]) for reason in whole["reasons"]) if whole["reasons"] else 0.0
    shown = [one for one in whole["reasons"] if abs(one["contribution"]) >= least][:SHOWN_REASONS]
    weaker = whole["reasons"][len(shown) :]
    return {
        **whole,
        "reasons": shown,
        "left_out": len(weaker),
        "left_out_sum": sum(reason["contribution"] for reason in weaker),
    }


def _describe(folder: Path, split: str) -> JsonObject:
    import pandas as pd

    rows = pd.read_parquet(folder / f"{split}.parquet", columns=["unit", "time"])
    times = {"first": day(rows["time"].min()), "last": day(rows["time"].max())}
    return {"name": split, "rows": len(rows), "units": int(rows["unit"].nunique()), **times}
