"""The generated .env and secret files: whole, private, stable, and read by compose as they were meant."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

import ml
from ml.cli.acting import acting
from ml.config import GRANTS, ROLES, Settings
from ml.errors import ConfigInvalid, StorageUnavailable
from ml.pipeline import PUBLIC
from ml.privacy.overwrite import copies, overwrite
from ml.stack.certificate import private_authority
from ml.stack.compose import VARIABLES, WORKER_USERS, prepare, wait_and_make_buckets
from ml.stack.process import Children, free_port
from ml.stack.role_secrets import read as read_role
from ml.store import Bucket
from tests.other_user import needs_root
from tests.port_probe import answers, listening

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
    files = [path for path in (tmp_path / ".env", *folder.rglob("*")) if path.is_file()]
    assert {path.name for path in files} == {
        ".env",
        "secrets.json",
        "s3.json",
        "passwords.json",
        "store-certificate.pem",
        "custodian.json",
        *("tls.pem", "security.toml", "ports.json"),
        *(f"{role}.json" for role in WORKER_USERS),
    }
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert values["TRADEWIND_UID"] != "0"
    assert (folder / "roles").stat().st_mode & 0o777 == 0o700
    assert (folder / "passwords.json").stat().st_uid == int(values["TRADEWIND_UID"])


def test_a_second_time_changes_nothing_and_keeps_lines_of_others(prepared, tmp_path):
    before = (tmp_path / ".env").read_text()
    certificate = (tmp_path / "home" / "compose" / "store-certificate.pem").read_text()
    (tmp_path / ".env").write_text(f"SEAWEEDFS_IMAGE=registry.example/store:1.0\n{before}")
    prepare(tmp_path, tmp_path / "home", "tradewind")
    assert (tmp_path / "home" / "compose" / "store-certificate.pem").read_text() == certificate
    assert (tmp_path / ".env").read_text() == f"SEAWEEDFS_IMAGE=registry.example/store:1.0\n{before}"


@pytest.mark.parametrize("role", WORKER_USERS)
def test_a_worker_s_file_holds_its_own_role_s_secrets_and_belongs_to_its_own_user(prepared, role):
    values, folder = prepared
    path, known = folder / "roles" / f"{role}.json", read(folder, "secrets.json")
    held = read(folder, f"roles/{role}.json")
    assert held == read_role(path, role)
    assert {f"s3_{role}_access_key", f"s3_{role}_secret_key", *PUBLIC} <= set(held)
    assert {name: known[name] for name in held} == held
    for other in set(WORKER_USERS) - {role}:
        private = set(read(folder, f"roles/{other}.json")) - {*PUBLIC}
        assert not private & set(held), other
    assert not [name for name in held if name.startswith(("airflow_", "weed_", "s3_admin", "s3_serve"))]
    assert WORKER_USERS[role] != int(values["TRADEWIND_UID"])
    if os.getuid() == 0:
        assert path.stat().st_uid == WORKER_USERS[role]


@needs_root
@pytest.mark.parametrize("role", WORKER_USERS)
def test_a_worker_s_user_cannot_read_the_files_of_the_others(role):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        prepare(Path(name), Path(name) / "home", "tradewind")
        folder = Path(name) / "home" / "compose" / "roles"
        for parent in (folder, folder.parent, folder.parent.parent):
            parent.chmod(0o755)  # a container sees the file alone, whatever lies above it
        user = {"user": WORKER_USERS[role], "group": 0, "extra_groups": []}
        done = [
            subprocess.run(["cat", str(folder / f"{one}.json")], **user, capture_output=True, check=False).returncode
            for one in WORKER_USERS
        ]
        assert done == [0 if one == role else 1 for one in WORKER_USERS]


def test_the_file_of_all_roles_of_an_earlier_version_is_removed(tmp_path):
    path = tmp_path / "home" / "compose" / "task-secrets.json"
    prepare(tmp_path, tmp_path / "home", "tradewind")
    path.write_text("{}")
    prepare(tmp_path, tmp_path / "home", "tradewind")
    assert not path.exists()


def test_a_worker_s_user_prepares_nothing(tmp_path, monkeypatch):
    """Its services would share that user's number."""
    monkeypatch.setattr("os.getuid", lambda: WORKER_USERS["train"])
    with pytest.raises(ConfigInvalid, match=str(WORKER_USERS["train"])):
        prepare(tmp_path, tmp_path / "home", "tradewind")


