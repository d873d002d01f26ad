"""The data report: worst first, paged, small and quick with thousands of rules, whole in Chinese, without a script."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from data_checks.message import Message, told
from data_checks.runner import checks_of
from data_checks.standing import STANDING
from ml.desk import data_report
from ml.desk.data_report import page_of_report
from ml.desk.language import LANGUAGES, choose
from ml.desk.view import environment
from ml.errors import ModelNotFound
from ml.use_cases import NAMES

TEMPLATE = (Path(data_report.__file__).parent / "templates" / "data_report.html.j2").read_text()
SCRIPT = "<script>alert(1)</script>"


def rule(number, **changes):
    share = changes.get("share", 0.0)
    return {
        "name": f"sales.rule_{number:04d}",
        "table": "sales",
        "severity": "warn",
        "passed": True,
        "message": Message(
            "All {rows:,} {table} satisfy {rule}.", {"rows": 9, "table": "sales", "rule": SCRIPT}
        ).record(),
        "owner": "finance",
        "reason": told("products without a brand").record(),
        "since": "2026-11-24",
        "basis": "constant",
        "weight": share,
        "failing": int(1000 * share),
        "evaluated": 1000,
        "share": share,
        "before": share,
        "examples": [{"partition": "2026-11", "row": 7, "values": {"price": "3.5"}}] if share else [],
        **changes,
    }


def report(rules):
    return {
        "schema": data_report.SCHEMA,
        "accepted": False,
        "as_of": "2026-11-25",
        "compared": {"run": "before", "as_of": "2026-11-24"},
        "tables": [{"name": "sales", "received": 1000, "passed": 900, "newest_day": "2026-11-25", "before": None}],
        "rules": rules,
        "columns": [],
        "trend": [{"run": None, "as_of": "2026-11-25", "rows": 1000, "quarantined": 100}],
        "trend_picture": None,
    }


BROKEN = [
    rule(1, passed=False, share=0.01, before=0.01),
    rule(2, passed=False, share=0.9, severity="block", before=0.0),
    rule(3, passed=False, share=0.05, severity="quarantine", before=0.2),
    rule(4, passed=False, share=0.06, severity="quarantine", before=0.06),
]


def rendered(page, code="en"):
    values = {
        "base": "",
        "name": "shop",
        "run": "run",
        "languages": LANGUAGES,
        "link": lambda **kept: "?",
        "airflow": None,
    }
    return environment().get_template("data_report.html.j2").render(page=page, language=choose(code, ""), **values)


def test_the_worst_come_first_and_what_changed_is_told():
    page = page_of_report(report([rule(0), *BROKEN]), None)
    assert [one["name"][-1] for one in page.important] == ["2", "4", "3"]
    assert [one["name"][-1] for one in page.rules] == ["2", "4", "3", "1", "0"]
    assert {(change, one["name"][-1]) for change, one in page.changed} == {("new", "2"), ("better", "3")}
    assert page.counts == {"block": 1, "quarantine": 2, "warn": 1, "all": 5}


def test_another_unit_and_the_drift_it_makes_are_one_finding():
    unit = rule(5, name="sales.price_unit", passed=False, severity="block")
    page = page_of_report(report([unit, rule(6, name="sales.price_steady", passed=False), rule(7)]), None)
    assert [one["name"] for one in page.important] == ["sales.price_unit"]


def test_three_thousand_rules_stay_below_two_megabytes_and_two_seconds():
    whole = report([*BROKEN, *(rule(number, share=0.001, passed=False) for number in range(10, 3006))])
    for number in (1, 60):
        started = time.process_time()
        html = rendered(page_of_report(whole, None, number=number))
        assert time.process_time() - started < 2
        assert len(html.encode()) < 2_000_000
        assert html.count('<li><span class="state') <= 53
    with pytest.raises(ModelNotFound):
        page_of_report(whole, None, number=61)


def test_nothing_a_report_quotes_becomes_a_script():
    html = rendered(page_of_report(report([rule(1)]), None))
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_a_page_speaks_the_language_that_is_asked_for_else_the_readers():
    page = page_of_report(report(BROKEN), None)
    assert '<html lang="zh">' in rendered(page, "zh")
    assert "2026年11月25日" in rendered(page, "zh")
    assert "数据报告" in rendered(page, "zh")
    assert [choose(None, header).code for header in ("zh-CN,zh;q=0.9,en;q=0.8", "de, en", "", "fr")] == [
        "zh",
        "en",
        "en",
        "en",
    ]
    assert choose("en", "zh").code == "en"


def test_every_sentence_of_the_page_and_every_rule_is_told_in_chinese():
    words = choose("zh", "").words
    asked = {text for pair in re.findall(r"say\((?:\"([^\"]+)\"|'([^']+)')", TEMPLATE) for text in pair if text}
    checks = [check for name in NAMES for check in checks_of(name)]
    reasons = {told(check.reason).template for check in checks} | {rule.reason for rule in STANDING}
    owners = {check.owner for check in checks} | {rule.owner for rule in STANDING}
    assert {text for text in asked | reasons | owners if text not in words} == set()
    places = re.compile(r"{[^}]*}")
    assert {text for text, own in words.items() if sorted(places.findall(text)) != sorted(places.findall(own))} == set()
