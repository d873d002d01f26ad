"""The runnable image, a version on top of the runtime base, starts the model server without TensorFlow."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

import ml
from ml.packaging.image import assemble
from ml.packaging.lock import libraries
from ml.packaging.oci import Layout
from ml.packaging.version import build
from ml.stack.process import free_port

PROJECT = Path(ml.__file__).parent.parent
BUILD_SECONDS = 600
READY_SECONDS = 30

missing = [tool for tool in ("podman", "skopeo") if shutil.which(tool) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="session")
def containers(tmp_path_factory):
    """The environment in which podman works here: runc where it is, since crun fails on hybrid cgroups."""
    if shutil.which("runc") is None or "CONTAINERS_CONF" in os.environ:
        return dict(os.environ)
    path = tmp_path_factory.mktemp("podman") / "containers.conf"
    limits = 'default_ulimits=["nofile=1024:1024","nproc=1024:1024"]'
    path.write_text(f'[engine]\nruntime="runc"\n[containers]\n{limits}\n')
    return {**os.environ, "CONTAINERS_CONF": str(path)}


@pytest.fixture(scope="session")
def runtime_base(tmp_path_factory, containers):
    """OCI layout of the runtime base: the one that is set, or built here."""
    if "TRADEWIND_RUNTIME_BASE" in os.environ:
        return Path(os.environ["TRADEWIND_RUNTIME_BASE"])
    folder = tmp_path_factory.mktemp("base") / "oci"
    command = [str(PROJECT / "deploy" / "build-base.sh"), str(folder)]
    done = subprocess.run(command, check=False, env=containers, capture_output=True, text=True, timeout=BUILD_SECONDS)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:]
        pytest.skip(f"no runtime base can be built here (no registry, or no debootstrap as root): {reason}")
    return folder


@pytest.fixture(scope="session")
def runnable(tmp_path_factory, runtime_base, containers):
    """A runnable image in podman's storage: (its record, its name)."""
    folder = tmp_path_factory.mktemp("version")
    (folder / "contents" / "model").mkdir(parents=True)
    (folder / "contents" / "model" / "weights.bin").write_bytes(b"1234")
    (folder / "contents" / "version.json").write_text('{"use_case": "toy"}')
    layout = Layout.create(folder / "oci")
    version = build(layout, folder / "contents", {"use_case": "toy", "variant": "int8"})
    image = assemble(layout, version, runtime_base)
    name = f"localhost/tradewind-test:{uuid.uuid4().hex[:12]}"
    run(containers, "skopeo", "copy", "--quiet", f"oci:{layout.folder}:image", f"containers-storage:{name}")
    yield image, name
    run(containers, "podman", "rmi", "--force", name)


def run(environment, *command):
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def inside(containers, name, script):
    """Run Python in a container without a network."""
    return run(containers, "podman", "run", "--rm", "--network=none", name, "python", "-c", script)


def test_podman_holds_the_recorded_digest(runnable, containers):
    image, name = runnable
    assert run(containers, "podman", "image", "inspect", "--format", "{{.Digest}}", name) == image.digest


def test_image_holds_the_version_where_the_server_looks(runnable, containers):
    _, name = runnable
    script = "import pathlib; print(sorted(str(p) for p in pathlib.Path('/models').rglob('*') if p.is_file()))"
    assert inside(containers, name, script) == "['/models/model/weights.bin', '/models/version.json']"


def test_image_runs_as_nobody_special_and_cannot_change_its_code(runnable, containers):
    _, name = runnable
    script = (
        "import os; print(os.getuid(), [p for p in ('/app', '/models', '/opt/venv', '/') if os.access(p, os.W_OK)])"
    )
    assert inside(containers, name, script) == "10001 []"


def test_image_has_neither_tensorflow_nor_the_pipeline(runnable, containers):
    _, name = runnable
    script = (
        "import importlib.util as u; "
        "print([n for n in ('tensorflow', 'airflow', 'dvc', 'great_expectations', 'pip') if u.find_spec(n)])"
    )
    assert inside(containers, name, script) == "[]"


def test_image_can_load_every_kind_of_model(runnable, containers):
    _, name = runnable
    assert (
        inside(containers, name, "import ai_edge_litert.interpreter, lightgbm; print(lightgbm.__name__)") == "lightgbm"
    )


def test_image_holds_exactly_the_libraries_of_the_bill_of_materials(runnable, containers):
    _, name = runnable
    script = (
        "import importlib.metadata as m; "
        "print(sorted((d.name.lower().replace('_', '-').replace('.', '-'), d.version) for d in m.distributions()))"
    )
    locked = libraries((PROJECT / "uv.lock").read_bytes())
    assert inside(containers, name, script) == str([(library.name, library.version) for library in locked])


def test_the_program_is_found_from_any_folder_and_with_no_variables(runnable, containers):
    _, name = runnable
    python = "/opt/venv/bin/python"
    command = ("--workdir=/tmp", name, "env", "-i", python, "-m", "ml", "--help")
    assert "compose-env" in run(containers, "podman", "run", "--rm", "--network=none", *command)


def test_server_in_the_image_starts_and_stops(runnable, containers, object_store):
    _, name = runnable
    port, container = free_port(), f"tradewind-test-{uuid.uuid4().hex[:12]}"
    settings = object_store.settings("serve")
    variables = {
        "TRADEWIND_S3_ENDPOINT": settings.s3_endpoint,
        "TRADEWIND_S3_ACCESS_KEY": settings.s3_access_key,
        "TRADEWIND_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
        "TRADEWIND_VERIFY_KEY": settings.verify_key,
        "TRADEWIND_PSEUDONYM_KEY": settings.pseudonym_key.get_secret_value(),
        "TRADEWIND_SERVER_TOKEN": settings.server_token.get_secret_value(),
    }
    options = [part for key in variables for part in ("--env", key)]
    serve = ["python", "-m", "ml", "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**containers, **variables}
    run(environment, "podman", "run", "--detach", "--network=host", "--name", container, *options, name, *serve)
    try:
        assert health(port)["alive"] is True
        run(containers, "podman", "stop", "--time", "25", container)
        assert run(containers, "podman", "inspect", "--format", "{{.State.ExitCode}}", container) == "0"
    finally:
        run(containers, "podman", "rm", "--force", container)


def health(port):
    """Return the server's health once it answers."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "the server did not answer"
            time.sleep(0.2)
