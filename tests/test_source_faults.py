"""Faults that shops' files have: what was meant is read, or the refusal names table, column, file, line and remedy."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.config import Settings
from ml.errors import ConfigInvalid, SourceInvalid
from ml.shop import PRODUCTS, PURCHASES
from ml.sources.opening import open_source

HEADER = "customer_id,basket_id,product_id,quantity,amount,purchased_at"
ROWS = ("00012,B1,00039,2,3.98,2026-11-23T10:00:00", "00013,B2,00077,1,2.50,2026-11-23T11:00:00")
PERSON = "anna.berg@example.org"
DAY = date(2026, 12, 1)


@pytest.fixture
def till(tmp_path):
    """Write a day's file and read it back: (lines or bytes, mapping of purchases) -> rows."""

    def run(lines, mapping=None, name="till.csv"):
        file = tmp_path / "purchases" / "2026-11-23" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(lines if isinstance(lines, bytes) else "\n".join([*lines, ""]).encode())
        return rows_of(tmp_path, PURCHASES, mapping)

    return run


def rows_of(folder, table, mapping=None):
    spec = {"kind": "files", "location": str(folder), "mapping": {"tables": {"purchases": mapping or {}}}}
    return [row for chunk in open_source(spec, Settings()).read(table, DAY) for row in chunk.to_pylist()]


def changed(place, field, value):
    """Return the two rows with one field of the first replaced."""
    fields = ROWS[0].split(",")
    fields[place] = value
    assert HEADER.split(",")[place] == field
    return [HEADER, ",".join(fields), ROWS[1]]


# --- headers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ["", HEADER, *ROWS],
        ["", "", HEADER, *ROWS],
        [f'{HEADER},"note\n[free]"', *(f"{row},x" for row in ROWS)],
        [f'"note\n[free]",{HEADER}', *(f"x,{row}" for row in ROWS)],
        [",".join(f'" {name} "' for name in HEADER.split(",")), *ROWS],
        [f"{HEADER},", *(f"{row}," for row in ROWS)],
    ],
)
def test_identifiers_stay_text_whatever_the_header_looks_like(till, lines):
    found = till(lines)
    assert [(row["customer_id"], row["product_id"]) for row in found] == [("00012", "00039"), ("00013", "00077")]


def test_a_column_that_comes_twice_is_named(till):
    with pytest.raises(
        SourceInvalid, match=r"one column amount for purchases\.amount .*till\.csv.*2 columns of that name"
    ):
        till([f"{HEADER},amount", *(f"{row},1" for row in ROWS)])


@pytest.mark.parametrize(
    ("theirs", "ours"), [("Discount", "discount"), ("DISCOUNT", "discount"), ("dis count", "discount")]
)
def test_a_column_that_may_be_missing_is_not_missed_for_its_spelling(till, theirs, ours):
    with pytest.raises(SourceInvalid, match=rf"column {ours} for purchases\.{ours}.*'{theirs}' is close.*mapping"):
        till([f"{HEADER},{theirs}", *(f"{row},0.1" for row in ROWS)])


def test_a_column_that_is_renamed_from_one_file_to_the_next_is_refused(till):
    till([f"{HEADER},discount", *(f"{row},0.1" for row in ROWS)])
    with pytest.raises(SourceInvalid, match=r"discount.*till\.csv.*z\.csv.*rebate"):
        till([f"{HEADER},rebate", *(f"{row},0.1" for row in ROWS)], name="z.csv")


def test_a_file_without_a_header_is_not_quoted(till):
    with pytest.raises(SourceInvalid, match="first line that looks like data") as caught:
        till([f"{PERSON},B1,00039,2,3.98,2026-11-23T10:00:00"])
    assert PERSON not in str(caught.value)


def test_another_delimiter_is_guessed(till):
    with pytest.raises(SourceInvalid, match="holds ';': set `delimiter`"):
        till([HEADER.replace(",", ";"), *(row.replace(",", ";") for row in ROWS)])


