"""Personal data in free text: what is found of presidio-research's synthetic sentences, by our finder and by Presidio."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ml.benchmark import privacy_data
from ml.benchmark.comparison import Bar, Comparison, Figures, Peer
from ml.benchmark.privacy_data import Labelled, Sentences
from ml.benchmark.privacy_score import Tally
from ml.benchmark.privacy_tagger import DATA
from ml.privacy.pii_find import find
from ml.privacy.pii_pattern import find_patterns
from ml.privacy.pii_span import without_overlap

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

KINDS = ("NAME", "ADDRESS", "EMAIL", "PHONE", "CARD", "IBAN", "ID", "IP", "URL")
"""What is personal; companies, dates, ages, titles and nationalities in the data are not redacted and so not asked for."""
PRESIDIO = {
    "PERSON": "NAME",
    "LOCATION": "ADDRESS",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "US_SSN": "ID",
    "US_DRIVER_LICENSE": "ID",
    "IP_ADDRESS": "IP",
    "URL": "URL",
}
PRESIDIO_THRESHOLD = 0.4  # as in upstream's notebooks


def ours(text: str) -> list[Labelled]:
    """Return what ships finds."""
    return [(span.start, span.end, span.type) for span in find(text)]


def patterns(text: str) -> list[Labelled]:
    """Return what patterns and checksums alone find."""
    return [(span.start, span.end, span.type) for span in without_overlap(find_patterns(text))]


def presidio(text: str) -> list[Labelled]:
    """Return what Presidio's recognisers of patterns find; its names and places need a spaCy model, which PyPI lacks."""
    found = _presidio().analyze(text=text, language="en", entities=list(PRESIDIO))
    return [(one.start, one.end, PRESIDIO[one.entity_type]) for one in found]


def _measured(finder: Callable[[str], Iterable[Labelled]]) -> Peer:
    def measure(data: Sentences, seed: int) -> Figures:  # noqa: ARG001 - nothing is drawn
        typed, untyped, everything = Tally(), Tally(), Tally()
        for one in data.test:
            found = list(finder(one.text))
            personal = [span for span in one.spans if span[2] in KINDS]
            typed.add(one.text, personal, found)
            untyped.add(one.text, personal, found, typed=False)
            everything.add(one.text, one.spans, found, typed=False)
        return {
            "f2": typed.f2(),
            "precision": typed.precision(KINDS),
            "recall": typed.recall(KINDS),
            "f2 untyped": untyped.f2(),
            "f2 untyped, all labels": everything.f2(),
            **{kind: typed.f2([kind]) for kind in KINDS},
        }

    return measure


@lru_cache(maxsize=1)
def _presidio() -> AnalyzerEngine:
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.nlp = {"en": spacy.blank("en")}
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"], default_score_threshold=PRESIDIO_THRESHOLD)


PEERS: dict[str, Peer] = {"patterns and tagger": _measured(ours), "patterns only": _measured(patterns)}
if find_spec("presidio_analyzer"):
    PEERS["Presidio, no language model"] = _measured(presidio)

SENTENCES = Comparison(
    name="pii-sentences",
    title="Personal data in English sentences",
    protocol=(
        "1,500 synthetic sentences of presidio-research (`synth_dataset_v2.json`), told apart by a hash of their template, so that "
        "no test sentence has a template that was learned from: 731 to learn and choose, 769 to test. F2 over spans, right if of "
        "the type and if characters agree with an intersection over union of 0.9, with upstream's joining and skip words; places "
        "and postcodes count as ADDRESS. Companies, dates, ages, titles and nationalities are not personal here and stay; "
        "`f2 untyped, all labels` asks for them all the same and for no type, as upstream's overall figure does, which it "
        "publishes on the whole file: Presidio with a large spaCy model 0.618, customised for this file 0.845."
    ),
    data=DATA,
    load=privacy_data.load,
    peers=PEERS,
    ours="patterns and tagger",
    seeds=(1,),
    fixed=frozenset(PEERS),
    bars=(Bar(figure="f2", limit=0.85, side="at least"),),
)
COMPARISONS = (SENTENCES,)
