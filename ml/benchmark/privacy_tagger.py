"""Learns the tagger's weights: `PYTHONHASHSEED=0 python -m ml.benchmark.privacy_tagger`, TRADEWIND_DATA_DIR set (docs/privacy.md).

Reads the training part of the benchmark's sentences and our own (`privacy_sentences.txt`); their slots are filled again and
again with drawn values, so that names are learned by their form and place and not by heart. Writes `pii_tagger.crfsuite`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from ml.benchmark.privacy_data import Labelled, Sentence, load
from ml.benchmark.privacy_values import Values
from ml.config import load_settings
from ml.privacy.pii_pattern import find_patterns
from ml.privacy.pii_span import without_overlap
from ml.privacy.pii_tagger import OUTSIDE, WEIGHTS
from ml.privacy.pii_token import MARK, Token, features, tokens

DATA = "pii_presidio_synth/synth_dataset_v2.json.gz"
SEED = 1
COPIES_OF_THEIRS = 8
COPIES_OF_OURS = 20
SETTING = {"c1": 0.1, "c2": 0.05, "max_iterations": 80, "feature.minfreq": 2}  # chosen on folds of the training part


def train(known: Sequence[Sentence], path: Path) -> None:
    """Learn weights from sentences of the training part and our own; equal input gives equal bytes."""
    import pycrfsuite

    trainer = pycrfsuite.Trainer(verbose=False)
    for text, spans in examples(known):
        cut = tokens(text, without_overlap(find_patterns(text)))
        if cut:
            trainer.append(features(text, cut, thinned=True), labels(cut, spans))
    trainer.set_params(SETTING)
    trainer.train(str(path))


def examples(known: Sequence[Sentence]) -> Iterator[tuple[str, Sequence[Labelled]]]:
    """Yield labelled texts: as given, with other values, and our own sentences."""
    for one in known:
        yield one.text, one.spans
    values = Values(SEED)
    for template in sorted({one.template for one in known}):
        for _ in range(COPIES_OF_THEIRS):
            yield values.fill(template)
    own = files("ml.benchmark").joinpath("privacy_sentences.txt").read_text(encoding="utf-8")
    for template in own.splitlines():
        for _ in range(COPIES_OF_OURS):
            yield values.fill(template.replace("\\n", "\n"))


def labels(cut: Iterable[Token], spans: Iterable[Labelled]) -> list[str]:
    """Return `B-TYPE`, `I-TYPE` or `O` for each token; spans of one type that touch are one."""
    kinds = [OUTSIDE if token[0] == MARK else _kind(start, end, spans) for start, end, token in cut]
    return [_label(kind, before) for kind, before in zip(kinds, [OUTSIDE, *kinds[:-1]], strict=True)]


def _kind(start: int, end: int, spans: Iterable[Labelled]) -> str:
    return next((kind for first, last, kind in spans if start < last and end > first), OUTSIDE)


def _label(kind: str, before: str) -> str:
    if kind == OUTSIDE:
        return OUTSIDE
    return f"I-{kind}" if kind == before else f"B-{kind}"


def main() -> None:
    """Learn from the training part and put the weights where `ml.privacy` reads them."""
    folder = load_settings().data_dir
    if folder is None:
        raise SystemExit("Set TRADEWIND_DATA_DIR to the folder of the public data sets.")
    if os.environ.get("PYTHONHASHSEED") != "0":
        raise SystemExit("Set PYTHONHASHSEED=0: Faker draws from sets, and other weights would come out each time.")
    train(load(folder / DATA).train, Path(str(files("ml.privacy"))) / WEIGHTS)


if __name__ == "__main__":
    main()
