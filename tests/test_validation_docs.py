"""The Data Docs open offline, tell what failed, and show nobody's values."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from ml.files import read_json
from ml.pipeline import ingest, validate
from tests.sample_shop import frozen_context, land, sample_tables

SECRET_CUSTOMER = "customer-who-must-not-be-seen"
SECRET_BASKET = "basket-4711"


@pytest.fixture(scope="module")
def judged(tmp_path_factory, object_store):
    import numpy as np

    root = tmp_path_factory.mktemp("shop")
    tables = sample_tables(np.random.default_rng(1))
    tables["purchases"].loc[[2, 3], "customer_id"] = SECRET_CUSTOMER
    tables["purchases"].loc[[2, 3], "basket_id"] = SECRET_BASKET
    tables["purchases"].loc[[2, 3], "product_id"] = "secret-product"
    tables["purchases"].loc[[2, 3], "quantity"] = 54321
    tables["customers"].loc[0, "age_group"] = "ninety-nine"
    land(root / "zone", tables)
    context = frozen_context(
        root / "run", {"kind": "files", "location": str(root / "zone")}, object_store.settings("ingest")
    )
    ingest.run(context)
    validate.run(context)
    return context


def pages(context):
    return {file.name: file.read_text() for file in context.reports("validate").rglob("*.html")}


class Links(HTMLParser):
    """Collects what a page loads and where it leads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href" and tag == "a":
                self.leads.append(value or "")
            elif name in ("src", "href", "srcset", "data", "action") and value != "data:,":
                self.loads.append(value or "")


def test_no_page_loads_anything(judged):
    for name, text in pages(judged).items():
        assert Links(text).loads == [], name
        assert "<script" not in text, name
        assert not re.search(r"(https?:)?//[a-z]|url\(|@import", text), name


def test_every_link_leads_to_a_page_of_the_site(judged):
    folder = judged.reports("validate") / "docs"
    seen = 0
    for file in folder.rglob("*.html"):
        for link in Links(file.read_text()).leads:
            target = file if link.startswith("#") else (file.parent / link.split("#")[0])
            assert target.resolve().is_file(), (file, link)
            seen += 1
    assert seen > 10


def test_there_is_a_page_for_each_table_and_month(judged):
    names = {
        file.relative_to(judged.reports("validate") / "docs").as_posix()
        for file in (judged.reports("validate") / "docs").rglob("*.html")
    }
    assert {"index.html", "expectations/purchases.html"} <= names
    assert {name.rsplit("/", 1)[1] for name in names if "validations/purchases/" in name} == {
        "2026-10.html",
        "2026-11.html",
    }


def test_the_index_tells_what_failed_and_whom_to_ask(judged):
    index = pages(judged)["index.html"]
    assert "<h1>Accepted</h1>" in index
    assert "unit is not pieces" in index
    assert "please ask: merchandising" in index


def test_a_failing_count_is_shown_and_an_identifier_is_not(judged):
    text = " ".join(pages(judged).values())
    assert "54321" in text
    for secret in (SECRET_CUSTOMER, SECRET_BASKET, "secret-product", "ninety-nine", "customer-00"):
        assert secret not in text


def test_no_raw_value_is_in_the_verdict_the_profile_or_the_results(judged):
    files = [judged.data("validate") / "verdict.json", judged.data("validate") / "profile.json"]
    for file in [*files, judged.reports("validate") / "report.json"]:
        for secret in (SECRET_CUSTOMER, SECRET_BASKET, "secret-product", "ninety-nine", "customer-00"):
            assert secret not in file.read_text()


def test_the_results_count_every_check(judged):
    rules = read_json(judged.reports("validate") / "report.json")["rules"]
    failing = {rule["name"]: rule["failing"] for rule in rules if not rule["passed"] and rule["table"] == "purchases"}
    assert failing == {
        "purchases.quantity_in_pieces": 2,
        "purchases.product_id_in_products": 2,
        "purchases.key_unique": 1,
    }
