"""No personal value survives the anonymise stage in any file, report, log line or error; its output is reproducible."""

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from ml.config import Settings
from ml.contract import Column, Table
from ml.errors import ConfigInvalid
from ml.files import read_json, read_table, write_parquet
from ml.parameter import AnonymiseParams
from ml.pipeline import anonymise
from ml.pipeline.context import StageContext
from ml.privacy.identifier import count_identifiers, is_card
from ml.privacy.k_anonymity import ANY
from ml.privacy.pseudonym import fingerprint, pseudonym
from ml.shop import CUSTOMERS, PRODUCTS, PURCHASES
from tests.accessible import faults
from tests.toy_use_case import TOY, ToyParams

KEY = bytes(range(32))
N_CUSTOMERS, N_PURCHASES = 60, 500
CUSTOMER_IDS = [f"household-{i}" for i in range(N_CUSTOMERS)]
GENERALISED = [column.name for column in CUSTOMERS.columns if column.treatment == "generalise"]


def raw_tables() -> dict[str, dict[str, pd.DataFrame]]:
    """Return the tables by file, as validate leaves them."""
    rng = np.random.default_rng(7)
    purchases = pd.DataFrame(
        {
            "customer_id": rng.choice(CUSTOMER_IDS, N_PURCHASES),
            "basket_id": [f"till-{i // 3}" for i in range(N_PURCHASES)],
            "product_id": rng.choice(["100", "200"], N_PURCHASES),
            "store_id": "7",
            "quantity": 1,
            "amount": 2.5,
            "discount": 0.0,
            "purchased_at": pd.date_range("2026-01-20", periods=N_PURCHASES, freq="h"),
        }
    )
    attributes = {
        column.name: rng.choice(list(column.order) or ["Homeowner"], N_CUSTOMERS)
        for column in CUSTOMERS.columns
        if column.name != "customer_id"
    }
    return {
        "purchases": dict(list(purchases.groupby(purchases["purchased_at"].dt.strftime("%Y-%m")))),
        "products": {"all": pd.DataFrame({column.name: ["100", "200"] for column in PRODUCTS.columns})},
        "customers": {"all": pd.DataFrame({"customer_id": CUSTOMER_IDS, **attributes})},
    }


@pytest.fixture
def context(tmp_path) -> StageContext:
    made = StageContext(
        use_case=replace(TOY, data=replace(TOY.data, tables=(PURCHASES, PRODUCTS, CUSTOMERS))),
        params=ToyParams(anonymise=AnonymiseParams(k=5)),
        inputs={"pseudonym_key": fingerprint(KEY)},
        settings=Settings(pseudonym_key=KEY.hex()),
        root=tmp_path,
    )
    for name, files in raw_tables().items():
        for file, rows in files.items():
            write_parquet(made.data("validate") / "tables" / name / f"{file}.parquet", rows)
    return made


def outputs(context) -> dict[str, bytes]:
    folders = (context.data("anonymise"), context.reports("anonymise"))
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(context.root)): path.read_bytes() for path in files}


def tables(context) -> dict[str, pd.DataFrame]:
    top = context.data("anonymise") / "tables"
    return {table.name: read_table(top / table.name) for table in context.use_case.data.tables}


def test_no_identifier_survives_in_any_output_or_log_line(context, caplog):
    caplog.set_level("DEBUG")
    anonymise.run(context)
    decoded = {name: rows.to_csv() for name, rows in tables(context).items()}
    texts = {**decoded, **{name: data.decode("latin-1") for name, data in outputs(context).items()}, "log": caplog.text}
    assert len(texts) == 3 + 7 + 1
    assert not [(name, sign) for name, text in texts.items() for sign in ("household-", "till-") if sign in text]
    assert KEY.hex() not in "".join(texts.values())


def test_dropped_columns_are_gone_and_the_others_are_there(context):
    anonymise.run(context)
    assert {name: list(rows.columns) for name, rows in tables(context).items()} == {
        table.name: [column.name for column in table.columns if column.treatment != "drop"]
        for table in (PURCHASES, PRODUCTS, CUSTOMERS)
    }


def test_pseudonyms_join_the_tables(context):
    anonymise.run(context)
    done = tables(context)
    assert set(done["customers"]["customer_id"]) == {pseudonym(KEY, "customer_id", name) for name in CUSTOMER_IDS}
    assert set(done["purchases"]["customer_id"]) <= set(done["customers"]["customer_id"])
    spent = done["purchases"].groupby("customer_id")["amount"].sum()
    before = pd.concat(raw_tables()["purchases"].values()).groupby("customer_id")["amount"].sum()
    assert {pseudonym(KEY, "customer_id", name): total for name, total in before.items()} == spent.to_dict()


def test_groups_of_customers_reach_k(context):
    anonymise.run(context)
    customers = tables(context)["customers"]
    facts = read_json(context.data("anonymise") / "privacy.json")["tables"]["customers"]["generalised"]
    is_suppressed = (customers[GENERALISED] == ANY).all(axis=1)
    groups = customers[~is_suppressed].groupby(GENERALISED).size()
    assert groups.min() >= 5
    assert facts["k"] == groups.min()
    assert facts["groups"] == len(groups)
    assert facts["suppressed"] == is_suppressed.sum()


def test_the_output_is_the_same_bytes_again(context):
    anonymise.run(context)
    first = outputs(context)
    anonymise.run(context)
    assert outputs(context) == first


