"""The shop's pages: a worked page becomes passages, and a wrong one is refused with what to correct."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml.errors import SourceInvalid
from ml.use_cases.service.corpus import read_intents
from ml.use_cases.service.knowledge import read_knowledge

GUIDE = (Path(__file__).parent.parent / "docs" / "service-corpus.md").read_text()
WORKED = re.findall(r"```markdown\n(.*?)```", GUIDE, re.DOTALL)[0]
ZH = "---\nid: opening\ntitle: 营业时间\nintents: [opening]\n---\n## 平时\n周一到周五九点开门。\n"


@pytest.fixture
def intents(tmp_path):
    """Those of the worked example: `opening` is answered by the page `opening`."""
    (tmp_path / "intents.csv").write_text(re.findall(r"```csv\n(.*?)```", GUIDE, re.DOTALL)[0])
    return read_intents(tmp_path)


def folder_of(path, **pages):
    for language, text in pages.items():
        (path / language).mkdir()
        (path / language / "opening.md").write_text(text)
    return path


def test_the_worked_page_becomes_passages(tmp_path, intents):
    (page,) = read_knowledge(intents, folder_of(tmp_path, en=WORKED))
    assert (page.language, page.id, page.title, page.intents) == ("en", "opening", "When we are open", ("opening",))
    weekdays = page.passages[0]
    assert (weekdays.page, weekdays.heading) == ("opening", "On weekdays")
    assert weekdays.text == "Our shop in Harbour Street is open from 9:00 to 18:30, Monday to Friday."
    assert [passage.heading for passage in page.passages] == ["On weekdays", "On Sundays and holidays"]


def test_both_languages_are_read(tmp_path, intents):
    pages = read_knowledge(intents, folder_of(tmp_path, en=WORKED, zh=ZH))
    assert [(page.language, page.id) for page in pages] == [("en", "opening"), ("zh", "opening")]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("---\nid", "id", "en/opening.md: no id, title and intents between two lines of ---"),
        ("title: When we are open\n", "", "en/opening.md: title: Field required"),
        ("title: When", "titel: X\ntitle: When", "en/opening.md: titel: Extra inputs are not permitted"),
        ("[opening]", "[opening", "en/opening.md: what stands between the lines --- is no YAML"),
        ("id: opening", "id: hours", "en/opening.md: the id 'hours' is not the file's name"),
        ("---\n\n##", "---\n\nWelcome!\n\n##", "en/opening.md: text before the first ## heading belongs to no passage"),
        ("On Sundays and holidays", "On weekdays", "en/opening.md: the heading 'On weekdays' occurs 2 times"),
        (
            "We are closed",
            "我们星期天不开门,节假日也不开门,圣诞节前的最后一个星期天除外。" * 9,
            "en/opening.md: the section 'On Sundays",
        ),
        ("We are closed", "We are closed " * 99, "en/opening.md: the section 'On Sundays and holidays' has 1"),
        ("[opening]", "[opening, parking]", "en/opening.md: no intent 'parking'"),
        ("[opening]", "[order_status]", "en/opening.md: does not list opening, which intents.csv answers by it"),
    ],
)
def test_a_wrong_page_is_named(tmp_path, intents, old, new, problem):
    with pytest.raises(SourceInvalid) as caught:
        read_knowledge(intents, folder_of(tmp_path, en=WORKED.replace(old, new, 1)))
    assert any(each.startswith(problem) for each in caught.value.facts["problems"]), caught.value


def test_a_section_without_text_is_named(tmp_path, intents):
    with pytest.raises(SourceInvalid, match="the section 'Parking' has no heading or no text"):
        read_knowledge(intents, folder_of(tmp_path, en=WORKED + "\n## Parking\n"))


def test_a_page_that_one_language_lacks_is_named(tmp_path, intents):
    folder = folder_of(tmp_path, en=WORKED, zh=ZH)
    (folder / "en" / "parking.md").write_text(WORKED.replace("id: opening", "id: parking"))
    with pytest.raises(SourceInvalid, match=r"zh/parking\.md: missing"):
        read_knowledge(intents, folder)


def test_an_intents_page_must_exist(tmp_path, intents):
    folder = folder_of(tmp_path, en=WORKED.replace("id: opening", "id: hours"))
    (folder / "en" / "opening.md").rename(folder / "en" / "hours.md")
    with pytest.raises(SourceInvalid, match=r"en/opening\.md: missing"):
        read_knowledge(intents, folder)


def test_no_page_at_all_is_refused(tmp_path, intents):
    with pytest.raises(SourceInvalid, match="no page in a folder en or zh"):
        read_knowledge(intents, tmp_path)
