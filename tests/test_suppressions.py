"""Whoever silences a linter or the type checker says which rule, and why."""

import io
import re
import tokenize
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
FOLDERS = ("ml", "data_checks", "dags", "plugins", "deploy", "tests")
SILENCING = re.compile(r"#\s*(?:(?:ruff|flake8|mypy|pylint|pragma)\s*:|noqa|type:\s*ignore|fmt:\s*off|isort:)", re.I)
REASON = r"[^#\s][^#]{7,}"
ALLOWED = re.compile(
    r"# noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* - " + REASON + r"|"
    r"# type: ignore\[[a-z-]+(?:, [a-z-]+)*\]  #(?: noqa: [A-Z]+\d+(?:, [A-Z]+\d+)* -)? " + REASON
)


def silencing(text: str) -> list[str]:
    """Return the comments that silence a checker without a rule's code or without a reason."""
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and SILENCING.search(token.string)
    ]
    return [comment for comment in comments if not ALLOWED.fullmatch(comment)]


def test_each_silenced_rule_has_its_code_and_a_reason():
    found = {
        path.relative_to(PROJECT).as_posix(): bad
        for folder in FOLDERS
        for path in (PROJECT / folder).rglob("*.py")
        if (bad := silencing(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: E731",
        "# noqa: E731 - ",
        "# NOQA: because it is shorter",
        "# type: ignore",
        "# type: ignore[misc]",
        "# type: ignore  # DVC has no types",
        "# type:ignore[misc] # DVC has no types",
        "# ruff: noqa: E731",
        "# mypy: ignore-errors",
        "# fmt: off",
    ],
)
def test_silence_without_code_or_reason_is_found(comment):
    assert silencing(f"x = 1  {comment}\n") == [comment]


@pytest.mark.parametrize(
    "comment",
    ["# noqa: E731, S608 - shorter than a function", "# type: ignore[misc]  # noqa: ANN202 - DVC has no types"],
)
def test_silence_with_both_is_left_alone(comment):
    assert silencing(f"x = 1  {comment}\ny = '# noqa'\n") == []
