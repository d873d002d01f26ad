"""How much two utterances have in common, so that no test utterance is a training one in disguise."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

HAN = r"\u3400-\u4dbf\u4e00-\u9fff"
"""Chinese characters, for a character class."""
_RUNS = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)*")
_NUMBER = "0"


def tokens(text: str) -> list[str]:
    """Return what an utterance consists of, in order.

    Words in lower case; of a run of Chinese characters its pairs of neighbours (the character itself where it is alone);
    anything with a digit counts as one and the same token, so that two order numbers make no difference.
    """
    found: list[str] = []
    for run in _RUNS.findall(text.casefold().replace("’", "'")):
        if re.match(rf"[{HAN}]", run):
            found += [run[at : at + 2] for at in range(max(1, len(run) - 1))]
        else:
            found.append(_NUMBER if any(char.isdigit() for char in run) else run)
    return found


def overlap(left: str, right: str) -> float:
    """Return the Jaccard index of two utterances' sets of tokens, |A ∩ B| / |A ∪ B|, in [0, 1]; 1 where both are empty."""
    return _jaccard(frozenset(tokens(left)), frozenset(tokens(right)))


def near_pairs(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield all pairs of positions (low, high) whose overlap is at least `threshold`, in (0, 1].

    Sets with a Jaccard index of t or more share one of their |A| - ceil(t |A|) + 1 rarest tokens, so only those are
    looked up (prefix filter: Bayardo, Ma and Srikant 2007, https://doi.org/10.1145/1242572.1242591).
    """
    sets = [frozenset(tokens(text)) for text in texts]
    frequency = Counter(token for each in sets for token in each)
    seen: dict[str, list[int]] = defaultdict(list)
    for high, each in enumerate(sets):
        rare = sorted(each, key=lambda token: (frequency[token], token))
        prefix = rare[: len(each) - math.ceil(threshold * len(each)) + 1]
        for low in sorted({at for token in prefix for at in seen[token]}):
            if _jaccard(sets[low], each) >= threshold:
                yield low, high
        for token in prefix:
            seen[token].append(high)


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    union = left | right
    return len(left & right) / len(union) if union else 1.0
