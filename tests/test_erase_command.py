"""The commands of an erasure, as a custodian types them, on a store of their own."""

import json
import os
import subprocess
import sys

import pytest

from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import pseudonym, read_key
from ml.store import Bucket
from tests.conftest import running_store
from tests.promotable_run import PROJECT, environment_of

PLANTED = "71234"


@pytest.fixture
def store(tmp_path):
    with running_store(tmp_path) as made:
        yield made


def test_an_erasure_from_the_command_line_is_found_done_proven_and_its_proof_is_missed(store):
    custodian = store.settings("custodian")
    unit = pseudonym(read_key(custodian), "customer_id", PLANTED)
    KeyRing.open(store.settings("ingest"), "fraud").of_customers([PLANTED])
    requests, ledger = Bucket.open(custodian, "requests"), Bucket.open(custodian, "ledger")
    for use_case in ("fraud", "service"):
        requests.put(f"events/{use_case}/2026-07-01/a.jsonl", f'{{"unit":"{unit}"}}\n'.encode())
    admin = store.home / "store"
    own = {"TRADEWIND_HOME": str(store.home), "TRADEWIND_S3_ROLE": "custodian", "TRADEWIND_STORE_ADMIN": str(admin)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRADEWIND_")}
    environment = {**kept, **environment_of(custodian), **own}

    def tradewind(*arguments):
        command = [sys.executable, "-m", "ml", *arguments]
        return subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)

    asked = ("erase", f" {PLANTED}.0 ", "--reason", "asked on Monday")
    trial = tradewind(*asked, "--dry-run")
    assert (trial.returncode, "fraud: key" in trial.stdout, "service: key" in trial.stdout) == (0, True, True), (
        trial.stderr
    )
    assert "recommend" not in trial.stdout
    assert len(list(requests.keys("events/"))) == 2
    done = tradewind(*asked, "--yes")
    assert done.returncode == 0, done.stderr
    assert "fraud: erased, proof in the ledger" in done.stdout
    assert "vacuumed; no copy in" in done.stdout
    assert list(requests.keys("events/")) == []
    assert PLANTED not in done.stdout + done.stderr
    held = tradewind("verify", "--ledger", "--use-case", "fraud")
    assert held.stdout == "fraud: 1 ledger entries hold, and 1 documents that they name\n"
    requests.put("requests/fraud/2026-07-01/restored.jsonl", f'{{"unit":"{unit}"}}\n'.encode())
    assert tradewind("erasures", "--use-case", "fraud").stdout == "fraud: 1 things of erased customers removed\n"
    assert list(requests.keys("requests/")) == []
    ledger.delete(next(iter(ledger.keys("erasures/fraud/"))))
    missed = tradewind("verify", "--ledger", "--use-case", "fraud")
    assert (missed.returncode, "the proof of erasure" in missed.stderr) == (7, True)


def test_the_embedded_stack_hands_its_custodian_what_a_look_at_all_erasures_needs(store):
    ports = {"airflow_port": 1, "health_port": 2, "s3_port": int(store.endpoint.rsplit(":", 1)[1]), "server_port": 3}
    (store.home / "stack.json").write_text(json.dumps({**ports, "prefix": "tradewind"}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRADEWIND_")}
    command = [sys.executable, "-m", "ml", "erasures", "--home", str(store.home)]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "fraud: 0 things of erased customers removed" in done.stdout