# --- rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('00014,B3,00077,1,2.50,"2026-11-23T12:00:00', r"another one in the row after line 3"),
        ('00014,"B"3,00077,1,2.50,2026-11-23T12:00:00', r"another one in the row after line 3"),
        ('00014, "B3",00077,1,2.50,2026-11-23T12:00:00', r"white space before one in line 4"),
        ("00014,B3,00077,1,2.50,2026-11-23T12:00:00,more", r"Expected 6 columns, got 7\).*7 in line 4"),
        ("00014,B3,00077,1,2.50", r"Expected 6 columns, got 5\).*5 in line 4"),
    ],
)
def test_a_row_that_cannot_be_divided_is_told_by_its_line(till, row, message):
    with pytest.raises(SourceInvalid, match=rf"till\.csv.*{message}"):
        till([HEADER, *ROWS, row, *ROWS])


@pytest.mark.parametrize("place", range(1, 6))
def test_a_shifted_row_puts_no_person_into_the_message(till, place):
    fields = ROWS[0].split(",")
    shifted = [*fields[:place], PERSON, *fields[place:]][:6]
    try:
        found = till([HEADER, ROWS[1], ",".join(shifted)])
    except SourceInvalid as error:
        text, rest = f"{error!r} {error} {error.facts} {error.__cause__} {error.__context__}", "line 3"
        assert (PERSON in text, "anna" in text, rest in str(error)) == (False, False, True)  # noqa: PT017 - the error's text is the subject
    else:
        pytest.fail(f"read as {len(found)} rows")


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "field", "value", "mapping", "meant"),
    [
        (0, "customer_id", "12.0", {}, "12"),
        (2, "product_id", "39.00", {}, "39"),
        (2, "product_id", "1E3", {"columns": {"product_id": {"from": "product_id", "verbatim": True}}}, "1E3"),
        (2, "product_id", "1.2.3", {}, "1.2.3"),
        (3, "quantity", "2.0", {}, 2),
        (0, "customer_id", "NULL", {}, None),
        (0, "customer_id", "\\N", {}, None),
        (4, "amount", "-", {}, None),
        (4, "amount", "n.v.", {"missing": ["n.v."]}, None),
        (0, "customer_id", "NULL", {"missing": []}, "NULL"),
        (4, "amount", "1234.5", {}, 1234.5),
        (4, "amount", "1.234.567", {"grouping": ".", "decimal": ","}, 1234567.0),
        (5, "purchased_at", "0000-00-00 00:00:00", {"missing": ["0000-00-00 00:00:00"]}, None),
        (5, "purchased_at", "20261123T101500", {}, datetime(2026, 11, 23, 10, 15)),
    ],
)
def test_a_value_is_read_as_it_was_meant(till, place, field, value, mapping, meant):
    lines = changed(place, field, value)
    if mapping.get("decimal") == ",":
        lines[2] = lines[2].replace("2.50", "2")
    assert till(lines, mapping)[0][field] == meant


@pytest.mark.parametrize(
    ("place", "field", "value", "mapping"),
    [
        (2, "product_id", "39.5", {}),
        (2, "product_id", "1e3", {}),
        (2, "product_id", "1.23457E+12", {}),
        (3, "quantity", "1.5", {}),
        (3, "quantity", "1e3", {}),
        (3, "quantity", "9223372036854775808", {}),
        (4, "amount", "inf", {}),
        (4, "amount", "1e999", {}),
        (4, "amount", '"3,98"', {}),
        (4, "amount", '"1,234"', {}),
        (4, "amount", "3.98", {"decimal": ","}),
        (4, "amount", "1.234", {"decimal": ","}),
        (4, "amount", "3.98 €", {}),
        (4, "amount", "n.v.", {}),
        (5, "purchased_at", "0000-00-00 00:00:00", {}),
        (5, "purchased_at", "2026-02-30T10:00:00", {}),
        (5, "purchased_at", "2026-11", {}),
        (5, "purchased_at", "23.11.2026 10:00", {}),
        (5, "purchased_at", "1795514400", {}),
    ],
)
def test_a_value_that_is_something_else_is_refused_by_its_line(till, place, field, value, mapping):
    with pytest.raises(
        SourceInvalid, match=rf"purchases\.{field} from .*till\.csv\. .*line 2.*tables\.purchases"
    ) as caught:
        till(changed(place, field, value), mapping)
    assert (caught.value.facts["table"], caught.value.facts["column"]) == ("purchases", field)


