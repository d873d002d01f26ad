"""`tradewind intents`: any labelled CSV is trained and scored by one command, and a mistake in it is told."""

import csv
import gzip
import itertools
import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ml.cli.main import app
from ml.errors import SourceInvalid

PHRASES = {
    "weather": (
        ["will it rain", "is it sunny", "how warm is it"],
        ["in Lisbon", "tomorrow", "this weekend", "outside"],
    ),
    "music": (["play a song", "put on some jazz", "start the playlist"], ["in the kitchen", "please", "now", "loudly"]),
    "money": (
        ["send a payment", "transfer euros", "pay the bill"],
        ["to my landlord", "from savings", "now", "by card"],
    ),
    "other": (
        ["who won the match", "what is a quark", "how old is Rome"],
        ["really", "please", "do you know", "today"],
    ),
}
"""Beginnings and ends of texts by label; the last end of each label is tested."""


def texts(is_test):
    return [
        (f"{begin} {end}", label)
        for label, (begins, ends) in PHRASES.items()
        for begin, end in itertools.product(begins, ends[-1:] if is_test else ends[:-1])
    ]


def write(path, rows, columns=("utterance", "label")):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_one_command_trains_and_scores_a_labelled_csv(tmp_path):
    train, test = write(tmp_path / "train.csv", texts(False)), write(tmp_path / "test.csv", texts(True))
    out = tmp_path / "out"
    options = ("--out-of-scope", "other", "--epochs", "3", "--consistency", "0", "--out", str(out))
    command = [sys.executable, "-m", "ml", "intents", str(train), str(test), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads((out / "figures.json").read_text())
    assert told["rows"] == {"train": 36, "valid": 0, "test": 12}
    assert told["teacher"]["accuracy"] >= 8 / 9  # nine in scope, of words that MiniLM knows
    assert {"out_of_scope_recall", "threshold"} <= told["student"].keys()
    assert told["student"]["bytes"] == sum(file.stat().st_size for file in out.rglob("int8/*"))
    assert "accuracy in scope" in done.stdout


@pytest.mark.parametrize("named", ["Other", "othr"])
def test_an_out_of_scope_label_that_no_row_has_is_refused_and_the_like_one_named(tmp_path, named):
    train, test = write(tmp_path / "train.csv", texts(False)), write(tmp_path / "test.csv", texts(True))
    done = CliRunner().invoke(app, ["intents", str(train), str(test), "--out-of-scope", named])
    assert isinstance(done.exception, SourceInvalid)
    assert "Received 4 others, other" in str(done.exception)


def test_a_label_that_training_never_sees_is_refused(tmp_path):
    train = write(tmp_path / "train.csv", texts(False))
    test = write(tmp_path / "test.csv", [*texts(True), ("where is my parcel", "parcels")])
    done = CliRunner().invoke(app, ["intents", str(train), str(test), "--out-of-scope", "other"])
    assert isinstance(done.exception, SourceInvalid)
    assert "parcels" in str(done.exception)


def test_a_file_that_breaks_off_is_refused(tmp_path):
    test = write(tmp_path / "test.csv", texts(True))
    broken = tmp_path / "train.csv.gz"
    broken.write_bytes(gzip.compress(test.read_bytes())[:-20])
    done = CliRunner().invoke(app, ["intents", str(broken), str(test)])
    assert isinstance(done.exception, SourceInvalid)
    assert "readable file" in str(done.exception)
