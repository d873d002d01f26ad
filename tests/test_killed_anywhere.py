"""Killed at any step of packaging, promoting or rolling back, one whole version is live, and trying again ends well."""

import json
import subprocess
import sys

import numpy as np
import pytest

from ml.files import read_json
from ml.packaging.golden import replay
from ml.registry import ledger
from ml.registry.fetch import fetch_version
from ml.registry.shelf import Shelf
from tests.promotable_run import (
    PROJECT,
    environment_of,
    files_of,
    lay_out_run,
    packaged_run,
    roll_back,
    use_case,
    walk_in,
)

PROMOTE_KILLS, ROLLBACK_KILLS, PACKAGE_KILLS = 22, 14, 14
SEED = 20261124
READ = 2  # steps of reading one more ledger entry: before the request, after its answer
PROMOTED = 2 * READ  # a promotion takes this many more than the last: the ledger's entry and a version's manifest
SPARED = 2  # acts that may end before their last drawn step: what a crash left behind changes how much there is to read


@pytest.fixture(scope="module")
def child(object_store):
    """Run a job in a process that dies at the step named: (was it killed, steps it took)."""
    command = [sys.executable, "-m", "tests.killed_child"]
    options = {"env": environment_of(object_store.settings("promote")), "cwd": PROJECT, "text": True}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:

        def run(fatal=None, **job):
            process.stdin.write(json.dumps({"fatal": fatal, **job}, default=str) + "\n")
            process.stdin.flush()
            told = json.loads(process.stdout.readline())
            return told["killed"], told["steps"]

        yield run
        process.stdin.close()


def drawn(steps, kills, growth=0):
    """Return steps of the whole act, each drawn from its own stretch; each act takes `growth` more than the last.

    Stretches are shorter towards the end, where the move is made and what follows it is written.
    """
    edges = (steps * np.sqrt(np.linspace(0, 1, kills + 1))).astype(int)
    return [int(np.random.default_rng(SEED + i).integers(*edges[i : i + 2])) + growth * i for i in range(kills)]


def ensure_one_valid(held, name, allowed, folder):
    """The ledger holds, no pointer names what it does not, and what is live loads and answers; return its digest."""
    live = ledger.live(held, name, "production").digest
    assert live in allowed
    assert replay(use_case(name), fetch_version(held, name, live, folder)) == 20
    return live


def test_a_promotion_killed_at_any_step(child, promoter, name, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    root, live = packaged_run(runs, promoter, name, seed=0)
    walk_in(promoter, name, root)
    root, live = packaged_run(runs, promoter, name, seed=1, production=live)
    killed, steps = child(act="promote", name=name, root=root)
    assert not killed
    assert steps > 2 * PROMOTE_KILLS
    outcomes, kills = set(), 0
    for number, fatal in enumerate(drawn(steps, PROMOTE_KILLS, growth=PROMOTED)):
        root, candidate = packaged_run(runs, promoter, name, seed=2 + number, production=live)
        kills += child(fatal, act="promote", name=name, root=root)[0]
        found = ensure_one_valid(promoter, name, {live, candidate}, tmp_path / "kept")
        outcomes.add(found == candidate)
        assert walk_in(promoter, name, root)["is_new"] is (found == live)
        assert ledger.repair(promoter, name) == ()
        live = candidate
    assert kills >= PROMOTE_KILLS - SPARED
    assert outcomes == {True, False}
    assert ledger.live(promoter, name, "production").digest == live
    assert len(ledger.history(promoter, name)) == 2 + PROMOTE_KILLS


def test_a_rollback_killed_at_any_step(child, promoter, name, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    root, back = packaged_run(runs, promoter, name, seed=0)
    walk_in(promoter, name, root)
    root, live = packaged_run(runs, promoter, name, seed=1, production=back)
    walk_in(promoter, name, root)
    killed, steps = child(act="rollback", name=name, digest=back)
    assert not killed
    back, live = live, back
    outcomes, kills = set(), 0
    for fatal in drawn(steps, ROLLBACK_KILLS, growth=READ):
        kills += child(fatal, act="rollback", name=name, digest=back)[0]
        found = ensure_one_valid(promoter, name, {live, back}, tmp_path / "kept")
        outcomes.add(found == back)
        assert roll_back(promoter, name, back).is_new is (found == live)
        assert ledger.repair(promoter, name) == ()
        back, live = live, back
    assert kills >= ROLLBACK_KILLS - SPARED
    assert outcomes == {True, False}
    assert len(ledger.history(promoter, name)) == 3 + ROLLBACK_KILLS


def test_a_collection_killed_at_any_step(child, promoter, name, tmp_path):
    live = None
    for seed in range(4):
        root, live = packaged_run(tmp_path, promoter, name, seed=seed, production=live)
        walk_in(promoter, name, root)
    for fatal in (25, 60, 70, 80):  # reading takes the first; then versions, manifests and blobs go
        assert child(fatal, act="collect", name=name) == (True, None)
        ensure_one_valid(promoter, name, {live}, tmp_path / "kept")
    assert child(act="collect", name=name)[0] is False
    assert Shelf.open(promoter, name).versions() == {live}
    ensure_one_valid(promoter, name, {live}, tmp_path / "kept")


def test_packaging_killed_at_any_step(child, promoter, name, tmp_path):
    context = lay_out_run(tmp_path / "run", promoter, name=name)
    job = {"act": "package", "name": name, "root": context.root}
    killed, steps = child(**job)
    assert not killed
    whole = files_of(context.data("package"))
    for fatal in drawn(steps, PACKAGE_KILLS):
        assert child(fatal, **job) == (True, None)
        assert child(**job)[0] is False
        assert files_of(context.data("package")) == whole
    walk_in(promoter, name, context.root)
    assert (
        ledger.live(promoter, name, "production").digest
        == read_json(context.data("package") / "version.json")["digest"]
    )
