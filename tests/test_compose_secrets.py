"""The generated .env and secret files: whole, private, stable, and read by compose as they were meant."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

import ml
from ml.config import GRANTS, ROLES, Settings
from ml.errors import StorageUnavailable
from ml.stack.compose import VARIABLES, prepare, task_secrets, wait_and_make_buckets
from ml.stack.process import Children, free_port
from ml.stack.secret import load_or_generate
from ml.store import Bucket

PROJECT = Path(ml.__file__).parent.parent


@pytest.fixture
def prepared(tmp_path):
    """A project's .env as compose reads it, and the folder of the secret files."""
    path = prepare(tmp_path, tmp_path / "home", "tradewind")
    values = dotenv_values(path)
    return values, Path(values["TRADEWIND_SECRET_DIR"])


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_every_variable_has_the_generated_value_even_over_several_lines(prepared):
    values, folder = prepared
    known = read(folder, "secrets.json")
    assert {name: values[name] for name in VARIABLES} == {name: known[secret] for name, secret in VARIABLES.items()}
    assert values["VERIFY_KEY"].count("\n") > 1
    assert len(values["POSTGRES_PASSWORD"]) == 64


def test_files_are_for_their_owner_alone_and_the_owner_is_not_root(prepared, tmp_path):
    values, folder = prepared
    files = [tmp_path / ".env", *folder.iterdir()]
    assert {path.name for path in files} == {
        ".env",
        "secrets.json",
        "s3.json",
        "passwords.json",
        "task-secrets.json",
        "store-tls.pem",
    }
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert values["TRADEWIND_UID"] != "0"
    assert (folder / "task-secrets.json").stat().st_uid == int(values["TRADEWIND_UID"])


def test_a_second_time_changes_nothing_and_keeps_lines_of_others(prepared, tmp_path):
    before = (tmp_path / ".env").read_text()
    certificate = (tmp_path / "home" / "compose" / "store-tls.pem").read_text()
    (tmp_path / ".env").write_text(f"SEAWEEDFS_IMAGE=registry.example/store:1.0\n{before}")
    prepare(tmp_path, tmp_path / "home", "tradewind")
    assert (tmp_path / "home" / "compose" / "store-tls.pem").read_text() == certificate
    assert (tmp_path / ".env").read_text() == f"SEAWEEDFS_IMAGE=registry.example/store:1.0\n{before}"


def test_tasks_get_no_login_no_key_of_airflow_and_no_admin(prepared):
    _, folder = prepared
    names = set(read(folder, "task-secrets.json"))
    assert {"pseudonym_key", "signing_key", "server_token", "verify_key", "s3_promote_secret_key"} <= names
    assert not [name for name in names if name.startswith(("airflow_", "weed_", "s3_admin", "s3_serve"))]


def test_the_tasks_file_is_one_that_the_task_plugin_takes(prepared):
    _, folder = prepared
    if os.getuid() == 0:
        os.chown(folder / "task-secrets.json", 0, 0)
    assert load_or_generate(folder / "task-secrets.json") == task_secrets(read(folder, "secrets.json"))


def test_the_store_knows_each_role_with_its_grants(prepared):
    _, folder = prepared
    users = {user["name"]: user["actions"] for user in read(folder, "s3.json")["identities"]}
    assert set(users) == {"admin", *ROLES}
    assert "Read:tradewind-raw" not in users["train"]
    assert ("Write:tradewind-ledger" in users["promote"]) == ("w" in GRANTS["promote"]["ledger"])


def test_buckets_are_made_where_they_are_missing(object_store):
    admin = Settings(
        s3_endpoint=object_store.endpoint,
        s3_prefix="compose",
        s3_access_key=object_store.secrets["s3_admin_access_key"],
        s3_secret_key=object_store.secrets["s3_admin_secret_key"],
    )
    wait_and_make_buckets(admin)
    wait_and_make_buckets(admin)
    bucket = Bucket.open(admin, "models")
    bucket.put("a", b"1")
    assert bucket.name == "compose-models"
    assert bucket.get("a") == b"1"


def test_a_store_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("ml.stack.compose.STORE_SECONDS", 0.5)
    endpoint = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StorageUnavailable, match=endpoint):
        wait_and_make_buckets(Settings(s3_endpoint=endpoint, s3_attempts=1, s3_access_key="a", s3_secret_key="b"))


def test_the_store_s_grpc_door_is_shut_by_a_certificate_that_nobody_holds(tmp_path, prepared):
    """SeaweedFS with the variables of docker-compose.yml: S3 answers, gRPC refuses who brings no certificate."""
    grpc = pytest.importorskip("grpc")
    _, folder = prepared
    options = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["store"]["environment"]
    tls = {name: str(folder / "store-tls.pem") for name in options}
    assert set(options.values()) == {"/run/secrets/store_tls"}
    door, inner = free_port(), free_port()
    children = Children(tmp_path / "run")
    (tmp_path / "data").mkdir()
    command = [*weed(), "-s3.config", str(folder / "s3.json"), f"-s3.port={door}", f"-s3.port.grpc={inner}"]
    children.start("store", command, tls, cwd=tmp_path)
    try:
        wait_and_make_buckets(admin(f"http://127.0.0.1:{door}", read(folder, "secrets.json")))
        with grpc.insecure_channel(f"127.0.0.1:{inner}") as channel:
            assert list_policies(grpc, channel) == "UNAVAILABLE"  # without the variables: OK
    finally:
        children.stop("store")


def list_policies(grpc, channel):
    call = channel.unary_unary("/messaging_pb.SeaweedS3IamCache/ListPolicies")
    try:
        call(b"", timeout=5)
    except grpc.RpcError as refusal:
        return refusal.code().name
    return "OK"


def weed():
    """The store on free ports, all on loopback."""
    parts = ("master", "volume", "filer", "admin")
    inner = [f"-{part}.port{kind}={free_port()}" for part in parts for kind in ("", ".grpc")]
    quiet = ("-master.telemetry=false", "-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
    program = Path(sys.executable).parent / "weed"
    return [
        str(program),
        "-logtostderr=true",
        "mini",
        "-dir=data",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *inner,
        *quiet,
    ]


def admin(endpoint, known):
    return Settings(
        s3_endpoint=endpoint, s3_access_key=known["s3_admin_access_key"], s3_secret_key=known["s3_admin_secret_key"]
    )
