"""The command line `tradewind`: puts the groups of commands together, and gives each kind of error its exit code."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from collections.abc import Sequence

import typer
from pydantic import ValidationError

from ml.cli import backup, decide, intents, machine, maintain, models, privacy, release, stack, worker
from ml.config import Settings, settings_fault
from ml.errors import ConfigInvalid, TradewindError, outline
from ml.private import restrict_new_files
from ml.space import full_disk
from ml.terminal import Console, PrintableFormatter

MACHINES = ("stage", "task", "serve", "keep", "worker", "bench", "intents", "maintain-step")
LOG_FORMAT, LOG_TIME = "%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"

app = typer.Typer(
    name="tradewind",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Retrain, gate, promote and serve the shop's models.\n\n"
    "Exit codes: 0 done, 2 configuration, 3 source, 4 data rejected, 5 gate refused, 6 not found, 7 integrity, "
    "8 conflict, 9 object store, 10 service, 11 stage.",
)
for group in (stack, release, decide, models, intents, privacy, backup, maintain, machine, worker):
    app.add_typer(group.commands)


def main() -> None:
    """Run the command line; each kind of error has an exit code of its own."""
    restrict_new_files()
    by_machine = sys.argv[1:2] in [[name] for name in MACHINES]
    # people see results, machines keep the story
    level = os.environ.get("TRADEWIND_LOG", "INFO" if by_machine else "WARNING")
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(PrintableFormatter(LOG_FORMAT, LOG_TIME))
    if level not in logging.getLevelNamesMapping():
        levels = ", ".join(logging.getLevelNamesMapping())
        raise SystemExit(_told(ConfigInvalid(f"TRADEWIND_LOG among {levels}", repr(level), "Correct it.")))
    logging.basicConfig(level=level, handlers=[stream])
    for noisy in ("httpx", "botocore", "urllib3", "s3fs", "aiobotocore", "fsspec", "dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        code = call(sys.argv[1:])
    except Exception as error:
        if sys.argv[1:2] not in [["stage"], ["task"]] or level == "DEBUG":
            raise
        hint = "unexpected error; its message may quote rows: TRADEWIND_LOG=DEBUG shows it"
        logging.getLogger("ml").error("%s\n%s", hint, outline(error))
        raise SystemExit(1) from None
    raise SystemExit(code)


def call(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; an error is told on standard error."""
    try:
        _ensure_text(arguments)
        app(list(arguments))
    except TradewindError as error:
        return _told(error)
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        return _told(settings_fault(error))
    except (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError) as error:
        if arguments[0] in ("stage", "task"):
            raise  # no person's path: trying again may help
        place = error.filename or str(error)
        return _told(ConfigInvalid(f"{place} to be usable", type(error).__name__, "Check the path and its rights."))
    except (OSError, sqlite3.Error) as error:
        if (full := full_disk(error)) is None:
            raise
        return _told(full)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def _ensure_text(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no UTF-8: Python hands them on as halves of characters, which no store or terminal takes."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise ConfigInvalid("arguments in UTF-8", ascii(argument), "Correct the argument.") from error


def _told(error: TradewindError) -> int:
    out = Console(stderr=True)
    out.print(f"[bold red]{type(error).__name__}[/]  ", end="")
    out.print(str(error), markup=False)
    return error.exit_code
