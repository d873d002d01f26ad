"""Two versions beside each other: paired where one was judged against the other, else each from its own gate report."""

from __future__ import annotations

from ml.desk.compare_view import Side, compare
from ml.desk.document import Judgement
from tests.told_gate import estimate, measured

OLD, NEW = (f"sha256:{digit * 64}" for digit in "01")


def side(name, beside, **contenders):
    verdict = {"accepted": True, "chosen": "int8", "details": {"production": beside, "best": beside}}
    metrics = measured(**contenders)
    return Side(name=name, judged=Judgement(verdict=verdict, metrics=metrics), metrics=metrics)


def test_the_one_that_was_judged_against_the_other_stands_first():
    old, new = side(OLD, None, int8=0.15), side(NEW, OLD, int8=0.17, production=0.14)
    for found in (compare(new, old), compare(old, new)):
        assert (found.one.name, found.other.name, found.is_paired) == (NEW, OLD, True)
        (line,) = found.metrics
        assert (line.one, line.other, line.gain) == (estimate(0.17), estimate(0.14), estimate(0.02))
        assert [(part.name, part.gain) for part in found.parts["tenure"]] == [
            ("new", estimate(0.02)),
            ("known", estimate(0.02)),
        ]


def test_versions_that_were_never_measured_together_have_figures_and_no_difference():
    found = compare(side(NEW, None, int8=0.17), side(OLD, None, int8=0.15))
    (line,) = found.metrics
    assert (found.is_paired, line.one, line.other, line.gain) == (False, estimate(0.17), estimate(0.15), None)
    assert [(part.one, part.other, part.gain) for part in found.parts["tenure"]] == [
        (estimate(0.17), estimate(0.15), None)
    ] * 2


def test_a_report_from_before_gains_in_parts_were_kept_is_read():
    new = side(NEW, OLD, int8=0.17, production=0.14)
    for part in new.metrics["slices"]:
        del part["gains"]
    found = compare(new, side(OLD, None, int8=0.15))
    assert (found.is_paired, found.has_part_gains) == (True, False)
