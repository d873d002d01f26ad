"""The benchmark of personal data in text scores spans by hand arithmetic and keeps test templates out of training."""

import gzip
import json

import pytest

from ml.benchmark.privacy_data import is_test, load
from ml.benchmark.privacy_score import Tally, f2, joined
from ml.benchmark.privacy_tagger import examples, labels
from ml.errors import SourceInvalid
from ml.privacy.pii_token import tokens

TEXT = "Mr. Jan Berg and Ana Ruiz live at 7 Elm Street, Oslo"
NAMES, HOME = (4, 25, "NAME"), (34, 52, "ADDRESS")


def test_f2_weighs_recall_four_times_precision():
    assert f2(0, 3, 3) == 0.0
    assert f2(2, 4, 2) == pytest.approx(5 * 1.0 * 0.5 / (4 * 1.0 + 0.5))


def test_spans_of_a_type_with_skip_words_between_are_one_and_lose_them_at_their_ends():
    spans = [(0, 12, "NAME"), (17, 25, "NAME"), (34, 46, "ADDRESS"), (48, 52, "ADDRESS")]
    assert joined(TEXT, spans) == [NAMES, HOME]


def test_a_span_is_right_if_type_and_nine_tenths_of_its_characters_agree():
    tally, loose = Tally(), Tally()
    found = [(4, 25, "ADDRESS"), (36, 52, "ADDRESS")]  # 16 of 18 characters: 0.89
    tally.add(TEXT, [NAMES, HOME], found)
    loose.add(TEXT, [NAMES, HOME], found, typed=False)
    assert tally.f2() == 0.0
    assert loose.f2() == pytest.approx(f2(1, 2, 2))
    tally.add(TEXT, [NAMES, HOME], [NAMES, (35, 52, "ADDRESS")])
    assert (tally.recall(["NAME"]), tally.precision(["NAME"])) == (0.5, 1.0)


def sentence(template: str, name: str) -> dict:
    text = template.replace("{{PERSON}}", name)
    at = text.index(name)
    spans = [{"entity_type": "PERSON", "start_position": at, "end_position": at + len(name)}]
    return {"full_text": text, "masked": template, "spans": spans}


@pytest.fixture
def file(tmp_path):
    rows = [sentence(f"Note {i}: {{{{PERSON}}}} called", name) for i in range(40) for name in ("Jan", "Ana")]
    path = tmp_path / "sentences.json.gz"
    path.write_bytes(gzip.compress(json.dumps(rows).encode()))
    return path


def test_no_template_is_in_both_parts_and_layout_makes_no_other_template(file):
    found = load(file)
    assert len(found.train) + len(found.test) == 80
    assert found.test
    assert not {one.template for one in found.train} & {one.template for one in found.test}
    first = found.test[0]
    assert is_test(type(first)(first.text, f"  {first.template.upper()}!\n", first.spans))


def test_a_type_that_is_not_known_is_refused(tmp_path):
    row = sentence("{{PERSON}}", "Jan")
    row["spans"][0]["entity_type"] = "SHOE_SIZE"
    path = tmp_path / "odd.json.gz"
    path.write_bytes(gzip.compress(json.dumps([row]).encode()))
    with pytest.raises(SourceInvalid, match="SHOE_SIZE"):
        load(path)


def test_training_sees_labels_where_the_values_stand():
    text, spans = next(pair for pair in examples([]) if "NAME" in {kind for _, _, kind in pair[1]})
    cut = tokens(text, [])
    told = labels(cut, spans)
    start, _, kind = spans[0]
    first = next(i for i, token in enumerate(cut) if token[0] == start)
    assert told[first] == f"B-{kind}"
    assert told.count("O") == sum(not any(a < end and b > begin for a, b, _ in spans) for begin, end, _ in cut)
