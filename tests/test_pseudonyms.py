"""Pseudonyms are keyed, stable, apart by domain, and refuse to exist without a key."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.config import Settings
from ml.errors import ConfigInvalid
from ml.privacy.pseudonym import fingerprint, pseudonym, pseudonymise, read_key

KEY = bytes(range(32))
keys = st.binary(min_size=32, max_size=32)


def test_a_pseudonym_agrees_with_openssl():
    # printf 'customer_id\000900' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f
    assert pseudonym(KEY, "customer_id", "900") == "c2a20ef9dc6a83b2df9efc83cc827d4a"


def test_a_fingerprint_agrees_with_openssl():
    # printf 'tradewind pseudonym key fingerprint v1' | openssl dgst … -binary | sha256sum
    assert fingerprint(KEY) == "sha256:fc252789dea8cadff2778315f41f6af31da00ecc530b87d749bc3f07d204b2e7"


@given(st.text(max_size=20), keys)
def test_a_pseudonym_is_stable_under_one_key_and_different_under_another(value, other):
    first = pseudonym(KEY, "customer_id", value)
    assert first == pseudonym(KEY, "customer_id", value)
    assert other == KEY or first != pseudonym(other, "customer_id", value)


@given(st.text(max_size=20))
def test_equal_values_of_two_domains_cannot_be_linked(value):
    assert pseudonym(KEY, "customer_id", value) != pseudonym(KEY, "basket_id", value)


@given(keys)
def test_a_fingerprint_tells_keys_apart_and_does_not_hold_them(key):
    assert key == KEY or fingerprint(key) != fingerprint(KEY)
    assert key.hex() not in fingerprint(key)


@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=30))
def test_a_column_gets_each_value_s_own_pseudonym_and_missing_stays_missing(values):
    done = pseudonymise(pd.Series(values, dtype="str"), KEY, "customer_id")
    expected = [None if value is None else pseudonym(KEY, "customer_id", value) for value in values]
    assert [None if pd.isna(value) else value for value in done] == expected


@pytest.mark.parametrize("text", [None, "", "short", "zz" * 32, "ab" * 31])
def test_a_key_that_is_none_is_refused_and_not_repeated(text):
    with pytest.raises(ConfigInvalid) as refusal:
        read_key(Settings(pseudonym_key=text))
    assert not text or text not in str(refusal.value)


def test_settings_do_not_show_the_key():
    assert KEY.hex() not in repr(Settings(pseudonym_key=KEY.hex()))
