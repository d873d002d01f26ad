"""What a customer gets of whom nothing is known: what sells now to people alike, from many categories."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from ml.contract import JsonObject, Reason
from ml.use_cases.recommend.catalogue import Catalogue, catalogue_of
from ml.use_cases.recommend.entry import Entry

SEGMENTS = "segments"  # of the state
EVERYBODY = "everybody"
ATTRIBUTES = ("age_group", "income_group")
A_CATEGORY = 2  # products of one category in a list, while there are others


def segment_of(state: JsonObject, attributes: Mapping[str, str | None]) -> str:
    """Return the segment that fits: of the first attribute that is given and known; else everybody."""
    named = (segment_name(name, value) for name in ATTRIBUTES if (value := attributes.get(name)) is not None)
    return next((name for name in named if name in state.get(SEGMENTS, {})), EVERYBODY)


def segment_name(attribute: str, value: str) -> str:
    """Return what a segment is called."""
    return f"{attribute.replace('_', ' ')} {value}"


def popular(state: JsonObject, segment: str) -> dict[int, float]:
    """Return all learned products by number with their share of a segment's purchases, the most bought first.

    Of a product that is not among the first of its segment the share is 0, and the order that of the vocabulary.
    """
    found = state.get(SEGMENTS, {}).get(segment, {"numbers": [], "shares": []})
    first = dict(zip(found["numbers"], found["shares"], strict=True))
    return first | {number: 0.0 for number in range(len(state["products"])) if number not in first}


def entries(state: JsonObject, segment: str, k: int, left_out: AbstractSet[str]) -> list[Entry]:
    """Return the list of a segment: the score is the share of its purchases, and starts from everybody's."""
    shares, usual = popular(state, segment), popular(state, EVERYBODY)
    return [_entry(number, segment, shares, usual) for number in varied(list(shares), k, catalogue_of(state), left_out)]


def varied(ranked: list[int], k: int, catalogue: Catalogue, left_out: AbstractSet[str] = frozenset()) -> list[int]:
    """Return k products, best first, at most `A_CATEGORY` of a category unless the others do not fill the list."""
    taken: dict[str, int] = {}
    first: list[int] = []
    more: list[int] = []
    for number in ranked:
        if catalogue.products[number] not in left_out:
            category = catalogue.categories[number]
            taken[category] = taken.get(category, 0) + 1
            (first if taken[category] <= A_CATEGORY else more).append(number)
    chosen = {*first[:k], *more[: max(0, k - len(first))]}
    return [number for number in ranked if number in chosen]


def _entry(number: int, segment: str, shares: Mapping[int, float], usual: Mapping[int, float]) -> Entry:
    said = "popular now" if segment == EVERYBODY else f"popular now, {segment}"
    gained = shares[number] - usual[number]
    reasons = (Reason(text=f"its share among {segment}", contribution=gained, kind="segment"),)
    return Entry(
        number=number,
        score=shares[number],
        said=said,
        base=usual[number],
        reasons=() if segment == EVERYBODY else reasons,
    )
