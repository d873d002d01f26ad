"""A rule sees the encrypted values of the columns that it declares, and of no others, whatever words it contains."""

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from data_checks.check import Check
from data_checks.derived import gxe
from data_checks.runner import Job, Sealed, checks_of, run
from ml.contract import Column, Table
from ml.errors import ConfigInvalid
from ml.files import write_arrow
from ml.privacy.seal import Words
from ml.use_cases import NAMES, load

DAY = date(2026, 6, 1)
NOTES = Table(
    name="notes",
    columns=(
        Column(name="id", type="string", treatment="pseudonym"),
        Column(name="text", type="string", treatment="redact"),
        Column(name="kind", type="string"),
    ),
)
ROWS = pa.table({"id": ["1", "2"], "text": ["good", "bad"], "kind": ["id of a text", "text"]})


def rule(expectation, *opens):
    return Check(
        name="notes.rule",
        table="notes",
        severity="quarantine",
        owner="service",
        reason="wrong",
        since=DAY,
        expectation=expectation,
        opens=opens,
    )


@pytest.fixture
def judge(tmp_path):
    """Judge the rows by one rule; return the failing rows and the columns that were opened."""
    opened = []

    def opens(table, rows):
        opened.extend(rows.column_names)
        return rows

    def judged(check):
        write_arrow(tmp_path / "in" / "notes" / "all.parquet", ROWS)
        write_arrow(tmp_path / "words" / "notes" / "all.parquet", Words().of(NOTES, ROWS))
        sealed = Sealed(words=tmp_path / "words", open=opens, passed=tmp_path / "passed")
        job = Job(
            tables=(NOTES,), checks=(check,), source=tmp_path / "in", sealed=sealed, out=tmp_path / "out", as_of=DAY
        )
        (outcome,), _ = run(job)
        (found,) = [finding for finding in outcome.findings if finding.check.name == check.name]
        return found.failing, opened

    return judged


@pytest.mark.parametrize(
    "expectation",
    [
        gxe.ExpectColumnValuesToBeInSet(column="kind", value_set=["text", "id of a text"]),
        gxe.ExpectColumnValuesToNotMatchRegex(column="kind", regex="^text and id$"),
        gxe.ExpectColumnValuesToBeOfType(column="kind", type_="str", notes="as text, and as id"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_words_in_a_rule_open_nothing(judge, expectation):
    assert judge(rule(expectation)) == (0, [])


def test_a_rule_sees_what_it_opens_and_nothing_else(judge):
    assert judge(rule(gxe.ExpectColumnValuesToBeInSet(column="text", value_set=["good"]), "text")) == (1, ["text"])


@pytest.mark.parametrize(
    "expectation",
    [
        gxe.ExpectColumnValueLengthsToBeBetween(column="text", max_value=3),
        gxe.ExpectColumnPairValuesToBeEqual(column_A="kind", column_B="text"),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=["kind", "text"]),
        gxe.ExpectColumnValuesToBeInSet(
            column="kind", value_set=["x"], row_condition='text=="good"', condition_parser="pandas"
        ),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_rule_about_values_that_it_does_not_open_is_refused(judge, expectation):
    with pytest.raises(ConfigInvalid, match=r"notes\.rule.*text"):
        judge(rule(expectation, "id"))


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_opens_columns_that_are_encrypted_and_all_that_it_is_about(name):
    sealed = {table.name: set(table.sealed) for table in load(name).data.tables}
    for check in checks_of(name):
        assert set(check.opens) <= sealed[check.table], check.name
        assert check.columns & sealed[check.table] <= set(check.opens), check.name
        assert replace(check, expectation=None).columns == set()