def test_an_identifier_matches_whether_a_table_holds_it_as_float_or_whole(tmp_path, till):
    till(changed(2, "product_id", "39.0"))
    pq.write_table(pa.table({"product_id": pa.array([39.0, 77.0])}), tmp_path / "products.parquet")
    assert rows_of(tmp_path, PURCHASES)[0]["product_id"] == rows_of(tmp_path, PRODUCTS)[0]["product_id"] == "39"


# --- times --------------------------------------------------------------------------------------

BERLIN = {"columns": {"purchased_at": {"from": "purchased_at", "time_zone": "Europe/Berlin"}}}


def times(till, values, mapping=None):
    lines = [HEADER, *(f"1,B{number},2,1,1.0,{value}" for number, value in enumerate(values))]
    return [row["purchased_at"] for row in till(lines, mapping)]


def test_across_daylight_saving_times_with_an_offset_are_local_times(till):
    """Germany's clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25."""
    given = ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00+00:00"]
    told = [datetime(2026, 3, 29, 1, 30), datetime(2026, 3, 29, 3, 30), *[datetime(2026, 10, 25, 2, 30)] * 2]
    assert times(till, given, BERLIN) == told


def test_a_time_without_offset_is_local_beside_one_with(till):
    given = ["2026-11-23T10:00:00", "2026-11-23T09:00:00Z", "2026-11-23T18:00:00+09:00"]
    assert times(till, given, BERLIN) == [datetime(2026, 11, 23, 10)] * 3


@pytest.mark.parametrize(
    ("values", "mapping", "message"),
    [
        (["2026-10-25T01:30:00+02:00", "2026-10-25T02:30:00+01:00"], None, "time_zone"),
        (["2026-10-25T01:30:00", "2026-10-25T02:30:00+01:00"], None, "time_zone"),
        (["2026-03-29T02:30:00"], BERLIN, "skips in Europe/Berlin"),
    ],
)
def test_a_time_that_could_be_two_or_none_is_refused(till, values, mapping, message):
    with pytest.raises(SourceInvalid, match=rf"purchases\.purchased_at .*{message}.*line"):
        times(till, values, mapping)


@pytest.mark.parametrize("folder", ["2026-02-30", "0000-00-00", "day=2026-13-01"])
def test_an_impossible_day_in_a_path_is_refused(tmp_path, folder):
    (tmp_path / "purchases" / folder).mkdir(parents=True)
    (tmp_path / "purchases" / folder / "till.csv").write_text("\n".join([HEADER, *ROWS]))
    with pytest.raises(SourceInvalid, match=rf"a day of the calendar in the path purchases/{folder}/till\.csv"):
        rows_of(tmp_path, PURCHASES)


# --- encodings ----------------------------------------------------------------------------------

TEXT = "\n".join([HEADER, ROWS[0].replace("B1", "Köln"), ""])


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ("utf-16-be", TEXT.encode("utf-16-be")),
        ("utf-16-le", TEXT.encode("utf-16-le")),
        ("utf-16-be", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("utf-16", b"\xfe\xff" + TEXT.encode("utf-16-be")),
        ("utf-16", b"\xff\xfe" + TEXT.encode("utf-16-le")),
        ("utf-16", TEXT.encode("utf-16-be")),
        ("utf-8", TEXT.encode("utf-8-sig")),
        ("cp1252", TEXT.encode("cp1252")),
    ],
)
def test_a_declared_encoding_is_honoured(till, said, data):
    assert till(data, {"encoding": said})[0]["basket_id"] == "Köln"