@needs_root
def test_permissions_give_each_folder_and_file_to_its_user_and_close_it(tmp_path):
    script = PROJECT / "deploy" / "permissions.sh"
    (tmp_path / "folder").mkdir(mode=0o777)
    (tmp_path / "file").touch(mode=0o644)
    places = {"folder": (10012, 0o710), "file": (10014, 0o600)}
    command = ["sh", str(script), *(f"{user}:{mode:o}:{tmp_path / name}" for name, (user, mode) in places.items())]
    for _ in range(2):
        subprocess.run(command, check=True)
        for name, (user, mode) in places.items():
            found = (tmp_path / name).stat()
            assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (user, 0, mode)


def test_the_store_knows_each_role_with_its_grants(prepared):
    _, folder = prepared
    users = {user["name"]: user["actions"] for user in read(folder, "s3.json")["identities"]}
    assert set(users) == {"admin", *ROLES}
    assert "Read:tradewind-raw" not in users["train"]
    assert ("Write:tradewind-ledger/*" in users["promote"]) == ("w" in GRANTS["promote"]["ledger"])


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


@pytest.fixture
def compose_store(tmp_path, prepared):
    """SeaweedFS as docker-compose.yml calls it, with free ports, this folder and this machine's loopback: (ports, settings)."""
    _, folder = prepared
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["store"]
    files = {"/run/secrets/store_tls": "store-certificate.pem", "/run/secrets/s3_identities": "s3.json"}
    parts = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    ports = {part: free_port() for part in (*parts, "s3.port.grpc", "s3.port")}
    replaced = {"-dir=/data": "-dir=data", "-s3.ip.bind=0.0.0.0": "-s3.ip.bind=127.0.0.1", "-s3.port=8333": None}
    options = [replaced.get(option, option) for option in service["command"]]
    for inside, name in files.items():
        options = [option and option.replace(inside, str(folder / name)) for option in options]
    variables = {
        name: str(folder / files[value]) if value in files else value for name, value in service["environment"].items()
    }
    program = str(Path(sys.executable).parent / "weed")
    (tmp_path / "data").mkdir()
    children = Children(tmp_path / "run")
    command = [program, *filter(None, options), *(f"-{part}={port}" for part, port in ports.items())]
    children.start("store", command, variables, cwd=tmp_path)
    settings = admin(f"http://127.0.0.1:{ports['s3.port']}", read(folder, "secrets.json"))
    try:
        wait_and_make_buckets(settings)
        yield children.find("store"), ports, settings
    finally:
        children.stop("store")


def test_of_the_store_s_ports_only_the_s3_door_answers(tmp_path, compose_store):
    process, ports, settings = compose_store
    work = Bucket.open(settings, "work")
    for key in ("planted/key", "planted/other"):
        work.put(key, b"what nobody else may see")
    found, _ = listening([process])
    assert set(found) == set(ports.values())
    for port in found:
        for asked, (status, body) in answers(port, tmp_path).items():
            assert b"nobody else" not in body, (port, asked)
            assert b"planted/other" not in body, (port, asked)
            assert port == ports["s3.port"] or (asked[0], status) == ("http", 400), (port, asked, body)
            assert status >= 400 or asked[2] in ("/status", "/metrics"), (port, asked, body)


def test_the_store_s_health_check_has_the_certificate(compose_store, tmp_path, prepared):
    """SeaweedFS's shell, as the health check calls it: an answer with the variables, none without."""
    _, ports, _ = compose_store
    service = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["store"]
    path = str(prepared[1] / "store-certificate.pem")
    held = {name: value.replace("/run/secrets/store_tls", path) for name, value in service["environment"].items()}
    say = service["healthcheck"]["test"][1].partition("|")[0].removeprefix("echo '").strip(" '")
    for variables, is_open in ((held, True), ({}, False)):
        assert (b"buckets" in asked_shell(tmp_path, ports, say, variables)) is is_open


