"""A stage's process holds the secrets of its own role, and no path to those of another."""

import json
import os
import subprocess
import sys

import pytest

from ml.config import ROLES as ALL_ROLES
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import read_json
from ml.packaging.signing import Signer, Verifier
from ml.pipeline import PUBLIC, ROLES, RUN_KEYS, UPKEEP
from ml.stack.role_secrets import read, split, stage_environment
from ml.stack.secret import load_all, load_or_generate

OF_A_STAGE = {
    "ingest": {"pseudonym_key", "master_key", "freeze_key"},
    "validate": {"master_key", "freeze_key"},
    "features": {"train_key"},
    "package": {"train_key"},
    "promote": {"signing_key"},
    "serve": {"server_token", "signing_key"},
    "monitor": set(),
    "notify": set(),
    "versions": {"signing_key"},
    "objects": set(),
    "requests": set(),
    "airflow": set(),
    "summary": set(),
}
"""Generated secrets beside the S3 user's, as docs/stack.md lists them."""
WORKER = {
    "PATH": os.environ["PATH"],
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://airflow:db-password@host/db",
    "AIRFLOW__API_AUTH__JWT_SECRET": "jwt-secret",
    "AWS_SECRET_ACCESS_KEY": "of-somebody-else",
    "LD_PRELOAD": "/tmp/evil.so",
    "TRADEWIND_SECRETS": "/home/secrets",
    "TRADEWIND_MASTER_KEY": "left-in-the-shell",
    "TRADEWIND_SIGNING_KEY": "left-in-the-shell",
    "TRADEWIND_LLM_KEY": "of-the-model-server",
    "TRADEWIND_SOURCE_PASSWORD": "of-the-shop",
    "TRADEWIND_NOTIFY_WEBHOOK": "https://chat.example/hook",
    "TRADEWIND_AIRFLOW_DATABASE": "postgresql://airflow:airflow-password@host/airflow",
    "TRADEWIND_S3_ENDPOINT": "http://127.0.0.1:8333",
    "TRADEWIND_ANSWER_HOURS": "12",
}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return load_or_generate(tmp_path_factory.mktemp("stack") / "secrets.json")


@pytest.fixture(scope="module")
def folder(known, tmp_path_factory):
    return split(known, tmp_path_factory.mktemp("home") / "secrets")


def seen_by(stage, place):
    """Return the environment that a process of the stage really has."""
    script = "import os, json; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", script],
        env=stage_environment(stage, place, WORKER),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("stage", OF_A_STAGE)
def test_a_process_sees_the_secrets_of_its_stage_alone(stage, folder, known):
    seen = seen_by(stage, folder)
    quoted = {name: value.replace("\n", "\\n") for name, value in known.items() if name not in PUBLIC}
    held = {name for name, value in quoted.items() if value in seen}
    role = {**ROLES, **UPKEEP}[stage]
    assert held == OF_A_STAGE[stage] | {f"s3_{role}_{part}_key" for part in ("access", "secret") if role}
    for foreign in (
        "db-password",
        "jwt-secret",
        "of-somebody-else",
        "left-in-the-shell",
        "of-the-model",
        "evil",
        "/home/secrets",
    ):
        assert foreign not in seen
    assert ("of-the-shop" in seen) == (stage == "ingest")
    assert ("chat.example" in seen) == (stage in {"notify", "summary"})
    assert ("airflow-password" in seen) == (stage == "airflow")
    assert '"TRADEWIND_ANSWER_HOURS": "12"' in seen


def test_every_stage_has_a_role_and_every_role_a_file_for_its_owner_alone(folder, known):
    assert {path.name for path in folder.iterdir()} == {f"{role}.json" for role in ALL_ROLES}
    assert folder.stat().st_mode & 0o777 == 0o700
    private = {}
    for role in ALL_ROLES:
        assert (folder / f"{role}.json").stat().st_mode & 0o777 == 0o600
        for name in read_json(folder / f"{role}.json").keys() - {*PUBLIC}:
            private.setdefault(name, set()).add(role)
    assert not [name for name in private if name.startswith(("airflow_", "weed_", "s3_admin"))]
    assert {name: roles for name, roles in private.items() if len(roles) > 1} == {}
    assert set(ROLES.values()) <= set(ALL_ROLES)


def test_a_worker_of_one_role_needs_that_roles_file_and_no_other(folder, tmp_path):
    (tmp_path / "train.json").write_bytes((folder / "train.json").read_bytes())
    (tmp_path / "train.json").chmod(0o600)
    assert stage_environment("package", tmp_path, WORKER) == stage_environment("package", folder, WORKER)
    with pytest.raises(ConfigInvalid, match=r"`promote` in .*promote\.json"):
        stage_environment("promote", tmp_path, WORKER)


def test_one_file_with_the_secrets_of_several_roles_gives_each_its_own(folder, known, tmp_path):
    whole = tmp_path / "secrets.json"
    load_or_generate(whole)
    assert read(whole, "train").keys() == read(folder, "train").keys()
    (folder.parent / "open").mkdir()
    loose = folder.parent / "open" / "read.json"
    loose.write_text("{}")
    loose.chmod(0o644)
    with pytest.raises(ConfigInvalid, match="readable by its owner alone"):
        read(folder.parent / "open", "read")


def test_an_installation_from_before_gets_the_keys_of_the_roles_as_pairs(known, tmp_path):
    path = tmp_path / "secrets.json"
    before = {name: value for name, value in known.items() if not name.startswith(tuple(RUN_KEYS.values()))}
    path.touch(mode=0o600)
    path.write_text(json.dumps(before))
    after = load_all(path)
    assert {name: after[name] for name in before} == before
    for name in RUN_KEYS.values():
        signed = Signer(after[f"{name}_key"]).sign("x", b"told")
        assert Verifier(after[f"{name}_verify_key"]).verify(signed, "x") == b"told"
        others = [after[f"{other}_verify_key"] for other in RUN_KEYS.values() if other != name]
        with pytest.raises(IntegrityBroken):
            Verifier("\n".join([*others, after["verify_key"]])).verify(signed, "x")
