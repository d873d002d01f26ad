"""What the gate looks at before its rules judge: small cases whose outcome is worked out by hand."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.contract import Judgement, Metric
from ml.evaluation import exported, figures, gate, gather, part, soundness_rule, wording, worst_part, yardstick
from ml.evaluation.contender import Contender
from ml.evaluation.evidence import Parity, Yardstick
from ml.files import write_json
from ml.parameter import GateParams
from tests.gate_table import FULL, GOOD, KNOWN, PARAMS, at_least
from tests.unused import unused

ONES = np.ones(120)


def examples() -> Any:
    """120 customers: 80 in group 10, 40 in group 9; each 4th of no known place; all the same in `shop`."""
    number = np.arange(120)
    place = [None if at % 4 == 3 else "ab"[at % 2] for at in range(120)]
    return pd.DataFrame(
        {
            "unit": [f"u{at:03d}" for at in number],
            "time": pd.Timestamp("2026-01-08"),
            "group": np.where(number < 80, 10, 9),
            "place": pd.Series(place, dtype="object"),
            "shop": "same",
        }
    )


HALVED = np.where(examples()["group"] == 9, 0.5, 1.0)


def compete(own: Any, production: Any, live: Any = ()) -> Any:
    """Return the evidence of two equal variants with a value a row, and the figures behind it; the naive guess has 1."""
    measured = [
        Contender(name="full", kind="variant", values={"hit": own}),
        Contender(name="small", kind="variant", values={"hit": own}),
        Contender(name="guess", kind="baseline", values={"hit": ONES}),
        Contender(name="other", kind="baseline", values={"hit": ONES * 2}),
    ]
    if production is not None:
        measured.append(Contender(name="production", kind="production", values={"hit": production}))
    judgement = Judgement(
        metrics=(Metric(name="hit"),),
        primary="hit",
        measure=unused,
        summarise=unused,
        baselines={},
        naive="guess",
        slices=("group",),
    )
    params = GateParams(resamples=200, part_units=20)
    found = figures.work_out(judgement, measured, examples(), params)
    close = Parity(difference=0.0, agreement=1.0)
    variants = [exported.Exported(name=name, folder=Path(), size_bytes=1, parity=close) for name in ("full", "small")]
    known = {} if production is None else {"production": Yardstick(digest="sha256:live")}
    return gather.gather(found, variants, known, live, params), found


def which_ships() -> Any:
    """The smallest that passes; what is live before it; what is broken never."""
    broken = replace(GOOD, name="int4", size_bytes=1, over_reference=at_least(-0.3))
    half = replace(GOOD, name="float16", size_bytes=2)
    offered = ((FULL, half, broken), (half, replace(FULL, is_live=True)))
    return [gate.judge(replace(KNOWN, candidates=found), PARAMS).verdict.chosen for found in offered]


def which_parts() -> Any:
    """Parts that are shown; parts searched: with 20 customers or more, never all rows, the same rows once, pairs too."""
    frame = examples().assign(copy=examples()["group"])
    shown = list(part.slices(frame, ["group", "place", "shop", "copy"]))
    searched = part.search_parts(shown, frame, 20)
    return [[(one.column, one.value, one.units) for one in found] for found in (shown, searched)]


def what_was_lost() -> Any:
    """One group loses half, each customer the same; against production, or in a first version against the naive guess."""
    told = []
    for own, production in ((HALVED, ONES), (ONES, HALVED), (ONES, ONES), (HALVED, None)):
        found = compete(own, production)[0].candidates[0].search
        told.append((found.against, found.parts, [(one.part, one.change, one.p_value) for one in found.lost]))
    return told


def what_is_lost_at_the_edges() -> Any:
    """What every customer says counts at full confidence; what is equal is no loss, even at none."""
    counts = []
    for own, confidence in ((HALVED, 1.0), (ONES, 0.0)):
        found = compete(own, ONES)[1]
        pair = found.contender("variant", "full"), found.contender("production", "production")
        counts.append(len(worst_part.search(found, *pair, confidence).lost))
    return counts


def who_is_who() -> Any:
    """The first variant is the most faithful; `small` is live; production without values is not searched against."""
    found = compete(ONES, None, live={"small"})[0].candidates
    unread = compete(ONES, np.full(120, np.nan))[0].candidates[0].search.parts
    return [(one.over_reference is None, one.is_live) for one in found], unread


def who_may_know_the_test_rows() -> Any:
    """Units shared, or rows as late as the first test row; without a word on it, or without times, it may."""
    rows = pd.DataFrame({"unit": ["a", "b"], "time": pd.to_datetime(["2026-01-08 06:00", "2026-01-09 00:00"])})
    shared, apart = (
        {name: rows.assign(unit=units) for name in ("train", "valid")} for units in (["a", "x"], ["x", "y"])
    )
    told = [
        None,
        {"until": "2026-01-08T05:59:59", "units": None},
        {"until": "2026-01-08T06:00:00", "units": None},
        yardstick.learned(apart, "time"),
        yardstick.learned(shared, "unit"),
        yardstick.learned(apart, "unit"),
    ]
    timeless = yardstick.overlap(told[1], rows.assign(time=pd.Series([pd.NaT] * len(rows), dtype="datetime64[ns]")))
    return [yardstick.overlap(one, rows) is not None for one in told], timeless is not None


def whose_parity_is_known() -> Any:
    """Both numbers, or none."""
    close = {
        "a": {"difference": 0.5, "agreement": 1.0},
        "b": {"difference": None, "agreement": 1.0},
        "c": {"difference": 0.0, "agreement": None},
    }
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / "variants.json", {"variants": [{"name": name, "bytes": 1} for name in "abcd"]})
        write_json(Path(folder) / "parity.json", {"variants": close})
        return [one.parity and one.parity.difference for one in exported.read_variants(Path(folder))]


def how_a_change_is_told() -> Any:
    """With its sign, except where it rounds to zero."""
    return [wording.signed(change) for change in (-0.0006, -0.0004, 0.0, 0.0004, 0.0006)]


def which_data_are_older() -> Any:
    """Of a candidate against production, where either may not say how far its data reach: passed, and whether it warns."""
    days, found = [None, date(2026, 1, 1), date(2026, 1, 2)], []
    for own in days:
        for known in days:
            production = Yardstick(digest="sha256:0", last_day=known)
            rules = soundness_rule.is_not_older(replace(KNOWN, last_day=own, production=production))
            found.append([(rule.passed, "a person" in rule.sentence) for rule in rules])
    return found


SHOWN = [("group", "9", 40), ("group", "10", 80), ("place", "a", 60), ("place", "b", 30), ("place", "(missing)", 30)]
PAIRS = [("9 × a", 20), ("10 × a", 40), ("10 × b", 20), ("10 × (missing)", 20)]
LOST = [("group: 9", -0.5, 0.0)]
LOOKS = {
    which_ships: ["float16", "float32"],
    which_parts: [
        [*SHOWN, ("shop", "same", 120), ("copy", "9", 40), ("copy", "10", 80)],
        [*SHOWN, *(("group × place", value, units) for value, units in PAIRS)],
    ],
    what_was_lost: [("production", 2, LOST), ("production", 2, []), ("production", 2, []), ("guess", 2, LOST)],
    what_is_lost_at_the_edges: [1, 0],
    who_is_who: ([(True, False), (False, True)], 0),
    who_may_know_the_test_rows: ([True, False, True, True, True, False], True),
    whose_parity_is_known: [0.5, None, None, None],
    which_data_are_older: [[], [], [], [], [(True, False)], [(False, True)], [], [(True, False)], [(True, False)]],
    how_a_change_is_told: ["-0.1%", "0.0%", "0.0%", "0.0%", "+0.1%"],
}
