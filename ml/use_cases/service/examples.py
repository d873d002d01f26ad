"""Turns utterances, intents and pages into examples and the state that travels with the model."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

import pandas as pd

from ml.contract import Expressions, Features, JsonObject
from ml.language import vocabulary
from ml.use_cases.service import orders
from ml.use_cases.service.corpus import OUT_OF_SCOPE, intent_of
from ml.use_cases.service.knowledge import Page, pages_of
from ml.use_cases.service.params import ServiceFeatures
from ml.use_cases.service.split import SPLITS, assign_each

if TYPE_CHECKING:
    from pydantic import BaseModel

    from ml.use_cases.service.corpus import Intent

STATE_SCHEMA = "tradewind/service-state/1"


def build(tables: Expressions, params: BaseModel) -> Features:
    """Return examples, state, profile, and customers' own orders as histories.

    Raises:
        ValueError: There is no utterance.
        SourceInvalid: A page is not as described.
    """
    wanted = cast(ServiceFeatures, params)
    found: dict[str, pd.DataFrame] = {name: tables[name].execute() for name in ("utterances", "intents", "pages")}
    if found["utterances"].empty:
        raise ValueError("Expected utterances. Received none. Look at what the source delivered.")
    examples = _examples(found["utterances"])
    intents = intents_of(found["intents"])
    pages = pages_of(zip(found["pages"]["path"], found["pages"]["content"], strict=True), intents)
    splits = {name: examples[examples["split"] == name].drop(columns="split").reset_index(drop=True) for name in SPLITS}
    return Features(
        splits=splits,
        state={**fit_state(splits["train"], intents, pages, wanted), **orders.known(tables)},
        profile={"reference": profile(splits["train"])},
        histories=orders.histories(tables),
    )


def fit_state(
    train: pd.DataFrame, intents: list[Intent], pages: tuple[Page, ...], params: ServiceFeatures
) -> JsonObject:
    """Return intents, passages and what the model reads; of the utterances only words are kept."""
    known = {intent.name for intent in intents}
    passages = [
        {**asdict(passage), "title": page.title, "intents": list(page.intents)}
        for page in pages
        for passage in page.passages
    ]
    texts = [*train["text"], *(passage["text"] for passage in passages)]
    return {
        "schema": STATE_SCHEMA,
        "classes": [*sorted(set(train["intent"]) & known), OUT_OF_SCOPE],
        "intents": [_plain(intent) for intent in intents],
        "passages": passages,
        "longest": params.longest,
        "vocabulary": vocabulary.english(params.english_words),
        "han": vocabulary.han(params.chinese_words, texts),
    }


def intents_of(rows: pd.DataFrame) -> list[Intent]:
    """Return the rows of the table `intents` as what they say, by name."""
    texts = _texts(rows).sort_values("intent").to_dict("records")
    return [intent_of({str(name): str(value) for name, value in row.items()}) for row in texts]


def profile(examples: pd.DataFrame) -> pd.DataFrame:
    """Return what drift is looked for in: how long messages are, and in which language."""
    return pd.DataFrame(
        {"characters": examples["text"].str.len().astype("float64"), "language": examples["language"].astype("str")}
    )


def _examples(utterances: pd.DataFrame) -> pd.DataFrame:
    """Return the utterances by unit, each once; those that redaction made equal count once."""
    rows = _texts(utterances)[["language", "intent", "text", "split"]]
    rows = rows.drop_duplicates(["language", "text"]).sort_values(["language", "intent", "text"], ignore_index=True)
    if not rows["split"].any():
        rows["split"] = assign_each(rows["language"], rows["intent"], rows["text"])
    units = [
        hashlib.sha256(f"{language}|{text}".encode()).hexdigest()[:32]
        for language, text in zip(rows["language"], rows["text"], strict=True)
    ]
    return rows.assign(unit=units, time=pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]")).sort_values(
        "unit", ignore_index=True
    )


def _texts(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.astype(object).where(rows.notna(), "").astype("str")


def _plain(intent: Intent) -> JsonObject:
    return {
        "intent": intent.name,
        "title_en": intent.titles.get("en", ""),
        "title_zh": intent.titles.get("zh", ""),
        "description": intent.description,
        "slots": list(intent.slots),
        "tool": intent.tool,
        "page": intent.page,
    }
