"""Brings the embedded stack up and down: object store, Airflow, model server; what runs is reused."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ml.config import Role, Settings, is_secret, load_settings
from ml.environment import settings_of
from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import read_json, write_json
from ml.pipeline import PUBLIC
from ml.pipeline.leftovers import sweep
from ml.private import make_private
from ml.stack import airflow, objectstore, room
from ml.stack.awaited import Tell, awaited, untold
from ml.stack.carry_over import carry_over, note_new
from ml.stack.health import ASK_SECONDS, PARTS, SERVER, Addresses, Health, ill, look
from ml.stack.keep import KEEPER, Patience, alone
from ml.stack.process import Children, choose_port
from ml.stack.role_secrets import split
from ml.stack.secret import load_all, s3_variables

SERVER_READY_SECONDS, CARRY_SECONDS = 60, 300
LOOKS, LOOK_SECONDS = 3, 2.0  # a part that is busy for a moment is not ill
PORTS = {
    "s3": (objectstore.CHILD, "TRADEWIND_S3_PORT", 8333),
    "airflow": (airflow.API, "TRADEWIND_AIRFLOW_PORT", 8080),
    "server": (SERVER, "TRADEWIND_SERVER_PORT", 8500),
    "health": (SERVER, "TRADEWIND_HEALTH_PORT", 8501),
}
OF_LATER_STACKS = frozenset({"health_port"})
"""What the record of an older stack does not hold."""
GENERATED = ("home", "s3_endpoint", "s3_prefix", "s3_role", "s3_access_key", "verify_key", "customer_verify_key")
"""Settings that the stack decides by itself, or gives to one part alone."""
PASSED_ON = (
    "TRADEWIND_LOG",
    *(
        f"TRADEWIND_{name.upper()}"
        for name, setting in Settings.model_fields.items()
        if name not in GENERATED and not is_secret(setting) and not name.startswith("llm_")
    ),
)
"""Settings of the person who starts the stack that its parts receive as they are; no secret is among them."""
LANGUAGE_MODEL = tuple(f"TRADEWIND_LLM_{part}" for part in ("URL", "MODEL", "KEY", "TIMEOUT_S"))
"""Those that only the model server receives."""
TO_AIRFLOW = ("TRADEWIND_SOURCE_PASSWORD", "TRADEWIND_NOTIFY_WEBHOOK", "TRADEWIND_NOTIFY_SMTP_PASSWORD")
"""Secrets that only Airflow and its tasks receive."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack on this machine: its folder, its ports and its secrets."""

    home: Path
    s3_port: int
    airflow_port: int
    server_port: int
    prefix: str
    secrets: dict[str, str] = field(repr=False)
    health_port: int | None = None
    """Of the model server's listener for health and metrics; none in the record of an older stack."""

    @property
    def airflow_url(self) -> str:
        """Address of the Airflow UI and API."""
        return f"http://127.0.0.1:{self.airflow_port}"

    @property
    def server_url(self) -> str:
        """Address of the model server."""
        return f"http://127.0.0.1:{self.server_port}"

    def addresses(self) -> Addresses:
        """Return where the parts are asked how they are."""
        return Addresses(
            s3_port=self.s3_port,
            airflow_url=self.airflow_url,
            server_url=f"http://127.0.0.1:{self.health_port}" if self.health_port else self.server_url,
            secrets=self.secrets,
        )

    def variables(self) -> dict[str, str]:
        """Return the environment every part shares; it names no secret."""
        own = {
            "TRADEWIND_HOME": str(self.home),
            "TRADEWIND_S3_ENDPOINT": f"http://127.0.0.1:{self.s3_port}",
            "TRADEWIND_S3_PREFIX": self.prefix,
            "TRADEWIND_SERVER_URL": self.server_url,
            "TRADEWIND_AIRFLOW_URL": self.airflow_url,
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        return {**airflow.PEOPLE, **_taken(PASSED_ON), **own}

    def acting_as(self, role: Role, *secrets: str) -> dict[str, str]:
        """Return the environment of a process that acts as one role and holds the secrets named."""
        held = {f"TRADEWIND_{name.upper()}": self.secrets[name] for name in (*PUBLIC, *secrets)}
        return {**self.variables(), **s3_variables(self.secrets, role), **held}

    def settings(self, role: Role, *secrets: str) -> Settings:
        """Return the settings of this very process if it acts as one role."""
        held = self.acting_as(role, *secrets)
        fields = {name.removeprefix("TRADEWIND_").lower(): value for name, value in held.items()}
        return Settings.model_validate({name: fields[name] for name in fields if name in Settings.model_fields})


def load(home: Path) -> Stack:
    """Return the stack recorded in a folder.

    Raises:
        ConfigInvalid: There is none.
    """
    record = _record(home)
    if not record.exists():
        raise ConfigInvalid(f"a stack in {home}", "none", "Start one with `make run` or `tradewind up`.")
    return Stack(home=make_private(home), secrets=load_all(_secrets_file(home)), **_ports(record))


def up(home: Path, tell: Tell) -> Stack:
    """Start what is not running yet, replace what runs and does not do its work, and return the stack.

    Args:
        home: Folder of the stack.
        tell: Receives one line a step, for the person who waits.

    Raises:
        ServiceUnavailable: A part did not come up.
        ConfigInvalid: A port that was asked for is taken.
    """
    home = make_private(home)
    with alone(home, tell):
        note_new(home)
        children = Children(home / "run", tell)
        stack = _plan(home, children)
        _end_ill(children, stack, tell)
        _start(children, stack, tell)
        children.start(KEEPER, [sys.executable, "-m", "ml", "keep", "--home", str(home)], settings_of(os.environ))
    for sentence in room.warnings(home, load_settings().min_free_mb):
        tell(f"warning: {sentence}")
    return stack


def mend(home: Path, patience: Patience) -> None:
    """Start what died, and replace what has been ill for long.

    Args:
        home: Folder of a stack that was started.
        patience: What the last looks showed.

    Raises:
        ServiceUnavailable: A part did not come up.
    """
    with alone(home):
        children = Children(home / "run", log.info)
        found = look(children, load(home).addresses())
        for name in patience.spent(found, time.monotonic()):
            log.warning("part replaced name=%s: %s", name, found[name].reason)
            children.stop(name)
        missing = [name for name in PARTS if children.find(name) is None]
        if missing:
            log.warning("parts started again names=%s", ",".join(missing))
            _start(children, _plan(home, children), log.info)


def _start(children: Children, stack: Stack, tell: Tell) -> None:
    """Start what does not run, and wait until all is ready."""
    home = stack.home
    sweep(home)
    write_json(_record(home), {name: value for name, value in asdict(stack).items() if name not in ("home", "secrets")})
    tell(f"object store on 127.0.0.1:{stack.s3_port}")
    objectstore.start(children, home / "store", stack.s3_port, stack.secrets, stack.prefix)
    with children.awaited("what an earlier release kept to be carried over", CARRY_SECONDS):
        carry_over(home, stack.settings("custodian", "signing_key"), tell)
    tell(f"model server on 127.0.0.1:{stack.server_port}")
    _start_server(children, stack)
    tell(f"Airflow on 127.0.0.1:{stack.airflow_port}")
    of_roles = {"TRADEWIND_SECRETS": str(split(stack.secrets, home / "secrets"))}
    held = {**stack.acting_as("read"), **_taken(TO_AIRFLOW), **of_roles}
    airflow.start(children, home, stack.airflow_port, stack.secrets, held)
    children.wait(SERVER, lambda: _alive(stack.server_url), SERVER_READY_SECONDS)


def down(home: Path, tell: Tell = untold) -> list[str]:
    """Stop all that `up` started, newest first, and return the names of what was alive.

    Args:
        home: Folder of the stack.
        tell: Receives what is awaited, for the person who waits.
    """
    if not home.exists() and not home.is_symlink():
        return []
    home = make_private(home)
    children = Children(home / "run", tell)
    children.stop(KEEPER)  # first, or it would start again what is stopped
    with alone(home, tell):
        stopped = [name for name in children.names() if children.stop(name)]
        return [*stopped, *(["strays"] if children.stop_strays() else [])]


def clean(home: Path) -> None:
    """Stop the stack and forget all its data, caches and secrets.

    Raises:
        ConfigInvalid: The folder holds something else.
    """
    if home.is_dir() and any(home.iterdir()) and not any((home / name).exists() for name in ("secrets.json", "run")):
        raise ConfigInvalid(
            f"a stack in {home}", "other files", "Set TRADEWIND_HOME, or --home, to the stack's folder."
        )
    down(home)
    shutil.rmtree(home, ignore_errors=True)


def status(home: Path) -> dict[str, bool]:
    """Return which parts are alive."""
    children = Children(home.absolute() / "run")
    return {name: children.find(name) is not None for name in PARTS}


def health(home: Path) -> dict[str, Health]:
    """Return how each part is, as the part itself says.

    Raises:
        ConfigInvalid: There is no stack.
    """
    stack = load(home)
    return look(Children(stack.home / "run"), stack.addresses())


def _end_ill(children: Children, stack: Stack, tell: Tell) -> None:
    """End the parts that were ready once and do not do their work now; one that still starts is waited for instead.

    One that a signal stopped does nothing, so nobody waits for its answer.
    """
    for name in filter(children.is_stopped, PARTS):
        tell(f"{name} is replaced: a signal stopped its process")
        children.stop(name)
    suspects = {name for name in PARTS if children.is_ready(name)}
    for attempt in range(LOOKS if suspects else 0):
        if attempt:
            time.sleep(LOOK_SECONDS)
        with awaited(tell, f"an answer of {', '.join(sorted(suspects))}", LOOKS * (ASK_SECONDS + LOOK_SECONDS)):
            found = look(children, stack.addresses())
        suspects &= set(ill(found))
        if not suspects:
            return
    for name in sorted(suspects):
        tell(f"{name} is replaced: {found[name].reason}")
        children.stop(name)


def _plan(home: Path, children: Children) -> Stack:
    """Choose the ports: those of living parts stay, the others are asked for, default or free."""
    known = _ports(_record(home)) if _record(home).exists() else {}
    ports = {
        f"{name}_port": known[f"{name}_port"]
        if children.find(child) and f"{name}_port" in known
        else choose_port(variable, known.get(f"{name}_port", default))
        for name, (child, variable, default) in PORTS.items()
    }
    prefix = load_settings().s3_prefix
    return Stack(home=home, prefix=prefix, secrets=load_all(_secrets_file(home)), **ports)


def _start_server(children: Children, stack: Stack) -> None:
    command = [sys.executable, "-m", "ml", "serve", "--host", "127.0.0.1", "--port", str(stack.server_port)]
    command += ["--health-port", str(stack.health_port)] if stack.health_port else []
    held = stack.acting_as("serve", "pseudonym_key", "server_token", "customer_verify_key")
    held |= _taken(LANGUAGE_MODEL)
    children.start(SERVER, command, held)


def _taken(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code in (200, 503)
    except httpx.HTTPError:
        return False


def _ports(record: Path) -> dict[str, Any]:
    """Return the recorded ports and prefix.

    Raises:
        ConfigInvalid: The record is spoilt.
    """
    remedy = f"Stop the stack with `tradewind down`, remove {record}, and start again: all else is kept."
    try:
        known = read_json(record)
    except IntegrityBroken as error:
        raise ConfigInvalid(f"the stack's ports as JSON in {record}", error.received, remedy) from error
    wanted = {**{f"{name}_port": int for name in PORTS}, "prefix": str}
    missing = wanted.keys() - known.keys()
    has_shape = missing <= OF_LATER_STACKS and known.keys() <= wanted.keys()
    if not has_shape or not all(type(known[name]) is wanted[name] for name in known):
        raise ConfigInvalid(f"{', '.join(wanted)} in {record}", "another shape", remedy)
    return known


def _record(home: Path) -> Path:
    return home / "stack.json"


def _secrets_file(home: Path) -> Path:
    return home.absolute() / "secrets.json"
