"""The shop's own pages: Markdown in sections, each a passage that can be quoted as an answer.

One folder a language, one file a page. A page begins with its `id`, `title` and `intents` between two lines `---`; every
`## heading` after it opens a passage. Form and a worked page: docs/service-corpus.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml.use_cases.service.corpus import Intent
from ml.use_cases.service.csv_rows import read_text, refuse
from ml.use_cases.service.language import LANGUAGES, fits

SHIPPED = Path(__file__).parent / "knowledge"
MAX_CHARACTERS = 900  # of one passage; an answer that a customer reads in a chat window
_PAGE = re.compile(r"\A---\n(?P<head>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)
_SECTION = re.compile(r"^##[ \t]+", re.MULTILINE)

_Text = Annotated[str, Field(min_length=1)]


class _Head(BaseModel):
    """What stands between the two lines `---`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    id: _Text
    title: _Text
    intents: tuple[_Text, ...] = Field(min_length=1)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """One section of a page, as it may be quoted; page and heading name it."""

    language: str
    page: str
    heading: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the shop in one language."""

    id: str
    """The same in each language."""
    language: str
    title: str
    intents: tuple[str, ...]
    passages: tuple[Passage, ...]


def read_knowledge(intents: Sequence[Intent], folder: Path = SHIPPED) -> tuple[Page, ...]:
    """Return all pages of a folder, by language and id; a language without a folder has none.

    Raises:
        SourceInvalid: A page is not as described, says something else in another language's copy, or is missing
            although an intent names it; all such are listed, in `problems` and by file.
    """
    files = [file for language in LANGUAGES for file in sorted((folder / language).glob("*.md"))]
    return pages_of(((file.relative_to(folder).as_posix(), read_text(file)) for file in files), intents)


def pages_of(files: Iterable[tuple[str, str]], intents: Sequence[Intent]) -> tuple[Page, ...]:
    """Return the same of (`language/id.md`, content) of each file."""
    problems: list[str] = []
    pages: list[Page] = []
    for path, content in sorted(files):
        language, _, name = path.rpartition("/")
        parsed = _parse(language, content) if language in LANGUAGES else f"no folder of {' or '.join(LANGUAGES)}"
        if isinstance(parsed, Page):
            pages.append(parsed)
        problems += [f"{path}: {problem}" for problem in _wrong(parsed, name.removesuffix(".md"))]
    refuse("the knowledge base", problems or [*_foreign(pages, intents), *_missing(pages, intents)])
    return tuple(pages)


def _parse(language: str, content: str) -> Page | str:
    match = _PAGE.match(content)
    if match is None:
        return "no id, title and intents between two lines of ---"
    try:
        head = _Head.model_validate(yaml.safe_load(match["head"]))
    except yaml.YAMLError:
        return "what stands between the lines --- is no YAML"
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'head'}: {each['msg']}" for each in error.errors())
    before, *sections = _SECTION.split(match["body"])
    if before.strip():
        return "text before the first ## heading belongs to no passage"
    parts = [section.partition("\n") for section in sections]
    passages = (
        Passage(language=language, page=head.id, heading=heading.strip(), text=text.strip())
        for heading, _, text in parts
    )
    return Page(id=head.id, language=language, title=head.title, intents=head.intents, passages=tuple(passages))


def _wrong(page: Page | str, stem: str) -> Iterator[str]:
    if isinstance(page, str):
        yield page
        return
    if page.id != stem:
        yield f"the id {page.id!r} is not the file's name"
    if not page.passages:
        yield "no ## heading, so no passage"
    counts = Counter(passage.heading for passage in page.passages)
    yield from (f"the heading {heading!r} occurs {count} times" for heading, count in counts.items() if count > 1)
    for passage in page.passages:
        if not passage.heading or not passage.text:
            yield f"the section {passage.heading!r} has no heading or no text"
        elif len(passage.text) > MAX_CHARACTERS:
            yield f"the section {passage.heading!r} has {len(passage.text)} characters, more than {MAX_CHARACTERS}"
        elif not fits(passage.text, page.language):
            yield f"the section {passage.heading!r} is not in the script of {page.language}"


def _foreign(pages: Sequence[Page], intents: Sequence[Intent]) -> Iterator[str]:
    known = {intent.name for intent in intents}
    first: dict[str, Page] = {}
    for page in pages:
        yield from (f"{page.language}/{page.id}.md: no intent {name!r}" for name in page.intents if name not in known)
        other = first.setdefault(page.id, page)
        if set(other.intents) != set(page.intents):
            yield f"{page.language}/{page.id}.md: other intents than {other.language}/{page.id}.md"


def _missing(pages: Sequence[Page], intents: Sequence[Intent]) -> Iterator[str]:
    if not pages:
        yield f"no page in a folder {' or '.join(LANGUAGES)}"
    by_key = {(page.language, page.id): page for page in pages}
    wanted = sorted({intent.page for intent in intents if intent.page} | {page.id for page in pages})
    for language in sorted({page.language for page in pages}):
        yield from (f"{language}/{name}.md: missing" for name in wanted if (language, name) not in by_key)
        for intent in intents:
            page = by_key.get((language, intent.page or ""))
            if page and intent.name not in page.intents:
                yield f"{language}/{page.id}.md: does not list {intent.name}, which intents.csv answers by it"
