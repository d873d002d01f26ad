"""Every use case keeps the same promises: from its sample to an exported model that answers the same after loading."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.contract import UseCase
from ml.files import read_json, read_table, read_verdict
from ml.pipeline.context import StageContext
from ml.use_cases import NAMES
from tests.file_stages import frozen, run_all
from tests.golden_match import known, owners
from tests.sample_shop import opened

pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True)
class Trained:
    """A use case whose file stages ran on its own sample."""

    use_case: UseCase
    context: StageContext

    @property
    def examples(self) -> pd.DataFrame:
        return pd.read_parquet(self.context.data("features") / "test.parquet")

    @property
    def state(self) -> dict:
        return read_json(self.context.data("features") / "state.json")

    @property
    def exported(self) -> Path:
        chosen = read_verdict(self.context.data("evaluate") / "verdict.json").chosen
        return self.context.data("compress") / str(chosen)


@pytest.fixture(scope="module", params=NAMES)
def trained(request, tmp_path_factory, object_store) -> Trained:
    context = frozen(request.param, tmp_path_factory.mktemp("zone"), tmp_path_factory.mktemp("run"), object_store)
    run_all(context)
    return Trained(context.use_case, context)


def test_the_sample_passes_its_checks_and_beats_the_naive_baseline(trained):
    assert read_verdict(trained.context.data("validate") / "verdict.json").accepted
    gate = read_verdict(trained.context.data("evaluate") / "verdict.json")
    assert gate.accepted, gate.summary


def test_no_unit_or_moment_of_training_is_in_the_test_rows(trained):
    folder = trained.context.data("features")
    if trained.use_case.data.split == "unit":
        units = [set(pd.read_parquet(folder / f"{name}.parquet")["unit"]) for name in ("train", "valid", "test")]
        assert len(set.union(*units)) == sum(map(len, units))
        return
    times = {name: pd.read_parquet(folder / f"{name}.parquet")["time"] for name in ("train", "valid", "test")}
    assert times["train"].max() < times["valid"].min()
    assert times["valid"].max() < times["test"].min()


def test_model_inputs_are_finite_and_do_not_depend_on_the_other_rows(trained):
    encode = trained.use_case.data.encode
    together = encode(trained.examples.head(8), trained.state)
    alone = [encode(trained.examples.iloc[[row]], trained.state) for row in range(8)]
    predict = trained.use_case.model.open(trained.exported)
    for values in together.values():
        assert np.isfinite(values.astype(float)).all()
    scores = np.concatenate([predict(inputs) for inputs in alone])
    np.testing.assert_allclose(predict(together), scores, rtol=1e-4, atol=1e-4)


def test_row_order_does_not_matter(trained):
    encode, predict = trained.use_case.data.encode, trained.use_case.model.open(trained.exported)
    rows = trained.examples.head(16)
    forward = predict(encode(rows, trained.state))
    backward = predict(encode(rows.iloc[::-1].reset_index(drop=True), trained.state))
    np.testing.assert_allclose(forward, backward[::-1], rtol=1e-4, atol=1e-4)


def test_a_loaded_model_answers_its_golden_requests_and_explains_them_completely(trained):
    service, predict = trained.use_case.service, trained.use_case.model.open(trained.exported)
    for body in service.golden(trained.examples, trained.state, 5):
        request = service.request.model_validate(json.loads(json.dumps(body)))
        first = service.answer(predict, trained.state, request, None)
        again = service.answer(trained.use_case.model.open(trained.exported), trained.state, request, None)
        assert first == again
        for told in service.explain(predict, trained.state, request, None):
            total = told.base + sum(reason.contribution for reason in told.reasons) + told.residual
            assert total == pytest.approx(told.score, rel=1e-4, abs=1e-4)


GOLDEN = 20


def test_a_golden_request_is_no_customers_and_the_same_each_time(trained):
    """Requests as customers would send them are found out by the same comparison: it can see."""
    name, service, k = trained.use_case.name, trained.use_case.service, trained.context.params.anonymise.k
    everybody = known(name, trained.context)
    made = service.golden(trained.examples, trained.state, GOLDEN)
    real = service.from_examples(trained.examples, trained.state, GOLDEN)
    public = {one for table in ("intents", "pages") for one in shown(trained, table)} if name == "service" else set()
    assert len(made) == GOLDEN
    assert len({json.dumps(one) for one in made}) == GOLDEN
    assert made == service.golden(trained.examples.iloc[::-1], trained.state, GOLDEN)
    found = [owners(name, one, everybody) for one in made if one.get("message") not in public]
    assert not [len(one) for one in found if 0 < len(one) < k]
    seen = [len(owners(name, one, everybody)) for one in real]
    assert sum(0 < count < k for count in seen) > len(real) / 2


def shown(trained, table: str) -> set[str]:
    """Return the lines that the shop itself wrote for everybody to read."""
    rows = read_table(trained.context.data("anonymise") / "tables" / table).astype(str)
    return {line.lstrip("# ") for column in rows for value in rows[column] for line in value.split("\n")}


def test_golden_requests_exercise_the_model(trained):
    """Answers differ, and no answer is given to all."""
    service, predict = trained.use_case.service, trained.use_case.model.open(trained.exported)
    bodies = service.golden(trained.examples, trained.state, GOLDEN)
    asked = [service.request.model_validate(body) for body in bodies]
    answers = [service.answer(predict, trained.state, one, None) for one in asked]
    scores = [service.features(*pair, None).get("score") for pair in zip(asked, answers, strict=True)]
    assert len({score for score in scores if score is not None}) >= GOLDEN // 4


def test_what_is_shipped_beside_a_version_holds_no_customers_row(trained):
    """Columns of the drift profile are sorted apart; a row of it is nobody's. Shown explanations are of golden requests."""
    profile = pd.read_parquet(trained.context.data("features") / "profile.parquet")
    for name in profile:
        values = profile[name].dropna().tolist()
        assert values == sorted(values)
    service, predict = trained.use_case.service, trained.use_case.model.open(trained.exported)
    made = [service.request.model_validate(one) for one in service.golden(trained.examples, trained.state, GOLDEN)]
    subjects = {told.subject for one in made for told in service.explain(predict, trained.state, one, None)}
    explanations = read_json(trained.context.data("explain") / "explanations.json")
    assert {one["subject"] for one in explanations["examples"]} <= subjects