def test_the_custodian_s_folder_vacuums_the_store_and_finds_no_copy(compose_store, prepared, tmp_path, monkeypatch):
    """Nothing but the folder that its container mounts; without the certificate in it nothing is vacuumed."""
    _, ports, settings = compose_store
    place = prepared[1] / "store-admin"
    told = {
        **json.loads((place / "ports.json").read_text()),
        **{part: ports[part] for part in ports if "master" in part},
    }
    (place / "ports.json").write_text(json.dumps(told))
    (place / "data").rmdir()
    (place / "data").symlink_to(tmp_path / "data")
    bucket, key = Bucket.open(settings, "keys"), b"a wrapped key that is to be gone"
    bucket.put("ring", key)
    assert list(copies(place / "data", [key]))
    bucket.delete("ring")
    done = overwrite(settings.model_copy(update={"store_admin": place}), [key.decode()])
    assert "vacuumed; no copy in" in done
    assert "only the store may write" not in done
    assert list(copies(place / "data", [key])) == []
    monkeypatch.setattr("ml.privacy.overwrite.SECONDS", 5)  # SeaweedFS's shell would ask for ever
    (place / "tls.pem").write_text(private_authority("somebody else"))
    with pytest.raises(StorageUnavailable):
        overwrite(settings.model_copy(update={"store_admin": place}), [key.decode()])


def test_the_custodian_s_file_is_enough_for_its_commands_and_holds_no_other_role_s_user(
    prepared, monkeypatch, tmp_path
):
    _, folder = prepared
    path = folder / "custodian.json"
    monkeypatch.setenv("TRADEWIND_SECRETS", str(path))
    monkeypatch.setenv("TRADEWIND_S3_ENDPOINT", "http://127.0.0.1:8333")
    known = read(folder, "secrets.json")
    settings = acting(tmp_path / "none", "custodian", "master_key", "pseudonym_key", "signing_key")
    assert (settings.s3_role, settings.s3_access_key) == ("custodian", known["s3_custodian_access_key"])
    assert settings.s3_endpoint == "http://127.0.0.1:8333"
    for name in ("s3_secret_key", "master_key", "pseudonym_key", "signing_key"):
        wanted = known["s3_custodian_secret_key" if name == "s3_secret_key" else name]
        assert getattr(settings, name).get_secret_value() == wanted
    assert settings.verify_key == known["verify_key"]
    users = {name for name in read(folder, "custodian.json") if name.startswith("s3_")}
    assert users == {"s3_custodian_access_key", "s3_custodian_secret_key"}
    monkeypatch.setenv("TRADEWIND_SECRETS", str(folder / "roles" / "read.json"))
    assert acting(tmp_path / "none", "read").s3_role == "read"
    with pytest.raises(ConfigInvalid, match=r"`custodian` in .*read\.json"):
        acting(tmp_path / "none", "custodian", "master_key")


def asked_shell(folder, ports, say, variables):
    program = str(Path(sys.executable).parent / "weed")
    master, filer = (f"127.0.0.1:{ports[f'{part}.port']}.{ports[f'{part}.port.grpc']}" for part in ("master", "filer"))
    command = [program, "shell", f"-master={master}", f"-filer={filer}"]
    given = {"PATH": os.defpath, "HOME": str(folder), **variables}
    try:
        done = subprocess.run(
            command, input=say.encode(), env=given, cwd=folder / "run", capture_output=True, timeout=6, check=False
        )
    except subprocess.TimeoutExpired as waited:
        return waited.stdout or b""
    return done.stdout


def admin(endpoint, known):
    return Settings(
        s3_endpoint=endpoint, s3_access_key=known["s3_admin_access_key"], s3_secret_key=known["s3_admin_secret_key"]
    )
