"""The command line tells whole digests, one JSON object a line, and an exit code for each kind of refusal."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.promotable_run import packaged_run, walk_in

NAME = "toy-command-line"


@pytest.fixture(scope="module")
def moves(object_store, tmp_path_factory):
    """Two versions, one promoted after the other; their digests."""
    folder, promoter = tmp_path_factory.mktemp("runs"), object_store.settings("promote")
    first, old = packaged_run(folder, promoter, NAME, seed=1)
    walk_in(promoter, NAME, first)
    second, new = packaged_run(folder, promoter, NAME, seed=2, production=old)
    walk_in(promoter, NAME, second, why="drift of [amounts]")
    return old, new


@pytest.fixture
def tradewind(object_store):
    reader = object_store.settings("read")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TRADEWIND_")},
        "TRADEWIND_S3_ENDPOINT": reader.s3_endpoint,
        "TRADEWIND_S3_ROLE": "read",
        "TRADEWIND_S3_ACCESS_KEY": reader.s3_access_key,
        "TRADEWIND_S3_SECRET_KEY": reader.s3_secret_key.get_secret_value(),
        "TRADEWIND_VERIFY_KEY": reader.verify_key,
        "COLUMNS": "60",
    }

    def run(*arguments, **changes):
        command = [sys.executable, "-m", "ml", *arguments]
        return subprocess.run(command, env={**environment, **changes}, capture_output=True, text=True, check=False)

    return run


def test_history_tells_whole_digests_even_on_a_narrow_terminal(tradewind, moves):
    done = tradewind("history", NAME)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert f"from {moves[0]}" in lines
    assert f"to   {moves[1]}" in lines
    assert "why  drift of [amounts]" in lines
    assert "from nothing" in lines


def test_history_as_json_is_one_entry_a_line(tradewind, moves):
    entries = [json.loads(line) for line in tradewind("history", NAME, "--json").stdout.splitlines()]
    assert [(entry["seq"], entry["to_digest"]) for entry in entries] == [(1, moves[0]), (2, moves[1])]
    assert entries[1]["from_digest"] == moves[0]


def test_verify_counts_the_entries_and_checks_a_version(tradewind, moves):
    held = tradewind("verify", "--ledger", "--use-case", NAME).stdout
    assert re.fullmatch(rf"{NAME}: 2 ledger entries hold, and \d+ documents that they name\n", held)
    verified = tradewind("verify", moves[1], "--use-case", NAME).stdout
    assert "holds: signature, digests, parts, gate report" in verified


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("verify", f"sha256:{'0' * 64}"), 6, "ModelNotFound"),
        (("run", "nothing"), 2, "one of the use cases"),
        (("bench", "nothing"), 2, "ConfigInvalid"),
        (("intents", "none.csv", "none.csv"), 3, "SourceInvalid"),
        (("stage", "ingest", "recommend"), 7, "inputs.json"),
        (("history",), 2, "Missing argument"),
        (("checkpoint", "/dev/null"), 2, "/dev/null"),
    ],
)
def test_a_mistake_gets_its_exit_code_and_no_stack_trace(tradewind, arguments, code, told):
    done = tradewind(*arguments)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_history_says_when_a_ledger_has_no_entry(tradewind):
    done = tradewind("history", "inventory")
    assert (done.returncode, done.stdout) == (0, "nothing was promoted yet\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRADEWIND_LOG", "loud"),
        ("TRADEWIND_MIN_FREE_MB", "much"),
        ("TRADEWIND_POLL_SECONDS", "-1"),
        ("TRADEWIND_S3_ROLE", "king"),
    ],
)
@pytest.mark.parametrize("command", [("history", "inventory"), ("up",)])
def test_a_setting_that_is_none_is_named(tradewind, tmp_path, command, name, value):
    done = tradewind(*command, **{"TRADEWIND_HOME": str(tmp_path / "home"), name: value})
    assert "Traceback" not in done.stderr
    assert (done.returncode, name in done.stderr) == (2, True), done.stderr
