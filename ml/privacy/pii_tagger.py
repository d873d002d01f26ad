"""Tags names, addresses and other personal data that only their context tells: a linear-chain CRF over words and shapes.

Lafferty, McCallum and Pereira 2001; run by CRFsuite (Okazaki 2007, http://www.chokkan.org/software/crfsuite/). The weights
`pii_tagger.crfsuite` are learned by `ml.benchmark.privacy_tagger`; they know English sentences with names of all countries.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, cast

from ml.privacy.pii_span import KINDS, Kind, Span
from ml.privacy.pii_token import MARK, Token, features, tokens

if TYPE_CHECKING:
    import pycrfsuite

WEIGHTS = "pii_tagger.crfsuite"
OUTSIDE = "O"
SURROGATE = re.compile("[\ud800-\udfff]")

_one_at_a_time = threading.Lock()  # a CRFsuite tagger holds the sequence it works on


def tag(text: str, known: Sequence[Span]) -> list[Span]:
    """Return what the context tells, without what is known already.

    Args:
        text: Any text; of what is not written in a European manner little is found.
        known: Spans in text order that do not overlap: they are read as one word each.
    """
    text = SURROGATE.sub("\ufffd", text)  # half a character, which no feature can be written in
    cut = tokens(text, known)
    if all(_is_known(token) for token in cut):
        return []
    with _one_at_a_time:
        tagger = _tagger()
        tagger.set(features(text, cut))
        labels = [OUTSIDE if _is_known(token) else label for token, label in zip(cut, tagger.tag(), strict=True)]
        sure = [1.0 - tagger.marginal(OUTSIDE, i) for i in range(len(cut))]
    return [span for span in spans(cut, labels, sure) if span.type in KINDS]


def spans(cut: Sequence[Token], labels: Sequence[str], sure: Sequence[float]) -> list[Span]:
    """Join tokens whose labels `B-…` and `I-…` say that they belong together."""
    found: list[Span] = []
    before = OUTSIDE
    for (start, end, _), label, score in zip(cut, labels, sure, strict=True):
        kind = cast("Kind", label[2:])
        if label.startswith("I-") and before[2:] == kind:
            found[-1] = Span(found[-1].start, end, kind, min(found[-1].score, score))
        elif label != OUTSIDE:
            found.append(Span(start, end, kind, score))
        before = label
    return found


def _is_known(token: Token) -> bool:
    return token[2][0] == MARK


@lru_cache(maxsize=1)
def _tagger() -> pycrfsuite.Tagger:
    import pycrfsuite

    tagger = pycrfsuite.Tagger()
    tagger.open(str(files("ml.privacy").joinpath(WEIGHTS)))  # from memory it would not keep the bytes alive
    return tagger
