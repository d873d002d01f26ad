"""What customers write and what they want by it: the shipped corpus, or a shop's own in the same two files.

`intents.csv` names what can be wanted, `utterances.csv` says in customers' words how they ask for it. Both are checked
whole before anything learns from them, and an error names every line to correct, by number: a customer's words are no
part of it. Columns and a worked example: docs/service-corpus.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ml.contract import SUBJECT
from ml.errors import SourceInvalid
from ml.use_cases.service.csv_rows import GUIDE, read_rows, refuse
from ml.use_cases.service.language import LANGUAGES, fits
from ml.use_cases.service.similarity import near_pairs, tokens
from ml.use_cases.service.split import NEAR, SPLITS, assign_each

SHIPPED = Path(__file__).parent / "corpus"
OUT_OF_SCOPE = "out_of_scope"
"""The intent of utterances that no intent covers; it stands in `utterances.csv` only."""
MIN_UTTERANCES = 10
"""Of each intent, and out of scope, in each language of the corpus."""
MAX_CHARACTERS = 500  # of one utterance; longer is a letter, or two columns run together

UTTERANCE_COLUMNS = ("language", "intent", "text", "split")
INTENT_COLUMNS = ("intent", *(f"title_{language}" for language in LANGUAGES), "description", "slots", "tool", "page")


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One thing a customer can want."""

    name: str
    titles: Mapping[str, str]
    """Language to what a person calls it; a language the shop does not serve may lack one."""
    description: str
    """Where it begins and ends, for whoever labels."""
    slots: tuple[str, ...]
    """What must be known before it can be done: `order_number`, `product`, …"""
    tool: str | None
    """What does it or looks it up; none where a page is all there is to say."""
    page: str | None
    """The id of the knowledge page that answers it."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """What one customer wrote, labelled."""

    language: str
    intent: str
    text: str
    split: str
    """One of `SPLITS`."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Intents and utterances that fit together."""

    intents: tuple[Intent, ...]
    utterances: tuple[Utterance, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """Those with utterances."""
        return tuple(sorted({utterance.language for utterance in self.utterances}))


def read_corpus(folder: Path = SHIPPED) -> Corpus:
    """Return the corpus in a folder: checked, and split where its `split` column is empty throughout.

    Raises:
        SourceInvalid: A file or column is missing, or rows are wrong; all of them are named, in `problems` and by line.
    """
    intents = read_intents(folder)
    rows = read_rows(folder / "utterances.csv", UTTERANCE_COLUMNS, optional=(SUBJECT,))
    lines = [line for line, _ in rows]
    utterances = [Utterance(**row) for _, row in rows]
    refuse("utterances.csv", list(_wrong_rows(lines, utterances, {intent.name for intent in intents})))
    if all(not utterance.split for utterance in utterances):
        utterances = _assigned(utterances)
    refuse("utterances.csv", [*_repeated(lines, utterances), *_wrong_splits(lines, utterances)])
    corpus = Corpus(intents=intents, utterances=tuple(utterances))
    refuse("the corpus", list(_gaps(corpus)))
    return corpus


def read_intents(folder: Path = SHIPPED) -> tuple[Intent, ...]:
    """Return the intents in a folder's `intents.csv`; raise `SourceInvalid` if the file is not as described."""
    rows = read_rows(folder / "intents.csv", INTENT_COLUMNS)
    intents = [(line, intent_of(row)) for line, row in rows]
    counts = Counter(intent.name for _, intent in intents)
    refuse(
        "intents.csv",
        [f"line {line}: {problem}" for line, intent in intents for problem in _wrong_intent(intent, counts)],
    )
    if not intents:
        raise SourceInvalid("at least one intent in intents.csv", "none", f"Add a row an intent, as {GUIDE} shows.")
    return tuple(intent for _, intent in intents)


def intent_of(row: Mapping[str, str]) -> Intent:
    """Return a row of `intents.csv` as what it says."""
    return Intent(
        name=row["intent"],
        titles={language: row[f"title_{language}"] for language in LANGUAGES if row[f"title_{language}"]},
        description=row["description"],
        slots=tuple(slot.strip() for slot in row["slots"].split(";") if slot.strip()),
        tool=row["tool"] or None,
        page=row["page"] or None,
    )


def _wrong_intent(intent: Intent, counts: Mapping[str, int]) -> Iterator[str]:
    names = (intent.name, *intent.slots, *filter(None, (intent.tool, intent.page)))
    for name in names:
        if not name.isidentifier() or name != name.lower():
            yield f"{name!r} is no name of lower-case letters, digits and underscores"
    if intent.name == OUT_OF_SCOPE:
        yield f"{OUT_OF_SCOPE} is no intent: it is what no intent covers"
    if counts[intent.name] > 1:
        yield f"{intent.name} occurs {counts[intent.name]} times"
    if not intent.titles:
        yield "no title in any language"
    if not intent.tool and not intent.page:
        yield "neither a tool nor a page answers it"


def _wrong_rows(lines: Sequence[int], utterances: Sequence[Utterance], intents: set[str]) -> Iterator[str]:
    for line, utterance in zip(lines, utterances, strict=True):
        for problem in _wrong_row(utterance, intents):
            yield f"line {line}: {problem}"


def _wrong_row(utterance: Utterance, intents: set[str]) -> Iterator[str]:
    if utterance.intent not in intents | {OUT_OF_SCOPE}:
        yield f"the intent {_shown(utterance.intent)} is not in intents.csv"
    if not utterance.text:
        yield "the text is empty"
    if len(utterance.text) > MAX_CHARACTERS:
        yield f"the text has {len(utterance.text)} characters, more than {MAX_CHARACTERS}"
    if utterance.language not in LANGUAGES:
        yield f"the language {_shown(utterance.language)} is none of {', '.join(LANGUAGES)}"
    elif not fits(utterance.text, utterance.language):
        yield f"the text is not in the script of {utterance.language}"


def _shown(name: str) -> str:
    # Where columns are mixed up, a customer's words stand in the place of a name.
    return repr(name) if not name or name.isidentifier() else "(no name)"


def _assigned(utterances: Sequence[Utterance]) -> list[Utterance]:
    splits = assign_each(*zip(*((each.language, each.intent, each.text) for each in utterances), strict=True))
    return [replace(utterance, split=split) for utterance, split in zip(utterances, splits, strict=True)]


def _repeated(lines: Sequence[int], utterances: Sequence[Utterance]) -> Iterator[str]:
    first: dict[tuple[str, str], int] = {}
    for at, utterance in enumerate(utterances):
        earlier = first.setdefault((utterance.language, " ".join(tokens(utterance.text)) or utterance.text), at)
        if earlier != at:
            other = "" if utterances[earlier].intent == utterance.intent else ", with another intent"
            yield f"line {lines[at]}: the text of line {lines[earlier]} again{other}"


def _wrong_splits(lines: Sequence[int], utterances: Sequence[Utterance]) -> Iterator[str]:
    for line, utterance in zip(lines, utterances, strict=True):
        if utterance.split not in SPLITS:
            wanted = f"{', '.join(SPLITS)} (or leave it empty in all rows)"
            yield f"line {line}: the split {_shown(utterance.split)} is none of {wanted}"
    for language in LANGUAGES:
        at = [position for position, utterance in enumerate(utterances) if utterance.language == language]
        for low, high in near_pairs([utterances[each].text for each in at], NEAR):
            left, right = at[low], at[high]
            if utterances[left].split != utterances[right].split:
                yield f"lines {lines[left]} and {lines[right]}: near-duplicates in different splits"


def _gaps(corpus: Corpus) -> Iterator[str]:
    counts = Counter((utterance.language, utterance.intent) for utterance in corpus.utterances)
    held = Counter((utterance.language, utterance.intent, utterance.split) for utterance in corpus.utterances)
    if not corpus.utterances:
        yield "no utterances"
    for language in corpus.languages:
        for name in (*(intent.name for intent in corpus.intents), OUT_OF_SCOPE):
            found = counts[language, name]
            if found < MIN_UTTERANCES:
                yield f"{found} utterances of {name} in {language}, fewer than {MIN_UTTERANCES}"
                continue
            yield from (
                f"no {split} utterance of {name} in {language}" for split in SPLITS if not held[language, name, split]
            )
        for intent in corpus.intents:
            if language not in intent.titles:
                yield f"no title_{language} of {intent.name}"
