"""Utterances, intents and pages pass their rules; what nobody should learn from is set aside by the rule that says why."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from ml.config import Settings
from ml.sources.opening import open_source
from ml.use_cases.service.sample import sample
from ml.use_cases.service.table import INTENTS, ORDERS, PAGES, UTTERANCES
from tests.judged_tables import judge_tables

TABLES = (UTTERANCES, INTENTS, PAGES, *ORDERS)


@pytest.fixture(scope="module")
def generated():
    return sample(np.random.default_rng(5), 20)


@pytest.fixture
def tables(generated):
    return {name: rows.copy() for name, rows in generated.items()}


@pytest.fixture
def judge(tmp_path):
    """Judge tables; return the outcomes by table and the names of the failed rules with their failing rows."""
    return lambda tables: judge_tables(tmp_path, "service", TABLES, tables, date(2026, 6, 30))


def test_the_sample_passes_whole(judge, tables):
    assert judge(tables)[1] == {}


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("utterances.split_known", {"split": "later"}),
        ("utterances.text_of_a_message", {"text": "why " * 200, "language": "en"}),
        ("utterances.text_in_its_language", {"text": "我的订单", "language": "en"}),
        ("utterances.intent_listed", {"intent": "small_talk", "split": "train"}),
        ("utterances.split_in_all_rows_or_none", {"split": None}),
    ],
)
def test_a_wrong_utterance_is_named_by_its_rule(judge, tables, rule, fault):
    rows = tables["utterances"]
    at = rows.index[(rows["language"] == "en") & (rows["split"] == "train")][0]
    for column, value in fault.items():
        rows.loc[at, column] = value
    assert judge(tables)[1][rule] == 1


def test_a_held_out_copy_of_a_training_utterance_is_set_aside(judge, tables):
    rows = tables["utterances"]
    source = rows[(rows["language"] == "en") & (rows["split"] == "train") & (rows["text"].str.len() > 30)].iloc[0]
    at = rows.index[(rows["language"] == "en") & (rows["split"] == "test")][0]
    rows.loc[at, ["text", "intent"]] = [f"{source['text']} please", source["intent"]]
    assert judge(tables)[1] == {"utterances.held_out_unseen": 1}


def test_a_page_that_is_missing_refuses_all(judge, tables):
    tables["pages"] = tables["pages"].iloc[1:].reset_index(drop=True)
    assert judge(tables)[1] == {"pages.as_described": len(tables["pages"])}


def test_markdown_files_are_rows_of_a_table(tmp_path):
    (tmp_path / "pages" / "en").mkdir(parents=True)
    (tmp_path / "pages" / "en" / "opening.md").write_text("---\nid: opening\n---\n\n## Über uns\n", encoding="utf-8")
    source = open_source({"kind": "files", "location": str(tmp_path)}, Settings())
    (rows,) = source.read(PAGES, date(2026, 6, 30))
    assert rows.to_pylist() == [{"path": "en/opening.md", "content": "---\nid: opening\n---\n\n## Über uns"}]