def test_a_customer_nobody_knows_gets_an_answer(trained):
    service, predict = trained.use_case.service, trained.use_case.model.open(trained.exported)
    if service.identity is None:
        pytest.skip("answers no customers")
    (known,) = service.golden(trained.examples, trained.state, 1)
    required = {name: known[name] for name, field in service.request.model_fields.items() if field.is_required()}
    request = service.request.model_validate({**required, service.identity: "never seen"})
    assert service.answer(predict, trained.state, request, None)


def test_every_baseline_is_measured_on_the_same_rows(trained):
    found = read_json(trained.context.data("evaluate") / "metrics.json")
    names = {contender["name"] for contender in found["contenders"] if contender["kind"] == "baseline"}
    assert names == set(trained.use_case.judgement.baselines)
    for contender in found["contenders"]:
        for figure in contender["figures"].values():
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_the_drift_features_of_an_answer_are_those_of_the_profile(trained):
    service, predict = trained.use_case.service, trained.use_case.model.open(trained.exported)
    (body,) = service.golden(trained.examples, trained.state, 1)
    request = service.request.model_validate(body)
    told = service.features(request, service.answer(predict, trained.state, request, None), None)
    profile = pd.read_parquet(trained.context.data("features") / "profile.parquet")
    assert set(told) == {*profile.columns, "score"}


def raw_identifiers(trained, tmp_path) -> set[str]:
    """Return every value of the columns that anonymise replaces."""
    plain = opened(trained.context, tmp_path)
    named = {
        table.name: [column.name for column in table.columns if column.treatment == "pseudonym"]
        for table in trained.use_case.data.tables
    }
    frames = [
        pd.read_parquet(path, columns=columns)
        for name, columns in named.items()
        for path in (plain / name).glob("*.parquet")
        if columns
    ]
    return {str(value) for frame in frames for column in frame for value in frame[column].dropna()}


def test_raw_identifiers_end_at_anonymise(trained, tmp_path):
    known = raw_identifiers(trained, tmp_path)
    for name in ("features", "evaluate", "explain"):
        for path in trained.context.data(name).rglob("*.json"):
            text = path.read_text()
            assert not any(f'"{customer}"' in text for customer in known), path
    for name in ("train", "valid", "test", "histories"):
        frame = pd.read_parquet(trained.context.data("features") / f"{name}.parquet")
        assert not set(frame["unit"]) & known


def test_the_card_draws_the_use_cases_own_charts(trained):
    card = (trained.context.reports("explain") / "card.html").read_text()
    assert card.count("<figcaption") == len(trained.use_case.judgement.plots)
