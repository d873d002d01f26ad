"""Redacted text holds no planted value, says what stood there, and stays the same when redacted again."""

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.config import Settings
from ml.contract import Column, Table
from ml.privacy.redact import redact, redact_column
from ml.serving.door import Door
from tests.toy_use_case import TOY

VALUES = {
    "NAME": "Anna Kowalska",
    "EMAIL": "anna.k@example.com",
    "PHONE": "+44 7911 123456",
    "CARD": "4111 1111 1111 1111",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "ID": "536-90-4399",
    "IP": "203.0.113.77",
}
SENTENCES = st.sampled_from(
    [
        "My name is {NAME}, write to {EMAIL}",
        "Hello, I am {NAME}. Call me on {PHONE} please.",
        "I paid with {CARD}, my name is {NAME}",
        "Refund to IBAN {IBAN}, and tell me at {EMAIL}",
        "My social security number is {ID} and I logged in from {IP}",
        "我叫王小明，电话13812345678",
        "Where is order 1234567? I paid $39.99",
    ]
)


def test_placeholders_say_what_stood_there():
    done = redact("My name is Anna Kowalska, my card is 4111 1111 1111 1111, or 5500 0000 0000 0004.")
    assert done.text == "My name is [NAME], my card is [CARD], or [CARD]."
    assert done.counts == {"NAME": 1, "CARD": 2}


def test_a_text_without_personal_data_is_left_alone():
    done = redact("Where is order 1234567? I paid $39.99 on 2024-11-05")
    assert done.text == "Where is order 1234567? I paid $39.99 on 2024-11-05"
    assert not done.counts


@settings(max_examples=60, deadline=None)
@given(st.lists(SENTENCES, min_size=1, max_size=4), st.text(max_size=30))
def test_no_planted_value_survives_and_redacting_again_changes_nothing(sentences, noise):
    text = "\n".join([*(sentence.format(**VALUES) for sentence in sentences), noise])
    once = redact(text)
    again = redact(once.text)
    assert again.text == once.text
    assert not again.counts
    assert not [value for value in [*VALUES.values(), "王小明", "13812345678"] if value in once.text]


@pytest.mark.parametrize("text", ["[NAME]", "Dear [NAME], [EMAIL] is known", "[NAME] [NAME]"])
def test_placeholders_are_not_personal_data(text):
    assert redact(text).text == text


def test_a_column_is_redacted_row_by_row_and_missing_stays_missing():
    values = pd.Series(["card 4111 1111 1111 1111", None, "card 4111 1111 1111 1111", "fine"], dtype="str")
    done, counts = redact_column(values)
    assert done.tolist()[0] == done.tolist()[2] == "card [CARD]"
    assert done.isna().tolist() == [False, True, False, False]
    assert counts == {"CARD": 2}


def test_the_servers_door_redacts_the_fields_that_anonymise_redacts():
    notes = Table(name="notes", columns=(Column(name="text", type="string", treatment="redact"),))
    door = Door(
        Settings(pseudonym_key="ab" * 32), replace(TOY, data=replace(TOY.data, tables=(*TOY.data.tables, notes)))
    )
    hidden = door.hide({"text": ["I am Anna Kowalska", None], "other": "Anna Kowalska"})
    assert hidden == {"text": ["I am [NAME]", None], "other": "Anna Kowalska"}
