"""The desk speaks Chinese: every sentence of every template has a translation, and no template holds words outside of one."""

from __future__ import annotations

import re

import pytest
from jinja2 import nodes

from data_checks.message import told
from data_checks.runner import checks_of
from data_checks.standing import STANDING
from ml.desk.compare_picture import CHANGE, PART
from ml.desk.document import KNOWN
from ml.desk.language import choose
from ml.desk.view import environment
from ml.use_cases import NAMES, load

ENVIRONMENT = environment()
TEMPLATES = [name for name in ENVIRONMENT.list_templates() if name.endswith(".j2")]
SAME_EVERYWHERE = {"Tradewind", "retrain", "monitor"}  # a name, and the beginnings of DAG ids
MARKUP = re.compile(r"{#.*?#}|{%.*?%}|{{.*?}}|<style>.*?</style>|<[^>]*>|&[a-z]+;", re.DOTALL)
SPOKEN_ATTRIBUTE = re.compile(r'(?:aria-label|title|placeholder|alt)="[^"{]*[A-Za-z]')


def texts(node):
    """Return the sentences that an expression can be: literals, and the values and branches it chooses among."""
    if isinstance(node, nodes.Const):
        return {node.value} if isinstance(node.value, str) else set()
    parts = {
        nodes.Dict: lambda: [pair.value for pair in node.items],
        nodes.CondExpr: lambda: [node.expr1, node.expr2],
        **dict.fromkeys((nodes.Getitem, nodes.Getattr, nodes.Call), lambda: [node.node]),
    }
    return set().union(*(texts(part) for part in parts.get(type(node), list)()))


def said(template):
    source, *_ = ENVIRONMENT.loader.get_source(ENVIRONMENT, template)
    calls = ENVIRONMENT.parse(source).find_all(nodes.Call)
    return set().union(
        *(texts(one.args[0]) for one in calls if isinstance(one.node, nodes.Name) and one.node.name == "say")
    )


def recorded():
    """Return what records of use cases and checks say on pages."""
    checks = [check for name in NAMES for check in checks_of(name)]
    yield from (told(check.reason).template for check in checks)
    yield from (rule.owner for rule in (*checks, *STANDING))
    yield from (rule.reason for rule in STANDING)
    for record in map(load, NAMES):
        yield record.judgement.units
        if listing := record.service.listing:
            yield from (listing.title, listing.unit, listing.note, *(name.replace("_", " ") for name in listing.shown))


def test_every_sentence_has_a_translation_with_the_same_places():
    words, places = choose("zh", "").words, re.compile(r"{[^}]*}")
    spoken = set().union(*map(said, TEMPLATES)) | {*recorded(), *KNOWN.values(), CHANGE, PART}
    assert {text for text in spoken if text and text not in words} == set()
    assert {text for text, own in words.items() if sorted(places.findall(text)) != sorted(places.findall(own))} == set()


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_template_holds_words_that_are_not_translated(template):
    source, *_ = ENVIRONMENT.loader.get_source(ENVIRONMENT, template)
    assert set(re.findall(r"[A-Za-z]{2,}", MARKUP.sub(" ", source))) <= SAME_EVERYWHERE
    assert SPOKEN_ATTRIBUTE.findall(source) == []