@pytest.mark.parametrize(
    ("said", "data", "guess"),
    [
        ("utf-8", TEXT.replace("Köln", "上海店").encode("gbk"), "gb18030"),
        ("utf-8", TEXT.encode("cp1252"), "cp1252"),
        ("utf-8", TEXT.encode("utf-16-be"), "utf-16-be"),
        ("utf-8", TEXT.encode("utf-16"), "utf-16-le"),
        ("latin-1", TEXT.encode("utf-8-sig"), "utf-8"),
        ("utf-16-le", b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16-be"),
        ("ascii", TEXT.encode(), "utf-8"),
    ],
)
def test_another_encoding_is_refused_with_a_guess(till, said, data, guess):
    with pytest.raises(SourceInvalid, match=rf"till\.csv\..*{guess}.*Set `encoding`"):
        till(data, {} if said == "utf-8" else {"encoding": said})


@pytest.mark.parametrize(
    "mapping",
    [
        *({"encoding": "klingon"}, {"encoding": "base64"}, {"delimiter": '"'}, {"delimiter": "§"}, {"delimiter": "\n"}),
        *(
            {"decimal": ",", "grouping": ","},
            {"columns": {"purchased_at": {"from": "t", "time_zone": "Europe/Berlyn"}}},
        ),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_refused_at_once(till, mapping):
    with pytest.raises(ConfigInvalid, match=r"tables\.purchases"):
        till([HEADER, *ROWS], mapping)


# --- links and other things ---------------------------------------------------------------------


@pytest.fixture
def linked(tmp_path, till):
    till([HEADER, *ROWS])
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("\n".join([HEADER, *ROWS]))
    return tmp_path / "purchases" / "2026-11-23", outside


@pytest.mark.parametrize("target", ["file", "folder", "nothing"])
def test_a_link_that_leaves_the_zone_is_refused(linked, target):
    day, outside = linked
    (day / "other.csv").symlink_to(
        {"file": outside / "secret.csv", "folder": outside, "nothing": outside / "none"}[target]
    )
    with pytest.raises(SourceInvalid, match=r"purchases/2026-11-23/other\.csv"):
        rows_of(day.parent.parent, PURCHASES)


def test_a_link_to_a_file_of_the_zone_is_read_and_a_hidden_one_skipped(linked):
    day, outside = linked
    (day / "other.csv").symlink_to(day / "till.csv")
    (day / "_latest").symlink_to(outside)
    assert len(rows_of(day.parent.parent, PURCHASES)) == 4


def test_a_pipe_is_refused_and_not_waited_for(linked):
    day, _ = linked
    os.mkfifo(day / "pipe.csv")
    with pytest.raises(SourceInvalid, match=r"pipe\.csv"):
        rows_of(day.parent.parent, PURCHASES)


def test_a_name_that_is_no_text_is_refused(linked):
    day, _ = linked
    Path(os.fsdecode(os.fsencode(day) + b"/\xff.csv")).write_text(HEADER)
    with pytest.raises(SourceInvalid, match="names in UTF-8"):
        rows_of(day.parent.parent, PURCHASES)


@pytest.mark.parametrize(
    ("name", "data"), [("t.csv.gz", b"\x1f\x8bcut"), ("t.csv.gz", b"plain"), ("t.parquet", b"PAR1")]
)
def test_a_broken_file_is_refused(till, name, data):
    with pytest.raises(SourceInvalid, match=rf"readable file .*{name}"):
        till(data, name=name)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(till, data):
    with pytest.raises(SourceInvalid, match=r"header line .*till\.csv"):
        till(data)
