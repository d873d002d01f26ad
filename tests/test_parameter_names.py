"""Whatever `params.yaml` names exists: metrics, data rules, tables, departments; the error lists what does."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import ConfigInvalid
from ml.parameter import UseCaseParams
from ml.pipeline import freeze
from ml.pipeline.context import typed_params
from ml.pipeline.freeze import RunRequest, project_params, project_section, run_params
from ml.pipeline.place import PROJECT
from ml.sources.mapping import parse_mapping
from ml.use_cases import NAMES, load

METRICS = {name: [metric.name for metric in load(name).judgement.metrics] for name in NAMES}
EXAMPLE = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
letters = st.sampled_from("abcxyz_@1")


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write a project's params.yaml in which one use case's section has these keys changed."""
    monkeypatch.setattr(freeze, "PROJECT", tmp_path)
    whole = yaml.safe_load((PROJECT / "params.yaml").read_text())

    def write(name, **changed):
        section = whole[name] | changed
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(whole | {name: section}), encoding="utf-8")
        return load(name)

    return write


def told(use_case):
    """Return what a run and a page that load the parameters are told; the same."""
    with pytest.raises(ConfigInvalid) as refused:
        run_params(use_case, RunRequest(run_id="r", as_of=date(2017, 12, 31)))
    with pytest.raises(ConfigInvalid) as again:
        project_params(use_case)
    assert str(again.value) == str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_can_be_limited_and_nothing_else(written, name):
    every = dict.fromkeys(METRICS[name], 0.5)
    assert project_params(written(name, gate={"limits": every, "margins": every})).gate.limits == every
    for key in ("limits", "margins"):
        text = told(written(name, gate={key: {f"{METRICS[name][0]}x": 0.5, "zzzzzz": 1.0}}))
        assert f"{name}.gate.{key} to name {', '.join(sorted(METRICS[name]))}" in text
        assert f"{METRICS[name][0]}x (did you mean {METRICS[name][0]}?), zzzzzz." in text


@given(st.sampled_from(NAMES), st.data())
def test_a_metric_with_one_letter_changed_is_refused_and_found_again(name, data):
    right = data.draw(st.sampled_from(METRICS[name]))
    at, letter = data.draw(st.integers(0, len(right) - 1)), data.draw(letters)
    wrong = right[:at] + letter + right[at + 1 :]
    section = project_section(load(name)) | {"gate": {"limits": {wrong: 0.5}}}
    params = typed_params(load(name), section)
    if wrong in METRICS[name]:
        freeze.ensure_all_known(load(name), params, {})
        return
    near = "|".join(map(re.escape, METRICS[name]))
    with pytest.raises(ConfigInvalid, match=rf"{re.escape(wrong)} \(did you mean ({near})\?\)"):
        freeze.ensure_all_known(load(name), params, {})


@pytest.mark.parametrize("pattern", ["ratings.fresh", "*.age_*", "ratings.age_unit", "*"])
def test_rules_are_named_whole_or_by_pattern(written, pattern):
    use_case = written("rating", checks={"approve": [pattern]})
    assert project_params(use_case).checks.approve == (pattern,)


@pytest.mark.parametrize(("pattern", "near"), [("ratings.frseh", "ratings.fresh"), ("rating.*", None), ("[", None)])
def test_a_pattern_that_no_rule_matches_is_refused(written, pattern, near):
    text = told(written("rating", checks={"approve": [pattern]}))
    assert "rating.checks.approve to name ratings.age_of_a_person" in text
    assert (f"{pattern} (did you mean {near}?)" if near else pattern) in text


def test_a_source_names_tables_that_some_use_case_reads(written):
    part = {"kind": "complete_journey", "tables": ["purchases", "product"]}
    text = told(written("recommend", source={"kind": "several", "parts": [part]}))
    assert "product (did you mean products?)" in text


def test_a_misspelt_table_of_a_mapping_is_refused_and_another_use_cases_is_not():
    tables = {table.name: table for table in load("recommend").data.tables}
    parse_mapping({"tables": {"pages": {}, "purchases": {"columns": {"customer_id": "who"}}}}).check(tables)
    with pytest.raises(ConfigInvalid, match=r"the table purchases .* Received purchase\."):
        parse_mapping({"tables": {"purchase": {}}}).check(tables)
    with pytest.raises(ConfigInvalid, match=r"costumer_id \(did you mean customer_id\?\)"):
        parse_mapping({"tables": {"purchases": {"columns": {"costumer_id": "who"}}}}).check(tables)


@pytest.mark.parametrize("day", ["02-30", "13-01", "00-10", "٠١-٠٢"])
def test_a_closed_day_is_a_day(written, day):
    assert "rating.checks.closed_days.0" in told(written("rating", checks={"closed_days": [day]}))


def test_a_learned_policy_weighs_what_candidates_have(written):
    policy = {"weights": {"scores": 1.0}, "gain_low": 0.1, "as_of": "2026-11-01T00:00:00+00:00"}
    text = told(written("recommend", features={"explore": {"policy": policy}}))
    assert "policy.weights name scores; known are challenger, score, bought" in text


def test_every_example_of_the_documentation_loads(written):
    seen = 0
    for page in Path(PROJECT / "docs").rglob("*.md"):
        for text in EXAMPLE.findall(page.read_text(encoding="utf-8")):
            for name, section in (yaml.safe_load(text) or {}).items():
                if name in NAMES:
                    seen += isinstance(project_params(written(name, **section)), UseCaseParams)
    assert seen >= 4
