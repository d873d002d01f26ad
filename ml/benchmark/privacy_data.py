"""Reads presidio-research's synthetic sentences and tells training from test sentences, by the sentence's template."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ml.errors import SourceInvalid

TEST_PERCENT = 40  # of templates; fixed before anything was learned or chosen
Labelled: TypeAlias = "tuple[int, int, str]"
"""Start, end (exclusive), type."""
TYPES = {
    "PERSON": "NAME",
    "STREET_ADDRESS": "ADDRESS",
    "GPE": "ADDRESS",
    "ZIP_CODE": "ADDRESS",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "ID",
    "US_DRIVER_LICENSE": "ID",
    "IP_ADDRESS": "IP",
    "DOMAIN_NAME": "URL",
    "ORGANIZATION": "ORGANISATION",
    "DATE_TIME": "DATE",
    "TITLE": "TITLE",
    "AGE": "AGE",
    "NRP": "NATIONALITY",
}
"""The data's types as ours; upstream also counts places and street addresses as one (LOCATION)."""


@dataclass(frozen=True)
class Sentence:
    """One labelled sentence."""

    text: str
    template: str
    """With `{{TYPE}}` for each value."""
    spans: tuple[Labelled, ...]

    @property
    def key(self) -> str:
        """What templates that differ in layout alone have in common: their words, a type said twice said once."""
        words = re.findall(r"\w+", self.template.lower())
        return " ".join(word for word, before in zip(words, ["", *words[:-1]], strict=True) if word != before)


@dataclass(frozen=True)
class Sentences:
    """Both parts; no template is in both."""

    train: Sequence[Sentence]
    test: Sequence[Sentence]


def load(path: Path) -> Sentences:
    """Return the sentences of a file like `synth_dataset_v2.json.gz`.

    Raises:
        SourceInvalid: A field is missing.
    """
    with gzip.open(path, "rt", encoding="utf-8") as opened:
        rows = json.load(opened)
    try:
        found = [_sentence(row) for row in rows]
    except KeyError as error:
        raise SourceInvalid(
            "sentences with full_text, masked and spans of known types", f"none of {error}", f"Correct {path}."
        ) from error
    return Sentences(
        train=[one for one in found if not is_test(one)],
        test=[one for one in found if is_test(one)],
    )


def is_test(sentence: Sentence) -> bool:
    """Tell the part, by a hash of the template: it stays when sentences are added."""
    return int(hashlib.sha256(sentence.key.encode()).hexdigest(), 16) % 100 < TEST_PERCENT


def _sentence(row: dict[str, object]) -> Sentence:
    spans = [(one["start_position"], one["end_position"], TYPES[one["entity_type"]]) for one in row["spans"]]  # type: ignore[attr-defined]  # a row of JSON
    return Sentence(str(row["full_text"]), str(row["masked"]), tuple(sorted(spans)))
