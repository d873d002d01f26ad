"""What is installed and run is what was looked at: the lock's audit, one uv, images by digest."""

import hashlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ml

PROJECT = Path(ml.__file__).parent.parent
LOCK = (PROJECT / "uv.lock").read_text()
RULES = (PROJECT / "deploy" / "audit.toml").read_text()
DIGEST = f"sha256:{hashlib.sha256(b'image').hexdigest()}"
IMAGES = ("AIRFLOW_IMAGE", "POSTGRES_IMAGE", "PYTHON_IMAGE", "SEAWEEDFS_IMAGE", "SERVER_IMAGE")


def audit(*options):
    command = [sys.executable, str(PROJECT / "deploy" / "audit.py"), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def audit_of(folder, lock):
    path = folder / "uv.lock"
    path.write_text(lock)
    return audit("--lock", path)


def test_the_lock_passes_quickly():
    started = time.process_time()
    done = audit()
    assert (done.returncode, done.stderr) == (0, "")
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("found", "planted", "complaint"),
    [
        (r', hash = "sha256:[0-9a-f]{64}"', "", "no SHA-256 of https://"),
        (r'hash = "sha256:[0-9a-f]{64}"', 'hash = "md5:0123"', "no SHA-256 of https://"),
        (r"https://files\.", "http://files.", "is not fetched over https"),
        (r'registry = "https://pypi.org/simple"', 'registry = "https://pypi.example/simple"', "pypi.example"),
        (r'source = \{ registry = "[^"]*" \}', 'source = { git = "https://example.org/x" }', "example.org/x"),
        (r"(?s)\nsdist = .*?\n\]\n", "\n", "has no files"),
    ],
)
def test_a_tampered_lock_is_refused(tmp_path, found, planted, complaint):
    changed, times = re.subn(found, planted, LOCK, count=1)
    done = audit_of(tmp_path, changed)
    assert times == 1
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("Cryptography # yanked: any version", "a line is `name specifier # reason`"),
        ("cryptography>=40", "a line is `name specifier # reason`"),
        ("cryptography ?? # what", "known.txt:1:"),
        ("Cryptography>=40 # yanked by its authors", "yanked by its authors (known.txt:1)"),
    ],
)
def test_versions_known_to_be_bad_are_refused(tmp_path, line, complaint):
    known = tmp_path / "known.txt"
    known.write_text(f"{line}\n# a comment\n\ncryptography<1 # long ago\n")
    done = audit("--known-bad", known)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_list_of_bad_versions_the_rest_is_audited(tmp_path):
    assert audit("--known-bad", tmp_path / "none.txt").returncode == 0


@pytest.mark.parametrize(
    ("found", "planted", "complaint"),
    [
        ('"MIT", ', "", "which is not allowed"),
        (r"(?m)^pygit2 = .*\n", "", "pygit2: states 'GPLv2 with linking exception', which is not allowed"),
        ("GPLv2 with linking exception", "MIT-like", "its exception is for 'MIT-like'"),
        (r"\[exceptions\]", '[exceptions]\ngone = { licence = "x", reason = "y" }', "gone: an exception for what"),
    ],
)
def test_a_licence_needs_to_be_allowed_or_excepted_as_it_stands(tmp_path, found, planted, complaint):
    rules = tmp_path / "audit.toml"
    changed, times = re.subn(found, planted, RULES, count=1)
    rules.write_text(changed)
    done = audit("--rules", rules)
    assert times == 1
    assert done.returncode == 1
    assert complaint in done.stderr


def test_check_audits_and_ci_checks():
    assert "deploy/audit.py" in (PROJECT / "Makefile").read_text()
    assert "make test" in (PROJECT / ".ci" / "run").read_text()
    assert "test: check" in (PROJECT / "Makefile").read_text()


def test_uv_is_one_version_by_hash_wherever_it_is_installed():
    pin = (PROJECT / "deploy" / "uv.txt").read_text()
    assert len(re.findall(r"^uv==[\d.]+ ", pin, re.MULTILINE)) == 1
    assert "--hash=sha256:" in pin
    for path in (PROJECT / "Makefile", PROJECT / "Dockerfile", PROJECT / "deploy" / "airflow.Dockerfile"):
        installs = [line for line in path.read_text().splitlines() if "pip install" in line and "uv pip" not in line]
        assert installs, path
        assert all("--require-hashes -r" in line and "uv.txt" in line for line in installs), path


@pytest.fixture
def checkout(tmp_path):
    """A copy of what `compose-env` reads, to which it writes `.env`."""
    folder = tmp_path / "checkout"
    shutil.copytree(PROJECT / "ml", folder / "ml", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("docker-compose.yml", "pyproject.toml"):
        shutil.copy(PROJECT / name, folder)
    return folder


def compose_env(checkout, *options):
    command = [sys.executable, "-m", "ml", "compose-env", "--home", str(checkout.parent / "home"), *options]
    given = {"PATH": "/usr/bin:/bin", "HOME": str(checkout.parent)}
    return subprocess.run(command, cwd=checkout, env=given, capture_output=True, text=True, check=False, timeout=60)


def test_production_refuses_tags_and_takes_digests(checkout):
    refused = compose_env(checkout, "--production")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    said = "".join(refused.stderr.split())
    assert all(f"{name}=" in said for name in IMAGES)
    assert not (checkout / ".env").exists()

    lines = [f"{name}=registry.example:5000/shop/{name.lower()}@{DIGEST}" for name in IMAGES]
    (checkout / ".env").write_text("\n".join(lines) + "\n")
    assert compose_env(checkout, "--production").returncode == 0
    assert all(line in (checkout / ".env").read_text() for line in lines)

    for loose in ("postgres:17.6", f"postgres@{DIGEST[:-1]}", f"@{DIGEST}", f"postgres@{DIGEST} x"):
        (checkout / ".env").write_text("\n".join([*lines, f"POSTGRES_IMAGE={loose}"]) + "\n")
        assert compose_env(checkout, "--production").returncode == 2, loose
        assert compose_env(checkout).returncode == 0