def test_row_order_of_the_input_does_not_show(context):
    anonymise.run(context)
    first = outputs(context)
    for path in (context.data("validate") / "tables").rglob("*.parquet"):
        write_parquet(path, pd.read_parquet(path).sample(frac=1, random_state=1))
    anonymise.run(context)
    assert outputs(context) == first
    assert tables(context)["customers"]["customer_id"].is_monotonic_increasing


def test_an_optional_table_without_rows_stays_empty_with_its_columns(context):
    empty = raw_tables()["customers"]["all"].head(0)
    write_parquet(context.data("validate") / "tables" / "customers" / "all.parquet", empty)
    anonymise.run(context)
    assert len(tables(context)["customers"]) == 0
    assert list(tables(context)["customers"].columns) == ["customer_id", *GENERALISED]


def test_a_missing_key_is_refused(context):
    with pytest.raises(ConfigInvalid, match="TRADEWIND_PSEUDONYM_KEY"):
        anonymise.run(replace(context, settings=Settings(pseudonym_key=None)))


def test_another_key_than_the_frozen_one_is_refused_before_anything_is_written(context):
    with pytest.raises(ConfigInvalid, match="fingerprint") as refusal:
        anonymise.run(replace(context, settings=Settings(pseudonym_key="ab" * 32)))
    assert "ab" * 32 not in str(refusal.value)
    assert not outputs(context)


def test_identifiers_in_text_that_is_kept_are_counted_and_warned_of(context, caplog):
    notes = Table(name="notes", columns=(Column(name="text", type="string"),))
    texts = ["write to jo@example.org", "milk 2 %", "card 4111 1111 1111 1111"]
    write_parquet(context.data("validate") / "tables" / "notes" / "all.parquet", pd.DataFrame({"text": texts}))
    record = replace(context.use_case, data=replace(context.use_case.data, tables=(notes,)))
    anonymise.run(replace(context, use_case=record))
    facts = read_json(context.data("anonymise") / "privacy.json")["tables"]["notes"]
    assert facts["found"] == {"text": {"e-mail": 1, "card": 1}}
    warnings = [line.getMessage() for line in caplog.records if line.levelname == "WARNING"]
    assert len(warnings) == 2
    assert not any("example.org" in line for line in warnings)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("call 0171 2345678", {"phone": 1}),
        ("+49 (171) 2345-678", {"phone": 1}),
        ("a.b+c@shop.example", {"e-mail": 1}),
        ("4111-1111-1111-1111", {"card": 1}),
        ("4111111111111111", {"card": 1}),
        ("4111 1111 1111 1112", {"phone": 1}),
        ("delivered 2026-01-31 12:30", {}),
        ("123456789012", {}),
        ("milk 2 %", {}),
        (None, {}),
    ],
)
def test_what_counts_as_an_identifier(text, kinds):
    assert count_identifiers(pd.Series([text], dtype="str")) == kinds


def test_cards_pass_the_luhn_check_and_others_do_not():
    assert is_card("4111 1111 1111 1111")
    assert not is_card("4111 1111 1111 1112")


def test_the_report_needs_nothing_from_outside_and_escapes_what_it_shows(context):
    class Links(HTMLParser):
        found = ()

        def handle_starttag(self, tag, attrs):
            self.found += tuple(value for name, value in attrs if name in ("src", "href"))

    record = replace(context.use_case, title="<b>aisle</b>")
    anonymise.run(replace(context, use_case=record))
    page = (context.reports("anonymise") / "privacy.html").read_text()
    reader = Links()
    reader.feed(page)
    assert reader.found == ()
    assert "<b>aisle" not in page
    assert "shared by at least" in page


def test_free_text_keeps_no_personal_data_and_the_report_counts_it_by_type(context, caplog):
    caplog.set_level("DEBUG")
    planted = ["Anna Kowalska", "anna.k@example.com", "4111 1111 1111 1111", "王小明", "13812345678"]
    texts = [
        f"My name is {planted[0]}, write to {planted[1]}",
        f"I paid with {planted[2]}",
        f"我叫{planted[3]}，手机{planted[4]}",
        "Where is order 1234567?",
        None,
    ]
    notes = Table(name="notes", columns=(Column(name="text", type="string", nullable=True, treatment="redact"),))
    write_parquet(context.data("validate") / "tables" / "notes" / "all.parquet", pd.DataFrame({"text": texts}))
    record = replace(context.use_case, data=replace(context.use_case.data, tables=(notes,)))
    anonymise.run(replace(context, use_case=record))
    left = read_table(context.data("anonymise") / "tables" / "notes")["text"]
    assert set(left.dropna()) == {
        "My name is [NAME], write to [EMAIL]",
        "I paid with [CARD]",
        "我叫[NAME]，手机[PHONE]",
        "Where is order 1234567?",
    }
    facts = read_json(context.data("anonymise") / "privacy.json")["tables"]["notes"]
    assert facts["redacted"] == {"text": {"NAME": 2, "EMAIL": 1, "CARD": 1, "PHONE": 1}}
    page = (context.reports("anonymise") / "privacy.html").read_text()
    assert "2 [NAME]" in page
    everywhere = "".join(
        [*(data.decode("latin-1") for data in outputs(context).values()), left.to_csv(), page, caplog.text]
    )
    assert not [value for value in planted if value in everywhere]


def test_the_report_can_be_used_by_keyboard_with_a_screen_reader_and_on_a_phone(context, chromium):
    anonymise.run(context)
    tab = chromium.new_page()
    tab.set_content((context.reports("anonymise") / "privacy.html").read_text())
    assert faults(tab) == []
