"""Recognising intents: how texts are cut, networks trained and calibrated, thresholds chosen, and words weighed."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from ml.errors import SourceInvalid
from ml.language.shape import Shape
from ml.language.tokens import BEGIN, END, PADDING, UNKNOWN, Tokens
from ml.use_cases.service.calibrate import fitted
from ml.use_cases.service.labelled_csv import read_examples
from ml.use_cases.service.occlusion import token_contributions
from ml.use_cases.service.threshold import MOST_LOST, Scored, choose, figures
from ml.use_cases.service.trial import Rows, Settings, held_out
from tests.recommend_shop import prepare

pytestmark = pytest.mark.filterwarnings("ignore")
PIECES = [PADDING, UNKNOWN, BEGIN, END, "my", "order", "##s", "late", "refund", "?"]
HAN = ["我", "的", "订", "单", "订单", "退", "货", "退货"]
STATE = {"classes": ["order", "refund", "out_of_scope"], "vocabulary": PIECES, "han": HAN, "longest": 16}
SMALL = Shape(vocabulary=len(PIECES) + len(HAN), places=16, width=16, heads=2, inner=32, blocks=2, dropout=0.0)


def test_chinese_is_cut_at_the_longest_known_words_and_english_in_pieces():
    cut = Tokens(PIECES, HAN)
    named = [*PIECES, *HAN]
    (row,) = cut(["My orders 我的订单"])
    assert [named[one] for one in row if one] == [BEGIN, "my", "order", "##s", "我", "的", "订单", END]
    assert cut.places("My orders 我的订单")[-1] == (12, 14)


def test_what_no_vocabulary_has_is_unknown_and_long_texts_end_early():
    cut = Tokens(PIECES, HAN, longest=4)
    assert cut(["zebra"]).tolist() == [[2, 1, 3, 0, 0, 0, 0, 0]]
    assert np.count_nonzero(cut(["my order late refund"])) == 4


def labelled():
    from ml.use_cases.service.learn import Labelled

    cut = Tokens(PIECES, HAN, 16)
    order, refund = (
        ["my order late", "order late ?", "我的订单", "订单 late"],
        ["refund", "my refund ?", "退货", "我的退货"],
    )
    texts = [*order, *refund, "?", "my ?", "我的", "的 ?"]
    return Labelled(tokens=cut(texts), intents=np.repeat(np.arange(3), 4))


@pytest.fixture(scope="module")
def taught():
    prepare()
    from ml.use_cases.service import learn, network

    rows, course = (
        labelled(),
        learn.Course(seed=1, epochs=30, patience=30, batch_size=4, learning_rate=5e-3, smoothing=0.0),
    )
    teacher = network.build(SMALL, 3)
    epochs = learn.teach(teacher, rows, rows, course)
    return teacher, epochs, course


def test_a_teacher_learns_its_examples_and_a_shorter_student_says_the_same(taught):
    from ml.use_cases.service import learn, network

    teacher, epochs, course = taught
    rows = labelled()
    assert learn.accuracy(teacher, rows) == 1.0
    assert max(one["accuracy"] for one in epochs) == 1.0
    student = network.copied(teacher, replace(SMALL, blocks=1), [1])
    learn.distil(student, [teacher], rows.tokens, rows, course)
    assert learn.accuracy(student, rows) == 1.0


def wavering(consistency):
    """Return how far 20 readings under dropout lie apart, after a teacher's two had to agree."""
    import keras

    from ml.use_cases.service import learn, network

    keras.utils.set_random_seed(1)
    teacher = network.build(replace(SMALL, dropout=0.3), 3)
    course = learn.Course(seed=1, epochs=15, batch_size=4, learning_rate=5e-3, consistency=consistency)
    learn.teach(teacher, labelled(), None, course)
    readings = [teacher.answers({"tokens": labelled().tokens}, training=True).numpy() for _ in range(20)]
    return np.std(readings, axis=0).mean()


def test_readings_that_must_agree_waver_less():
    prepare()
    assert wavering(5.0) < 0.8 * wavering(0.0)


def test_a_text_scores_the_same_whatever_it_is_filled_up_to(taught):
    teacher, *_ = taught
    rows = labelled().tokens
    alone = teacher.answers({"tokens": rows[:1, :8]}).numpy()
    padded = teacher.answers({"tokens": np.pad(rows[:1], ((0, 0), (0, 8)))}).numpy()
    np.testing.assert_allclose(alone, padded, atol=1e-5)


