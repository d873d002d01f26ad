"""Every command with every argument malformed, and with every file it reads spoilt: a clear error, and no stack trace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ml.cli.main import app, call

EXIT_CODES = range(1, 12)
DIGEST = f"sha256:{'0' * 64}"
A_DIGEST = {"digest", "to", "verdict"}
FITTING = {
    "use_case": "rating",
    "digest": DIGEST,
    "to": DIGEST,
    "reason": "because",
    "kind": "accept",
    "role": "train",
    "run": "no-such-run",
    "subject": "no such customer",
    "customer": "4711",
    "table": "ratings",
    "column": "stars",
    "unit": "0" * 32,
    "request_id": "0" * 40,
    "name": "ingest",
    "train": "{}",
    "request": "{}",
    "folder": "@missing",
    "path": "@missing",
    "test": "@missing",
}
TEXTS = ("", "../../etc/passwd", "x" * 3000, "ünbekannt", "\udcff", "\x1b[31mred")
NUMBERS = ("x", "-1", "1e400", "nan", "9" * 40)
DAYS = ("31.12.2017", "2017-02-30", "0000-00-00", "tomorrow")
MAKING_HOMES = {"up", "run", "keep", "compose-env"}
"""Commands for which a home that is not there yet is no mistake."""


def commands() -> dict[str, Any]:
    return dict(typer.main.get_command(app).commands)


def malformed(param: Any) -> tuple[str, ...]:
    kind = param.type_descriptor
    if getattr(param, "is_bool_flag", False):
        return ()
    if kind.is_datetime:
        return DAYS
    if kind.is_choice:
        return ("", "nonsense")
    if kind.is_path:
        return ("@missing/deeper/still", "@file/below", "@binary")
    return NUMBERS if kind.annotation in (int, float) or kind.is_ranged else TEXTS


def cases() -> Iterator[tuple[str, str, str]]:
    for name, command in commands().items():
        for param in command.params:
            if param.name in ("help", "install_completion", "show_completion"):
                continue
            values = malformed(param)
            if param.name == "home" and name in MAKING_HOMES:
                values = ("@file", "@file/below")
            yield from ((name, param.name, value) for value in values)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder of its own with a plain file and a binary one, and no settings around."""
    for name in [name for name in os.environ if name.startswith("TRADEWIND_")]:
        monkeypatch.delenv(name)
    (tmp_path / "file").write_text("plain\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 10)
    monkeypatch.chdir(tmp_path)
    with Path(os.devnull).open() as nobody:  # no answer to any question
        monkeypatch.setattr("sys.stdin", nobody)
        yield tmp_path


@pytest.fixture
def as_everybody(object_store, monkeypatch, world):
    """The real object store, reached with every right and key."""
    known = object_store.secrets
    values = {
        name: known[name] for name in ("signing_key", "verify_key", "pseudonym_key", "master_key", "customer_key")
    }
    values |= {"s3_endpoint": object_store.endpoint, "s3_role": "custodian", "s3_prefix": "tradewind"}
    values |= {f"s3_{part}_key": known[f"s3_admin_{part}_key"] for part in ("access", "secret")}
    for name, value in values.items():
        monkeypatch.setenv(f"TRADEWIND_{name.upper()}", value)
    return world


def arguments(name: str, spoilt: str, value: str, folder: Path) -> list[str]:
    """Return a call of the command whose other arguments fit."""
    words = [name]
    for param in commands()[name].params:
        given = value if param.name == spoilt else FITTING.get(param.name or "")
        if param.name != spoilt and not param.required:
            continue
        given = (given or "").replace("@", f"{folder}/") if (given or "").startswith("@") else given
        words += [given or ""] if param.opts[0][0] != "-" else [param.opts[0], given or ""]
    return words


def outcome(words: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Return the exit code, and what is wrong with how the command ended."""
    try:
        code = call(words)
    except Exception as error:
        return -1, f"{type(error).__name__}: {error}"
    told = capfd.readouterr()
    if "Traceback" in told.err + told.out:
        return code, "a stack trace"
    if "\x1b[31mred" in told.err + told.out:
        return code, "an argument reached the terminal as it came"
    if code != 0 and (code not in EXIT_CODES or not told.err.strip()):
        return code, "no reason"
    return code, ""


ALL = sorted(set(cases()))


DIGESTS = (
    "sha256:zz",
    "sha256:",
    "0" * 64,
    DIGEST[:-1],
    f"{DIGEST}0",
    DIGEST.replace("0", "A"),
    f" {DIGEST}",
    "sha512:00",
)
OF_DIGESTS = [(name, one.name) for name in commands() for one in commands()[name].params if one.name in A_DIGEST]


def test_every_argument_that_is_a_digest_is_tried():
    options = [
        (name, one) for name in commands() for one in commands()[name].params if not getattr(one, "is_bool_flag", False)
    ]
    assert {(name, one.name) for name, one in options if "igest" in (getattr(one, "help", "") or "")} <= set(OF_DIGESTS)
    assert {("verify", "digest"), ("promote", "to"), ("rollback", "to"), ("decide", "verdict")} <= set(OF_DIGESTS)


@pytest.mark.parametrize(("name", "spoilt"), OF_DIGESTS)
def test_a_malformed_digest_is_a_malformed_argument(as_everybody, capfd, name, spoilt):
    for value in DIGESTS:
        code, fault = outcome(arguments(name, spoilt, value, as_everybody), capfd)
        assert (code, fault) == (2, ""), value


@pytest.mark.parametrize("name", sorted(commands()))
def test_a_malformed_argument_is_told(as_everybody, capfd, name):
    faults = []
    for _, spoilt, value in (case for case in ALL if case[0] == name):
        words = arguments(name, spoilt, value, as_everybody)
        code, fault = outcome(words, capfd)
        is_malformed = value in (*NUMBERS, *DAYS, "nonsense") and value not in TEXTS
        if fault or (is_malformed and code == 0):
            faults.append((words, fault or "accepted"))
    assert faults == []


@pytest.mark.parametrize(
    "name", sorted(set(commands()) - {"compose-env", "make-buckets", "serve", "up", "run", "keep", "bench"})
)
def test_without_a_stack_each_command_says_so(world, capfd, name):
    words = arguments(name, "", "", world)
    code, fault = outcome(words, capfd)
    assert not fault
    assert code != 0 or name in ("down", "status", "rules", "clean")


SPOILT = {
    "empty": b"",
    "cut short": b'{"s3_port": 1, "airf',
    "binary": bytes(range(256)),
    "another shape": b"[1, 2, 3]",
    "missing keys": b"{}",
    "wrong values": b'{"s3_port": "x", "airflow_port": null, "server_port": [], "prefix": 7}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("spoil", [*SPOILT, "a folder"])
@pytest.mark.parametrize("file", ["secrets.json", "stack.json", "run/object-store.pid.json"])
@pytest.mark.parametrize("name", ["status", "users", "history", "down", "verify", "rotate-key"])
def test_a_spoilt_file_of_the_stack_is_told(world, capfd, name, file, spoil):
    from ml.stack.secret import load_or_generate

    home = world / "home"
    home.mkdir(mode=0o700)
    load_or_generate(home / "secrets.json")
    ports = {"s3_port": 1, "airflow_port": 2, "server_port": 3, "prefix": "tradewind"}
    (home / "stack.json").write_text(json.dumps(ports))
    path = home / file
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    if spoil == "a folder":
        path.mkdir(mode=0o700)
    else:
        path.write_bytes(SPOILT[spoil])
        path.chmod(0o600)
    words = {"history": ["history", "rating"], "verify": ["verify", "--ledger"]}.get(name, [name])
    assert outcome([*words, "--home", str(home)], capfd)[1] == ""


def test_clean_refuses_a_folder_that_is_no_stack(world, capfd):
    folder = world / "photos"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"x")
    assert outcome(["clean", "--yes", "--home", str(folder)], capfd) == (2, "")
    assert (folder / "holiday.jpg").exists()
