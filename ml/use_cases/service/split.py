"""Which utterances train, which choose, which test: by their text alone, never by the order of rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from ml.use_cases.service.similarity import near_pairs, tokens

SPLITS = ("train", "valid", "test")
HELD_OUT = 0.2
"""Share of an intent's utterances in `valid`, and again in `test`."""
NEAR = 0.6
"""From this overlap on two utterances are near-duplicates: they may not lie in different splits."""


def assign(utterances: Sequence[tuple[str, str]]) -> list[str]:
    """Return the split of each (intent, text) of one language.

    What has a near-duplicate trains. Of the others a fifth of each intent tests and a fifth validates, chosen by a
    digest of the text: a new utterance moves few of the others, and a new intent none but its near-duplicates.
    """
    paired = {at for pair in near_pairs([text for _, text in utterances], NEAR) for at in pair}
    by_intent: dict[str, list[int]] = defaultdict(list)
    for at, (intent, _) in enumerate(utterances):
        by_intent[intent].append(at)
    splits = ["train"] * len(utterances)
    for members in by_intent.values():
        held_out = round(HELD_OUT * len(members))
        single = sorted((at for at in members if at not in paired), key=lambda at: _digest(utterances[at][1]))
        for at in single[:held_out]:
            splits[at] = "test"
        for at in single[held_out : 2 * held_out]:
            splits[at] = "valid"
    return splits


def assign_each(languages: Iterable[str], intents: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Return the split of each utterance, where there are several languages."""
    rows = list(zip(languages, intents, texts, strict=True))
    splits = [""] * len(rows)
    for language in sorted({row[0] for row in rows}):
        at = [position for position, row in enumerate(rows) if row[0] == language]
        for position, split in zip(at, assign([rows[each][1:] for each in at]), strict=True):
            splits[position] = split
    return splits


def _digest(text: str) -> str:
    return hashlib.sha256(" ".join(tokens(text)).encode()).hexdigest()
