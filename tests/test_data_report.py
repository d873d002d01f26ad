"""The data report: worst first, paged, small and quick with thousands of rules, whole in Chinese, without a script."""

from __future__ import annotations

import time

import pytest

from ml.desk.data_report import page_of_report
from ml.desk.language import LANGUAGES, choose
from ml.desk.view import environment
from ml.errors import ModelNotFound
from tests.told_report import BROKEN, report, rule


def rendered(page, code="en"):
    language, trend = choose(code, ""), [{"accepted": False, **page.report["trend"][-1]}]
    values = {
        **{"base": "", "name": "shop", "run": "run", "languages": LANGUAGES, "here": lambda **changed: "?"},
        **{"language": language, "say": language.say, "told": language.told},
        **{"trend": trend, "trend_picture": "", "airflow": None},
    }
    return environment().get_template("data_report.html.j2").render(page=page, **values)


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


def test_all_columns_are_shown_where_they_are_asked_for():
    columns = [
        {"table": "sales", "column": f"c{n:02d}", "kind": "number", "state": "steady", "effect": 0.01, "limit": 0.1}
        | {"missing": [0, 0], "middle": [1.0, 2.0], "picture": "<svg></svg>" if n < 5 else None}
        for n in range(30)
    ]
    whole = {**report(BROKEN), "columns": columns}
    few, every = (rendered(page_of_report(whole, None, are_all_columns=asked)) for asked in (False, True))
    assert ("sales.c11" in few, "sales.c12" in few, "All 30 columns" in few) == (True, False, True)
    assert (every.count("<figure"), "sales.c29" in every) == (5, True)