def test_a_words_contribution_is_what_the_probability_loses_without_it(taught):
    teacher, *_ = taught
    whole, without = (
        teacher.answers({"tokens": Tokens(PIECES, HAN, 16)([text])}).numpy()[0, 1] for text in ("my refund", "my")
    )
    told = token_contributions(lambda inputs: teacher.answers(dict(inputs)).numpy(), STATE, "my refund", "en", "refund")
    assert [word for word, _ in told] == ["my", "refund"]
    assert told[1][1] == pytest.approx(float(whole - without), abs=1e-5)


def test_pieces_of_a_word_are_left_out_together_and_chinese_words_alone(taught):
    teacher, *_ = taught
    told = token_contributions(
        lambda inputs: teacher.answers(dict(inputs)).numpy(), STATE, "My orders 我的订单", "en", "order"
    )
    assert [word for word, _ in told] == ["My", "orders", "我", "的", "订单"]


def test_calibration_finds_the_temperature_that_was_laid_on(rng):
    odds = rng.normal(size=(20_000, 4)) * 2
    drawn = (rng.random(20_000)[:, None] > softmax(odds, axis=1).cumsum(axis=1)).sum(axis=1)
    scale, shift = fitted(odds * 4, np.minimum(drawn, 3), shifts_last=True)
    assert scale == pytest.approx(0.25, rel=0.05)
    assert shift == pytest.approx(0, abs=0.1)


def scored(p, intents) -> Scored:
    return Scored(p=np.array(p, dtype=float), intents=np.array(intents), has_outside=True)


def test_the_threshold_costs_no_more_than_it_may():
    # Three of the four in scope are right at 0; 0.7 keeps them all, 0.8 would lose one.
    valid = scored(
        [[0.9, 0.1, 0], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.5, 0.3, 0.2]], [0, 1, 0, 1, 2]
    )
    assert choose(valid) == pytest.approx(0.7)
    assert MOST_LOST < 0.25
    told = figures(valid, 0.7)
    assert told["accuracy"] == 0.75
    assert told["out_of_scope_recall"] == 1.0
    assert told["out_of_scope_precision"] == 0.5


def test_without_out_of_scope_nothing_is_declined():
    valid = replace(scored([[0.6, 0.4], [0.3, 0.7]], [0, 1]), has_outside=False)
    assert choose(valid) == 0.0
    assert figures(valid, 0.0)["accuracy"] == 1.0


@pytest.mark.parametrize(("n_rows", "epochs", "consistency"), [(847, 20, 6.0), (10_003, 6, 0.0)])
def test_few_rows_are_seen_more_often_and_read_twice(n_rows, epochs, consistency):
    found, asked = Settings().settled(n_rows), Settings(epochs=2, consistency=0.5)
    assert (found.epochs, found.consistency) == (epochs, consistency)
    assert asked.settled(n_rows) == asked


def test_a_tenth_of_each_label_is_held_out_whatever_the_order_of_rows():
    rows = Rows(train=[(f"text {number}", "ab"[number % 2]) for number in range(60)], valid=(), test=())
    parts = held_out(rows)
    assert [sum(label == name for _, label in parts.valid) for name in "ab"] == [3, 3]
    assert not set(parts.valid) & set(parts.train)
    assert set(held_out(replace(rows, train=rows.train[::-1])).valid) == set(parts.valid)


def test_few_examples_are_all_learned_from():
    rows = Rows(train=[(f"text {number}", "a") for number in range(10)], valid=(), test=())
    assert held_out(rows).train == rows.train


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,other\na,b\n", "--label COLUMN"),
        ("text,intent,label\na,b,c\n", "--label COLUMN"),
        ("text,intent\na,b\n,c\n", "none in line 3"),
        ("text,intent\n", "no row"),
    ],
)
def test_a_csv_that_cannot_be_learned_from_says_why(tmp_path, content, words):
    (tmp_path / "own.csv").write_text(content)
    with pytest.raises(SourceInvalid, match=words):
        read_examples(tmp_path / "own.csv")


def test_columns_may_have_any_name(tmp_path):
    (tmp_path / "own.csv").write_text('Frage,Ziel\n"wo, bitte",ort\n')
    assert read_examples(tmp_path / "own.csv", "Frage", "Ziel") == [("wo, bitte", "ort")]
