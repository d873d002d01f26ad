"""What intent recognition needs of utterances, intents and pages, beyond what the contract already says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from great_expectations import expectations as gxe

from data_checks.check import Check, Mask
from ml.errors import SourceInvalid
from ml.files import read_table
from ml.use_cases.service.corpus import MAX_CHARACTERS, MIN_UTTERANCES, OUT_OF_SCOPE
from ml.use_cases.service.examples import intents_of
from ml.use_cases.service.knowledge import pages_of
from ml.use_cases.service.language import LANGUAGES, fits
from ml.use_cases.service.similarity import near_pairs
from ml.use_cases.service.split import NEAR, SPLITS

OWNER = "customer service"
Judging = Callable[[pd.DataFrame], Mask]


def _in_another_script(utterances: pd.DataFrame) -> Mask:
    pairs = zip(utterances["text"], utterances["language"], strict=True)
    return np.array([not fits(str(text), str(language)) for text, language in pairs], dtype=bool)


def _unknown_intent(folder: Path) -> Judging:
    known = {*read_table(folder / "intents")["intent"], OUT_OF_SCOPE}
    return lambda utterances: ~utterances["intent"].isin(known).to_numpy(dtype=bool)


def _too_few(folder: Path) -> Judging:
    counts = read_table(folder / "utterances").groupby(["language", "intent"])["text"].nunique()
    rare = set(counts[counts < MIN_UTTERANCES].index)

    def judge(utterances: pd.DataFrame) -> Mask:
        pairs = zip(utterances["language"], utterances["intent"], strict=True)
        return np.array([pair in rare for pair in pairs], dtype=bool)

    return judge


def _leaking(utterances: pd.DataFrame) -> Mask:
    """Find the held-out utterances that a near-duplicate in another split betrays; the table is one partition."""
    rows = utterances.dropna(subset=["split"]).drop_duplicates(["language", "text"])
    leaks: set[tuple[str, str]] = set()
    for language, own in rows.groupby("language"):
        texts, splits = own["text"].tolist(), own["split"].tolist()
        for low, high in near_pairs(texts, NEAR):
            if splits[low] != splits[high]:
                leaks |= {(str(language), texts[at]) for at in (low, high) if splits[at] != "train"}
    pairs = zip(utterances["language"], utterances["text"], strict=True)
    return np.array([pair in leaks for pair in pairs], dtype=bool)


def _partly_split(folder: Path) -> Judging:
    is_split = bool(read_table(folder / "utterances")["split"].notna().any())
    return lambda utterances: utterances["split"].isna().to_numpy(dtype=bool) & is_split


def _pages_as_described(folder: Path) -> Judging:
    pages = read_table(folder / "pages")
    intents = intents_of(read_table(folder / "intents"))
    try:
        pages_of(zip(pages["path"], pages["content"], strict=True), intents)
        wrong = False
    except SourceInvalid:
        wrong = True
    return lambda frame: np.full(len(frame), wrong)


CHECKS: tuple[Check, ...] = (
    Check(
        name="utterances.language_known",
        table="utterances",
        severity="quarantine",
        owner=OWNER,
        reason=f"the language is none of {', '.join(LANGUAGES)}",
        since=date(2026, 11, 25),
        expectation=gxe.ExpectColumnValuesToBeInSet(column="language", value_set=list(LANGUAGES)),
    ),
    Check(
        name="utterances.split_known",
        table="utterances",
        severity="quarantine",
        owner=OWNER,
        reason=f"the split is none of {', '.join(SPLITS)}",
        since=date(2026, 11, 25),
        expectation=gxe.ExpectColumnValuesToBeInSet(column="split", value_set=list(SPLITS)),
    ),
    Check(
        name="utterances.text_of_a_message",
        table="utterances",
        severity="quarantine",
        owner=OWNER,
        reason=f"the text is empty or longer than {MAX_CHARACTERS} characters",
        since=date(2026, 11, 25),
        expectation=gxe.ExpectColumnValueLengthsToBeBetween(column="text", min_value=1, max_value=MAX_CHARACTERS),
        opens=("text",),
    ),
    Check(
        name="utterances.text_in_its_language",
        table="utterances",
        severity="quarantine",
        owner=OWNER,
        reason="the text is not in the script of its language",
        since=date(2026, 11, 25),
        rows=_in_another_script,
        opens=("text",),
    ),
    Check(
        name="utterances.intent_listed",
        table="utterances",
        severity="quarantine",
        owner=OWNER,
        reason="the intent is not in the table of intents",
        since=date(2026, 11, 25),
        whole=_unknown_intent,
    ),
    Check(
        name="utterances.enough_of_each_intent",
        table="utterances",
        severity="block",
        owner=OWNER,
        reason=f"an intent has fewer than {MIN_UTTERANCES} utterances in a language",
        since=date(2026, 11, 25),
        whole=_too_few,
    ),
    Check(
        name="utterances.held_out_unseen",
        table="utterances",
        severity="quarantine",
        owner=OWNER,
        reason="a near-duplicate of the utterance lies in another split",
        since=date(2026, 11, 25),
        rows=_leaking,
        opens=("text",),
    ),
    Check(
        name="utterances.split_in_all_rows_or_none",
        table="utterances",
        severity="block",
        owner=OWNER,
        reason="some rows have a split and this one has none",
        since=date(2026, 11, 25),
        whole=_partly_split,
    ),
    Check(
        name="pages.as_described",
        table="pages",
        severity="block",
        owner=OWNER,
        reason="a page is not as docs/service-corpus.md describes it, is missing, or does not fit the intents",
        since=date(2026, 11, 25),
        whole=_pages_as_described,
    ),
)
