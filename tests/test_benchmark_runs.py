"""A comparison is measured once a seed, goes on where it was cut off, and says which bars were missed."""

import math
from dataclasses import replace

import pytest

from ml.benchmark import table
from ml.benchmark.comparison import Bar, Comparison
from ml.benchmark.run import measure
from ml.errors import SourceInvalid


class Counting:
    """A peer that remembers its seeds and can be cut off."""

    def __init__(self, break_at=None):
        self.seen, self.break_at = [], break_at

    def __call__(self, data, seed):
        if seed == self.break_at:
            raise KeyboardInterrupt
        self.seen.append(seed)
        return {"recall": (len(data) + seed) / 10}


def comparison(ours, other) -> Comparison:
    return Comparison(
        name="toy",
        title="A toy",
        protocol="None.",
        data="toy.txt",
        load=lambda path: path.read_text(),
        peers={"ours": ours, "other": other},
        ours="ours",
        fixed=frozenset({"other"}),
        bars=(Bar(figure="recall", limit=0.3, side="at least"), Bar(figure="recall", limit=0.3, side="at most")),
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "toy.txt"
    path.write_text("ab")
    return path


def test_a_run_that_was_cut_off_goes_on_and_repeats_nothing(file, tmp_path):
    first, other = Counting(break_at=2), Counting()
    with pytest.raises(KeyboardInterrupt):
        list(measure(comparison(first, other), file, tmp_path / "kept"))
    assert first.seen == [1]
    second = Counting()
    found = list(measure(comparison(second, other), file, tmp_path / "kept"))
    assert second.seen == [2, 3]
    assert [(one.peer, one.seed) for one in found] == [("ours", 1), ("ours", 2), ("ours", 3), ("other", 1)]


def test_other_data_are_measured_again(file, tmp_path):
    peer = Counting()
    list(measure(comparison(peer, Counting()), file, tmp_path / "kept"))
    file.write_text("abc")
    list(measure(comparison(peer, Counting()), file, tmp_path / "kept"))
    assert peer.seen == [1, 2, 3, 1, 2, 3]


def test_missing_data_say_what_to_do(tmp_path):
    with pytest.raises(SourceInvalid, match="TRADEWIND_DATA_DIR"):
        list(measure(comparison(Counting(), Counting()), tmp_path / "none", tmp_path))


def test_the_table_shows_means_intervals_and_missed_bars(file, tmp_path):
    toy = comparison(Counting(), Counting())
    found = table.lines(measure(toy, file, tmp_path / "kept"))
    mean, half = found[0].figures["recall"]
    assert mean == pytest.approx(0.4)
    assert half == pytest.approx(4.302652729911275 * 0.1 / math.sqrt(3))  # t(0.975, 2) from tables, s = 0.1
    text = table.markdown(toy, found, "origin")
    assert "| **ours** | 0.4 ± 0.25 | 3 |" in text
    assert "| other | 0.3 | 1 |" in text
    assert "at least 0.3: reached with 0.4" in text
    assert "at most 0.3: **missed** with 0.4" in text


def test_a_figure_that_a_peer_does_not_have_is_a_dash(file, tmp_path):
    toy = comparison(lambda data, seed: {"recall": 0.5, "time": 2.0}, Counting())
    text = table.markdown(toy, table.lines(measure(toy, file, tmp_path / "kept")), "origin")
    assert "| other | 0.3 | – | 1 |" in text


def test_a_relative_bar_is_held_against_the_best_baseline(file, tmp_path):
    bar = Bar(figure="recall", limit=1.3, side="at least", is_relative=True)
    harder = replace(bar, limit=1.6)
    toy = replace(comparison(Counting(), Counting()), baselines=frozenset({"other"}), bars=(bar, harder))
    said = table.verdicts(toy, table.lines(measure(toy, file, tmp_path / "kept")))
    # ours is 0.4 on average, the only baseline 0.3: 4/3 of it
    assert said == [
        "recall at least 1.3 of the best baseline's (other, 0.3): reached with 1.333 of it.",
        "recall at least 1.6 of the best baseline's (other, 0.3): **missed** with 1.333 of it.",
    ]


def test_a_section_takes_the_place_of_the_one_before(tmp_path):
    file = tmp_path / "benchmarks.md"
    for name, text in (("a", "old \\1"), ("b", "kept"), ("a", "new \\1")):
        table.put(file, name, text)
    assert file.read_text() == "# Benchmarks\n\n<!-- a -->\nnew \\1\n<!-- /a -->\n\n<!-- b -->\nkept\n<!-- /b -->\n"


def test_a_bar_is_reached_exactly():
    assert Bar(figure="x", limit=0.5, side="at least").is_reached(0.5)
    assert Bar(figure="x", limit=0.5, side="at most").is_reached(0.5)
