"""A small shop's utterances: some intents of the shipped corpus, with the pages that answer them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml.use_cases.service.corpus import INTENT_COLUMNS, OUT_OF_SCOPE, SHIPPED, UTTERANCE_COLUMNS
from ml.use_cases.service.csv_rows import read_rows
from ml.use_cases.service.knowledge import SHIPPED as PAGES
from ml.use_cases.service.language import LANGUAGES

INTENTS = ("cancel_order", "gift_card", "invoice_request", "store_hours", "warranty")
"""Their pages answer no other intent."""


def sample(rng: np.random.Generator, n_customers: int) -> dict[str, pd.DataFrame]:  # noqa: ARG001 (rows are not made up)
    """Return `utterances` of a few intents and out of scope, those `intents`, and their `pages`, in a drawn order."""
    utterances = _rows("utterances.csv", UTTERANCE_COLUMNS)
    utterances = utterances[utterances["intent"].isin([*INTENTS, OUT_OF_SCOPE])]
    intents = _rows("intents.csv", INTENT_COLUMNS)
    intents = intents[intents["intent"].isin(INTENTS)]
    pages = [
        (f"{language}/{page}.md", (PAGES / language / f"{page}.md").read_text(encoding="utf-8"))
        for language in LANGUAGES
        for page in intents["page"]
    ]
    return {
        "utterances": utterances.iloc[rng.permutation(len(utterances))].reset_index(drop=True),
        "intents": intents.reset_index(drop=True),
        "pages": pd.DataFrame(sorted(pages), columns=["path", "content"]),
    }


def _rows(name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame([row for _, row in read_rows(SHIPPED / name, columns)]).replace("", None)
