"""Personal values are found whatever signs they are typed or copied with: invisible ones, other spaces, hyphens and digits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.privacy.redact import redact

VALUES = {
    "4111 1111 1111 1111": "CARD",
    "4111-1111-1111-1111": "CARD",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "+44 7911 123456": "PHONE",
    "138 1234 5678": "PHONE",
    "anna.k@planted.example": "EMAIL",
}
INVISIBLE = ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202d", "\ufe0f", "\U000e0041"]
SPACES = ["\u00a0", "\u2009", "\u202f", "\u3000"]
HYPHENS = ["\u2010", "\u2011", "\u2012", "\u2013", "\u2212", "\uff0d"]
ZEROS = ["0", "\u0660", "\u06f0", "\u0966", "\uff10"]  # Arabic, Persian, Devanagari, full width


@given(
    st.sampled_from(list(VALUES)),
    st.sampled_from(SPACES),
    st.sampled_from(HYPHENS),
    st.sampled_from(ZEROS),
    st.lists(st.tuples(st.integers(1, 15), st.sampled_from(INVISIBLE)), max_size=3),
)
def test_a_value_is_found_whatever_signs_it_is_written_with(value, space, hyphen, zero, planted):
    odd = "".join(chr(ord(zero) + int(char)) if char.isascii() and char.isdigit() else char for char in value)
    odd = odd.replace(" ", space).replace("-", hyphen)
    for at, sign in planted:
        within = min(at, len(value) - 1)
        odd = odd[:within] + sign + odd[within:]
    assert redact(f"it is {odd}, thank you").text == f"it is [{VALUES[value]}], thank you"


@pytest.mark.parametrize("apostrophe", ["'", "\u2019", "\u02bc"])
def test_names_are_found_with_the_apostrophe_that_phones_type(apostrophe):
    assert redact(f"Dear Mr O{apostrophe}Neill, your parcel").text == "Dear Mr [NAME], your parcel"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("电话一三八一二三四五六七八", "电话[PHONE]"),
        ("手机：壹叁捌壹贰叁肆伍陆柒捌，谢谢", "手机：[PHONE]，谢谢"),
        ("打幺三八 零零幺二 三四五六", "打[PHONE]"),
        ("加我v lilei_2020", "加我v [ACCOUNT]"),
        ("我的q号是 12345678", "我的q号是 [ACCOUNT]"),
        ("my telegram is @olga_smirnova88", "my telegram is [ACCOUNT]"),
        ("skype: live:annak77", "skype: [ACCOUNT]"),
        ("138.1234.5678", "[PHONE]"),
    ],
)
def test_numbers_that_are_spelled_and_names_in_networks_are_found(text, left):
    assert redact(text).text == left


@pytest.mark.parametrize(
    "text",
    [
        "my order number is 884213",
        "一共一百二十三件，买三送一",
        "Is facebook down? I saw it on instagram today",
        "I ordered 10\u201312 pieces\u00a0on 2017\u201105\u201105",
    ],
)
def test_what_only_looks_alike_stays(text):
    assert redact(text).text == text


def test_what_is_kept_stays_with_invisible_signs_around():
    order = re.compile(r"(?<!\w)[A-Z]\d{4}-\d{3}(?!\d)")
    assert redact("\u200bA1047-220\u200b for Anna Kowalska", keep=order).text == "\u200bA1047-220\u200b for [NAME]"
