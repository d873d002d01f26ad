"""Redaction of any text ends soon, is the same when done again, leaves what is kept and removes all that was found."""

import re
import signal
from contextlib import contextmanager
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.privacy.pii_find import find
from ml.privacy.redact import redact, redact_column
from ml.use_cases.service.discreet import discreet

ORDER = re.compile(r"(?<![A-Za-z0-9])[A-Z]\d{4}-\d{3}(?!\d)")
LONGEST_PLACEHOLDER = len("[ADDRESS]")
PLANTED = ["Anna Kowalska", "anna.k@planted.example", "4111 1111 1111 1111", "+44 7911 123456", "王小明", "13812345678"]
EVERYDAY = [
    "Hi, Anna Kowalska here, order A1047-220 has not arrived, call me at +44 7911 123456",
    "Order A1047-220 for Anna Kowalska and order B2210-113 for Péter Nagy, please",
    "My name is Anna Kowalska. Refund A1047-220 to 4111 1111 1111 1111.",
    "[NAME] wrote to anna.k@planted.example about A1047-220 on behalf of Anna Kowalska",
    "Deliver A1047-220 to Anna Kowalska, 12 Baker Street, London NW1 6XE",
    "我叫王小明，订单A1047-220没到，打13812345678",
    "Hello [EMAIL], I am Anna Kowalska from 12 Baker Street, [PHONE]",
    "A1047-220 A1047-221 A1047-222 Anna Kowalska A1047-223",
]
PIECES = st.one_of(
    st.sampled_from([*PLANTED, *EVERYDAY]),
    st.sampled_from(["A1047-220", "B2210-113", "xA1047-220", "A1047-2201", "https://a.example/A1047-220/anna"]),
    st.sampled_from(["[NAME]", "[name]", "[[NAME]]", "[NAME", "NAME]", "[EMAIL] [PHONE]", "[ NAME ]", "[NAMES]", "[]"]),
    st.sampled_from(
        ["订单", "我叫", "收件人：李", "北京市朝阳区", "微信", "卡号", "先生", "，", "。", "my name is ", "Mr. "]
    ),
    st.sampled_from(
        ["😀", "👩‍👩‍👧", "e\u0301", "\ud800", "\udfff", "\u202e", "\x00", "\u200b", "\ufeff", "n" * 300, "7" * 90]
    ),
    st.text(st.characters(), max_size=20),
    st.from_regex(r"[aA1 .@+()/:-]{1,30}", fullmatch=True),
)
TEXTS = st.lists(st.tuples(PIECES, st.sampled_from(["", " ", "\n", ", "])), max_size=12).map(
    lambda pairs: "".join(piece + after for piece, after in pairs)
)


@contextmanager
def at_most(seconds: float):
    """Stop what uses more than so much of the processor."""

    def stop(*_):
        raise TimeoutError(f"more than {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def is_subsequence(some: list[str], all_of: list[str]) -> bool:
    rest = iter(all_of)
    return all(one in rest for one in some)


@pytest.mark.parametrize("text", EVERYDAY)
def test_everyday_messages_with_order_numbers_and_placeholders_are_redacted(text):
    with at_most(5):
        done = redact(text, keep=ORDER).text
        column, _ = redact_column(pd.Series([text], dtype="str"), ORDER.pattern)
        stored = discreet(text)
    assert column.tolist() == [done]
    for told in (done, stored):
        assert not [value for value in (*PLANTED, "Péter Nagy", "Baker Street") if value in told]
        assert ORDER.findall(told) == ORDER.findall(text)
    assert done.count("[") <= text.count("[") + 4


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_found_spans_are_in_order_apart_and_touch_nothing_that_is_kept(text):
    with at_most(10):
        spans = find(text, keep=ORDER)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    kept = [one.span() for form in (ORDER, re.compile(r"\[(?:NAME|EMAIL|PHONE)\]")) for one in form.finditer(text)]
    assert not [span for span in spans for start, end in kept if span.start < end and start < span.end]


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from([None, "en", "zh"]))
def test_redaction_ends_is_idempotent_and_keeps_what_is_kept(text, language):
    with at_most(10):
        done = redact(text, language, ORDER)
        again = redact(done.text, language, ORDER)
    assert (again.text, again.counts.total()) == (done.text, 0)
    assert is_subsequence(ORDER.findall(text), ORDER.findall(done.text))
    assert len(done.text) <= len(text) + LONGEST_PLACEHOLDER * done.counts.total()
    assert done.counts.total() <= sum(char.isalnum() for char in text)
    assert language or not [value for value in PLANTED[1:4] if f" {value} " in done.text]


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_nothing_that_a_span_covers_is_left(text):
    """The first search is replaced here by hand; what `redact` returns is what it would return for that."""
    first, at = "", 0
    for span in find(text, keep=ORDER):
        first += f"{text[at : span.start]}[{span.type}]"
        at = span.end
    assert redact(first + text[at:], keep=ORDER).text == redact(text, keep=ORDER).text


ADVERSE = {
    "one word": "a",
    "one number": "1",
    "no word": "@",
    "dots": "a.",
    "a cue and spaces": ("微信", " "),
    "another cue and spaces": ("password", " "),
    "QQ": "qq ",
    "countries": "+1 ",
    "addresses": "a@b.co ",
    "address or not": "a@",
    "brackets": "1(",
    "groups": "1 ",
    "dashes": "1-",
    "colons": "a:",
    "links": "http://",
    "accounts": "DE89 3704 ",
    "cards": "4111 1111 1111 1111 ",
    "surnames": "李",
    "name cues": "我叫",
    "places": "北京市朝阳区建国路",
    "doors": "12号",
    "numerals": "一",
    "placeholders begun": "[NAME",
    "placeholders": "[NAME] ",
    "people": "Anna Kowalska, ",
    "emoji": "😀",
    "combining": "e\u0301",
    "half characters": "\ud800",
    "lines": "\n",
    "passwords": "password is ",
    "at and dot": "a at b dot ",
}


@pytest.mark.parametrize("name", ADVERSE)
def test_ten_thousand_characters_of_anything_take_seconds_at_most(name):
    unit = ADVERSE[name]
    text = unit[0] + unit[1] * 10_000 + "x" if isinstance(unit, tuple) else unit * (10_000 // len(unit))
    with at_most(8):
        done = redact(text, keep=ORDER).text
    assert len(done) <= len(text) * LONGEST_PLACEHOLDER


def test_a_long_document_takes_no_longer_than_its_parts():
    """100 kB in one cell: three searches of some 25,000 words."""
    text = "\n".join(EVERYDAY[:6] * 220)
    with at_most(60):
        done = redact(text, keep=ORDER)
    assert len(text) > 90_000
    assert not [value for value in PLANTED if value in done.text]
    assert len(ORDER.findall(done.text)) == len(ORDER.findall(text))


def test_a_text_that_is_never_done_is_hidden_whole_but_for_what_is_kept(monkeypatch):
    monkeypatch.setattr("ml.privacy.redact.ROUNDS", 1)
    done = redact("Anna Kowalska has not got A1047-220 [EMAIL] yet", keep=ORDER)
    assert done.text == "[NAME]A1047-220 [EMAIL][NAME]"
    assert redact(done.text, keep=ORDER).text == done.text
