"""The model card as a page: whole, self-contained, escaped, and telling the verdict first."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ml.explanation.card import figure, size
from ml.pipeline import evaluate, explain
from tests.accessible import faults
from tests.toy_use_case import TRUE_WEIGHTS, lay_out

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Collects tags and text, and fails on a tag that is closed out of order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    import numpy as np

    ready = lay_out(tmp_path_factory.mktemp("card"), np.random.default_rng(5))
    evaluate.run(ready)
    explain.run(ready)
    return ready


@pytest.fixture(scope="module")
def source(context):
    return (context.reports("explain") / "card.html").read_text()


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def test_page_is_well_formed(page):
    assert page.open == []


def test_page_asks_nobody_for_anything(source, page):
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "img"})
    assert not [value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href")]
    assert "url(" not in re.sub(r"url\(#", "", source)
    assert not re.search(r"https?://(?!www\.w3\.org/)", source)


def test_verdict_comes_before_the_figures(page):
    words = page.words()
    assert words.index("Accepted: int8") < words.index("What it is for") < words.index("How good it is")


def test_use_cases_words_are_escaped(source, page):
    assert "Not for <decisions> about people." in page.words()
    assert "<decisions>" not in source


@pytest.mark.parametrize(
    "said",
    [
        "Sort the entrance display.",
        "On 400 held-out examples of 200 customers from 2026-01-22 to 2026-01-28",
        "The gain in hit over majority",
        "Nothing is in production yet",
        "group: old",
        "because of visits",
        "linear (chosen) 0.71",
        "dvc repro package@toy",
        f"sha256:{'a' * 64}",
    ],
)
def test_card_says(page, said):
    assert said in page.words()


def test_each_chart_says_what_is_to_be_seen(page):
    charts = [attrs for tag, attrs in page.tags if tag == "svg" and "aria-hidden" not in attrs]
    assert len(charts) >= 6
    assert all(attrs["role"] == "img" and attrs["aria-label"] and "viewbox" in attrs for attrs in charts)


def test_each_table_has_a_caption_and_headed_rows(page):
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")


def test_ids_are_not_shared_between_charts(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_refused_model_is_told_as_refused(tmp_path, rng):
    ready = lay_out(tmp_path, rng, weights=-TRUE_WEIGHTS)
    evaluate.run(ready)
    explain.run(ready)
    refused = Page((ready.reports("explain") / "card.html").read_text())
    assert "Refused: no variant passed." in refused.words()
    assert "(ships)" not in refused.words()


def test_card_without_slices_is_whole(tmp_path, rng):
    ready = lay_out(tmp_path, rng)
    judgement = replace(ready.use_case.judgement, slices=())
    bare = replace(ready, use_case=replace(ready.use_case, judgement=judgement))
    evaluate.run(bare)
    explain.run(bare)
    words = Page((bare.reports("explain") / "card.html").read_text()).words()
    assert "Who it works for" not in words


@pytest.mark.parametrize(("value", "told"), [(0.12345, "0.1235"), (12345.6, "12,346"), (None, "–"), (0.0, "0")])
def test_numbers_are_told_shortly(value, told):
    assert figure(value) == told


@pytest.mark.parametrize(("value", "told"), [(0, "0 bytes"), (999, "999 bytes"), (12_300, "12.3 kB"), (5e6, "5 MB")])
def test_sizes_have_a_fitting_unit(value, told):
    assert size(value) == told


def test_card_can_be_used_by_keyboard_with_a_screen_reader_and_on_a_phone(context, chromium):
    tab = chromium.new_page()
    tab.set_content((context.reports("explain") / "card.html").read_text())
    assert faults(tab) == []
