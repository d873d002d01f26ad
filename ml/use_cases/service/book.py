"""What a version brings along for the assistant: matters, passages with an index to find them by, and products."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ml.contract import JsonObject
from ml.use_cases.service.corpus import Intent
from ml.use_cases.service.facts import Product, products_of
from ml.use_cases.service.language import LANGUAGES
from ml.use_cases.service.similarity import tokens

if TYPE_CHECKING:
    import bm25s

KEPT = 4  # states in memory: the served version, the next one, and those of tests
OWN_PAGE = 1.0  # what it counts that a passage's page is the matter's own; the best match of the words counts as much
MOST = 2  # passages that are quoted
CLOSE = 0.8  # share of the best passage's rank from which a second one is quoted
ENDING = re.compile(r"(?:ing|ed|es|s|e)$")
SHORT = 4  # letters of a word that keeps its ending
LEAST_COMMON = 2  # tokens a passage shares with a message that is about no page of its own

_in_memory: dict[int, tuple[JsonObject, Book]] = {}


@dataclass(frozen=True, kw_only=True)
class Quote:
    """A passage that may be quoted."""

    page: str
    title: str
    heading: str
    text: str
    intents: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """What it is found by."""
        return _words(f"{self.title} {self.heading} {self.text}")


@dataclass(frozen=True)
class Shelf:
    """The passages of one language."""

    quotes: Sequence[Quote]
    index: bm25s.BM25 | None

    def find(self, text: str, intent: str | None) -> list[Quote]:
        """Return the passages that answer best, best first, at most two; empty where none fits.

        BM25 (Robertson and Zaragoza 2009, https://doi.org/10.1561/1500000019) over the best passage's, plus `OWN_PAGE` where
        the page is the matter's own.
        """
        if self.index is None:
            return []
        words = _words(text)
        scores = self.index.get_scores(words) if set(words) & set(self.index.vocab_dict) else [0.0] * len(self.quotes)
        top = max(scores) or 1.0
        ranks = {
            at: float(score) / top + OWN_PAGE * (intent in self.quotes[at].intents) for at, score in enumerate(scores)
        }
        order = sorted(ranks, key=lambda at: -ranks[at])[:MOST]
        close = [self.quotes[at] for at in order if ranks[at] >= CLOSE * ranks[order[0]]]
        return [quote for quote in close if self._fits(quote, words, intent)]

    @staticmethod
    def _fits(quote: Quote, words: Sequence[str], intent: str | None) -> bool:
        return intent in quote.intents or len(set(words) & set(quote.words)) >= LEAST_COMMON


@dataclass(frozen=True, kw_only=True)
class Book:
    """A fitted state, ready for use."""

    intents: Mapping[str, Intent]
    shelves: Mapping[str, Shelf]
    products: tuple[Product, ...] = field(repr=False)

    @cached_property
    def product_ids(self) -> frozenset[str]:
        """Return the products' identifiers."""
        return frozenset(product.product_id for product in self.products)

    def title(self, intent: str, language: str) -> str:
        """Return what people call a matter."""
        known = self.intents.get(intent)
        return intent if known is None else known.titles.get(language) or next(iter(known.titles.values()))

    def acting(self, tool: str) -> str | None:
        """Return the matter that a tool deals with; none if no matter names it."""
        return next((intent.name for intent in self.intents.values() if intent.tool == tool), None)


def book_of(state: JsonObject) -> Book:
    """Return the book of a fitted state; built once for each state in memory."""
    found = _in_memory.get(id(state))
    if found is not None:  # the entry keeps the state alive, so its id is not another's
        return found[1]
    built = Book(
        intents={one["intent"]: _intent(one) for one in state["intents"]},
        shelves={language: _shelf(state["passages"], language) for language in LANGUAGES},
        products=products_of(state),
    )
    while len(_in_memory) >= KEPT:
        _in_memory.pop(next(iter(_in_memory)), None)
    _in_memory[id(state)] = (state, built)
    return built


def _intent(told: Mapping[str, Any]) -> Intent:
    return Intent(
        name=told["intent"],
        titles={language: told[f"title_{language}"] for language in LANGUAGES if told.get(f"title_{language}")},
        description=told.get("description", ""),
        slots=tuple(told["slots"]),
        tool=told["tool"] or None,
        page=told["page"] or None,
    )


def _shelf(passages: Sequence[Mapping[str, Any]], language: str) -> Shelf:
    quotes = [
        Quote(
            page=one["page"],
            title=one["title"],
            heading=one["heading"],
            text=one["text"],
            intents=tuple(one["intents"]),
        )
        for one in passages
        if one["language"] == language
    ]
    return Shelf(quotes, _index(quotes) if quotes else None)


def content_words(text: str) -> frozenset[str]:
    """Return the words that carry meaning, each once and without its usual endings; numbers are none."""
    from bm25s.stopwords import STOPWORDS_EN_PLUS

    words = (token for token in tokens(text) if token not in STOPWORDS_EN_PLUS and not token.isdecimal())
    return frozenset(ENDING.sub("", word) if len(word) > SHORT else word for word in words)


def _words(text: str) -> list[str]:
    """Return the tokens that carry meaning."""
    from bm25s.stopwords import STOPWORDS_EN

    return [token for token in tokens(text) if token not in STOPWORDS_EN]


def _index(quotes: Sequence[Quote]) -> bm25s.BM25:
    import bm25s

    index = bm25s.BM25()
    index.index([quote.words for quote in quotes], show_progress=False)
    return index
