"""What the documentation says of the code is what the code says."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml.config import GRANTS, Settings
from ml.pipeline import FILE_STAGES
from ml.pipeline.workspace import PROJECT

DOCS = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`|^    [^\n]*$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def anchors(page):
    """Return the anchors that GitHub gives a page's headings."""
    words = (
        re.sub(r"[`*\[\]]|\(.*?\)", "", title).strip().lower() for title in HEADING.findall(page.read_text("utf-8"))
    )
    return {re.sub(r"[^\w\- ]", "", word).replace(" ", "-") for word in words}


def test_the_reference_is_as_the_code_has_it():
    command = [sys.executable, "deploy/reference.py", "--check"]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_every_setting_and_right_stands_in_it():
    settings = (PROJECT / "docs" / "reference" / "settings.md").read_text("utf-8")
    assert all(f"| `TRADEWIND_{name.upper()}` |" in settings for name in Settings.model_fields)
    line = next(
        line for line in (PROJECT / "docs/reference/rights.md").read_text("utf-8").splitlines() if "`ledger`" in line
    )
    assert [cell.strip() for cell in line.split("|")[2:-1]] == [GRANTS[role].get("ledger", "") for role in GRANTS]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for place, anchor in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if place.startswith(("http:", "https:", "mailto:")):
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), place
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), f"{place}#{anchor}"


@pytest.mark.parametrize("stage", FILE_STAGES)
def test_a_file_stage_is_called_with_its_context(stage):
    run = importlib.import_module(f"ml.pipeline.{stage}").run
    assert list(inspect.signature(run).parameters) == ["context"]


def test_the_map_names_every_package():
    text = (PROJECT / "README.md").read_text("utf-8")
    packages = {path.parent.name for path in Path(PROJECT / "ml").glob("*/__init__.py")}
    assert {name for name in packages if f"`ml/{name}/`" not in text} == set()
