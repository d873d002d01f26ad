"""Reports and logs of what went wrong tell kinds, places and masks; no cell of the shop's rows is in them."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_checks.check import Check
from data_checks.suite import Suite, gx, new_context
from ml.contract import Column, Table
from ml.errors import outline
from ml.sources.describe import described, mask

PERSON, PHONE = "anna.berg@example.org", 491701234567
TABLE = Table(name="sales", columns=(Column(name="quantity", type="int64"),))


def judged(values):
    rule = Check(
        name="sales.quantity",
        table="sales",
        severity="quarantine",
        owner="tills",
        reason="sold in pieces",
        since=date(2026, 11, 25),
        expectation=gx.expectations.ExpectColumnValuesToBeBetween(column="quantity", min_value=1, max_value=100),
    )
    found, result = Suite(new_context(), TABLE, [rule]).judge(pd.DataFrame({"quantity": values}))
    return found["sales.quantity"], str(result.to_json_dict())


@pytest.mark.filterwarnings("ignore")
def test_a_rule_that_cannot_be_judged_tells_the_errors_kind_alone():
    one, told = judged([PERSON, 3])
    assert one.fault.endswith("Error")
    assert (PERSON in f"{one.fault} {told}", "anna" in told) == (False, False)


def test_a_telephone_among_quantities_is_masked_and_a_plain_outlier_is_not():
    _, told = judged([PHONE, 4711, 2])
    assert (str(PHONE) in told, mask(str(PHONE)) in told, "4711" in told) == (False, True, True)


@given(st.text(min_size=1, max_size=60))
def test_a_mask_keeps_no_letter_and_no_digit(text):
    """Of letters and digits only a, A, 9 and the cut remain."""
    left = {letter for letter in mask(text) if letter.isalnum()}
    assert left <= set("aA9")
    assert described(text, is_harmless=False).endswith(f"(masked, {len(text)} characters)")


@given(
    st.emails() | st.from_regex(r"\+?[0-9]{7,15}", fullmatch=True) | st.from_regex(r"[A-Z]{2}[0-9]{20}", fullmatch=True)
)
def test_who_can_be_found_by_a_value_is_not_shown_in_a_harmless_column(value):
    assert repr(value) not in described(value, is_harmless=True)


def test_an_unexpected_error_of_a_stage_is_told_without_its_message(tmp_path):
    (tmp_path / "params.yaml").write_text(f"rating: {{{PERSON}: [")
    command = [sys.executable, "-m", "ml", "stage", "ingest", "rating"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    printed = done.stdout + done.stderr
    assert (done.returncode, PERSON in printed, "anna" in printed) == (1, False, False)
    assert "yaml.parser.ParserError" in printed
    assert "file_stage.py" in printed


def test_an_outline_tells_what_led_to_an_error():
    try:
        try:
            int(PERSON)
        except ValueError as error:
            raise KeyError(PERSON) from error
    except KeyError as error:
        told = outline(error)
    assert [line for line in told.splitlines() if not line.startswith(" ")] == [
        "builtins.ValueError",
        "builtins.KeyError",
    ]
    assert PERSON not in told
