"""Whatever environment a command is started from, its result is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.environment import inherited, settings_of
from tests.promotable_run import packaged_run, walk_in

NAME = "toy-environment"
NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=20)


@pytest.fixture(scope="module")
def history(object_store, tmp_path_factory):
    """Run `history` on a ledger with one entry whose reason is no ASCII, in an environment with changes."""
    promoter = object_store.settings("promote")
    run, _ = packaged_run(tmp_path_factory.mktemp("runs"), promoter, NAME, seed=1)
    walk_in(promoter, NAME, run, why="größere Körbe 🛒")
    reader = object_store.settings("read")
    plain = {
        "PATH": os.environ["PATH"],
        "TRADEWIND_S3_ENDPOINT": reader.s3_endpoint,
        "TRADEWIND_S3_ROLE": "read",
        "TRADEWIND_S3_ACCESS_KEY": reader.s3_access_key,
        "TRADEWIND_S3_SECRET_KEY": reader.s3_secret_key.get_secret_value(),
        "TRADEWIND_VERIFY_KEY": reader.verify_key,
        "COLUMNS": "80",
    }

    def run_with(*arguments: str, **changes: str) -> str:
        command = [sys.executable, "-m", "ml", "history", NAME, *arguments]
        done = subprocess.run(command, env={**plain, **changes}, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode("utf-8")

    return run_with


@pytest.fixture(scope="module")
def usual(history):
    found = history()
    assert "größere Körbe 🛒" in found
    return found


@pytest.fixture
def shadow(tmp_path):
    """A folder whose modules would replace real ones."""
    for name in ("yaml", "boto3", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    return str(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
        dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9"),
        {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "example.org"},
        {"AWS_PROFILE": "nobody", "AWS_DEFAULT_PROFILE": "nobody", "AWS_SESSION_TOKEN": "stale"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"},
        {"AWS_MAX_ATTEMPTS": "1", "AWS_USE_FIPS_ENDPOINT": "true", "AWS_S3_ADDRESSING_STYLE": "virtual"},
        {"LC_ALL": "C", "LANG": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONIOENCODING": "latin-1"},
        {"TZ": "Asia/Shanghai"},
        {"TZ": "no such zone"},
        {"PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "PYTHONHASHSEED": "7"},
        {"PYTHONSAFEPATH": "1"},
        {"HOME": "/nonexistent"},
        {"PYTHONINSPECT": "1"},
    ],
    ids=lambda changes: " ".join(f"{name}={value}" for name, value in changes.items())[:60],
)
def test_a_strange_environment_gives_the_usual_result(history, usual, changes):
    assert history(**changes) == usual


def test_modules_on_a_persons_path_replace_none_of_ours(history, usual, shadow):
    assert history(PYTHONPATH=shadow) == usual


def test_an_aws_configuration_file_is_not_read(history, usual, tmp_path):
    told = tmp_path / "config"
    told.write_text(
        "[default]\nendpoint_url = http://127.0.0.1:9\nmax_attempts = 1\ns3 =\n  addressing_style = virtual\n"
    )
    assert history(AWS_CONFIG_FILE=str(told), AWS_SHARED_CREDENTIALS_FILE=str(told)) == usual
    (tmp_path / ".aws").mkdir()
    told.rename(tmp_path / ".aws" / "config")
    assert history(HOME=str(tmp_path)) == usual


def test_times_in_the_ledger_are_utc_in_every_zone(history):
    here, there = (json.loads(history("--json", TZ=zone)) for zone in ("UTC", "America/Los_Angeles"))
    assert here == there
    assert here["when"].endswith(("Z", "+00:00"))


@given(st.dictionaries(NAMES, st.text(max_size=10), max_size=30))
def test_only_listed_names_are_taken_over_whatever_there_is(given_variables):
    usual = inherited({})
    found = inherited({**given_variables, "AWS_SECRET_ACCESS_KEY": "x", "TRADEWIND_SIGNING_KEY": "y"})
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert not settings_of(found)
    changed = {name for name in found if found[name] != usual.get(name)}
    assert all(found[name] == given_variables.get(name) for name in changed if "PROXY" not in name.upper())


@pytest.mark.parametrize("listed", ["", "example.org", "127.0.0.1,example.org"])
def test_loopback_is_reached_directly_and_other_hosts_through_the_proxy(listed):
    found = inherited({"HTTPS_PROXY": "http://proxy:3128", "no_proxy": listed})
    assert found["https_proxy"] == found["HTTPS_PROXY"] == "http://proxy:3128"
    direct = found["no_proxy"].split(",")
    assert {"127.0.0.1", "localhost", "::1"} <= set(direct)
    assert len(direct) == len(set(direct))
    assert set(filter(None, listed.split(","))) <= set(direct)


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks5h://user:word@proxy:1080", "ftp://proxy", "http://[", "//"]
)
def test_a_proxy_that_our_clients_cannot_use_stops_none_of_them(monkeypatch, proxy):
    for name in [name for name in os.environ if "PROXY" in name.upper()]:
        monkeypatch.delenv(name)
    for name, value in inherited({"ALL_PROXY": proxy, "https_proxy": proxy}).items():
        monkeypatch.setenv(name, value)
    httpx.Client().close()


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "https://user:word@proxy", "proxy:3128"])
def test_a_proxy_that_our_clients_can_use_is_used(proxy):
    assert inherited({"ALL_PROXY": proxy})["all_proxy"] == proxy
