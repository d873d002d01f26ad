"""The command line `tradewind`: what a person, Airflow and DVC call; each verb is one function elsewhere."""

from __future__ import annotations

from ml.environment import cleanse

if __name__ == "__main__":
    cleanse()  # before the imports below: a person's PYTHONPATH may hold modules of the same names

import json
import logging
import os
import sqlite3
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from ml.acting import (
    DAY,
    DEFAULT_HOME,
    LARGEST_SEED,
    Home,
    UseCaseName,
    acting,
    address,
    json_object,
    known,
    reader,
)
from ml.backup_command import backup_commands
from ml.config import Settings, load_settings, settings_fault
from ml.decide_command import decide_commands
from ml.errors import ConfigInvalid, TradewindError, outline
from ml.intents_command import intents
from ml.maintain_command import maintain_commands
from ml.privacy_command import privacy
from ml.private import make_private, restrict_new_files
from ml.release_command import release
from ml.space import full_disk
from ml.terminal import Console, PrintableFormatter, echo
from ml.worker_command import worker

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
app.add_typer(release)
app.add_typer(backup_commands)
app.add_typer(maintain_commands)
app.add_typer(privacy)
app.add_typer(decide_commands)
app.command()(intents)
app.command()(worker)


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


# --- The stack ----------------------------------------------------------------------------------


@app.command()
def up(home: Home = DEFAULT_HOME) -> None:
    """Start the embedded stack: object store, Airflow, model server; what runs is reused."""
    from ml.stack import up as stack

    out = Console()
    running = stack.up(home, lambda line: out.print(f"  {line}", highlight=False))
    out.print(f"Airflow {running.airflow_url} · model server {running.server_url}", highlight=False)


@app.command()
def run(
    use_case: Annotated[list[str] | None, typer.Argument(help="What to retrain; default all.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="Read data up to this day; default today.")
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Start the stack, retrain and promote through Airflow, and show what is live."""
    from ml.stack.journey import travel
    from ml.use_cases import NAMES, load

    chosen = tuple(load(name).name for name in use_case or NAMES)
    travel(home, chosen, as_of.date() if as_of else None)


@app.command()
def down(home: Home = DEFAULT_HOME) -> None:
    """Stop all that `up` or `run` started; data stay."""
    from ml.stack import up as stack

    out = Console()
    stopped = stack.down(home, lambda line: out.print(f"  {line}", highlight=False))
    out.print(f"stopped: {', '.join(stopped) or 'nothing was running'}", highlight=False)


@app.command(hidden=True)
def keep(home: Home = DEFAULT_HOME) -> None:
    """Look after the parts of the embedded stack (`up` starts this)."""
    from ml.stack import up as stack
    from ml.stack.keep import keep as look_after

    look_after(make_private(home), stack.mend)


@app.command()
def users(home: Home = DEFAULT_HOME) -> None:
    """Show the logins of the embedded Airflow with what each may do."""
    from ml.stack import up as stack
    from ml.stack.summary import show_users

    show_users(Console(), stack.load(home).secrets)


@app.command()
def clean(
    home: Home = DEFAULT_HOME,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop the stack and forget its data, versions, ledger, caches and secrets."""
    from ml.stack import up as stack

    if not yes:
        typer.confirm(f"Forget everything in {home}?", abort=True)
    stack.clean(home)
    Console().print(f"forgot {home}", highlight=False)


@app.command()
def compose_env(
    home: Home = DEFAULT_HOME,
    production: Annotated[bool, typer.Option(help="Refuse images that are not named by digest.")] = False,
) -> None:
    """Write `.env` and the secret files that docker-compose.yml needs; secrets that exist stay."""
    from ml.pipeline.place import PROJECT
    from ml.stack.compose import prepare
    from ml.stack.images import require_digests

    if production:
        require_digests(PROJECT)
    Console().print(f"wrote {prepare(PROJECT, home, load_settings().s3_prefix)}", highlight=False)


@app.command()
def make_buckets() -> None:
    """Make the object store's missing buckets, as the S3 user in the environment; compose calls this once."""
    from ml.stack.compose import wait_and_make_buckets

    wait_and_make_buckets(load_settings())


# --- What models do for people ---------------------------------------------------------------------


@app.command()
def batch(
    use_case: UseCaseName,
    k: Annotated[int, typer.Option(min=1, max=50, help="Length of each list.")] = 10,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the answers for all known customers to the object store."""
    from ml.serving.batch import batch as write_all
    from ml.use_cases import load

    echo(str(write_all(acting(home, "serve", "pseudonym_key"), load(use_case), k)))


@app.command()
def customer_token(
    customer: Annotated[str, typer.Argument(help="The customer's id, as the shop knows it.")],
    minutes: Annotated[int, typer.Option(min=1, max=60, help="How long it holds [min].")] = 15,
    home: Home = DEFAULT_HOME,
) -> None:
    """Sign a token that proves to the model server who asks, for developers and demonstrations; a shop signs its own."""
    from ml.config import require_secret
    from ml.serving.customer import sign

    key = require_secret(acting(home, "read", "customer_key").customer_key, "customer_key")
    echo(sign(key, customer, timedelta(minutes=minutes)))


@app.command()
def handovers(
    use_case: UseCaseName = "service",
    days: Annotated[int, typer.Option(min=1, max=90, help="How many days back.")] = 7,
    home: Home = DEFAULT_HOME,
) -> None:
    """List what the assistant handed over to a person, oldest first, one JSON line each."""
    from ml.serving.handover import handovers as waiting

    settings = reader(home)
    for line in waiting(settings, known(settings, use_case), datetime.now(UTC).date(), days):
        echo(json.dumps(line, ensure_ascii=False))


@app.command()
def rules(use_case: UseCaseName) -> None:
    """List what the use case's data must be like: each rule, how hard, whose, why, since when, from which threshold."""
    from data_checks.rule_table import rule_lines
    from ml.stack.summary import show_rules
    from ml.use_cases import load

    show_rules(Console(), rule_lines(use_case, load(use_case).data.tables))


@app.command()
def tune(
    use_case: UseCaseName,
    trials: Annotated[int, typer.Option(min=1, max=10_000, help="Most trainings of this call.")] = 20,
    minutes: Annotated[float, typer.Option(min=0.1, max=10_000, help="Most time of this call [min].")] = 30,
    home: Home = DEFAULT_HOME,
) -> None:
    """Search better training parameters on validation rows; goes on from earlier calls and changes nothing."""
    from ml.pipeline.tune import Budget, bring, search
    from ml.stack.summary import show_tried
    from ml.use_cases import load

    record, out = load(use_case), Console()
    folder = bring(acting(home, "train"), record, home)
    budget = Budget(trials=trials, minutes=minutes)
    tried = search(record, folder, budget, lambda one: out.print(f"  trial {one.number}: {one.value}", highlight=False))
    show_tried(out, record, tried)


@app.command()
def bandit(
    use_case: UseCaseName,
    day: Annotated[
        datetime | None, typer.Option(formats=[DAY], help="Last day whose events are known; default today.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="How many days of answers.")] = 28,
    outcome_days: Annotated[int, typer.Option(min=1, max=90, help="How long after an answer a purchase counts.")] = 7,
    home: Home = DEFAULT_HOME,
) -> None:
    """Learn from what lists explored, judge it against the base list, and print the policy if it may be shown."""
    from ml.pipeline.bandit import Window, judge
    from ml.stack.summary import show_judged
    from ml.use_cases import load

    last = day.date() if day else datetime.now(UTC).date()
    window = Window(day=last, days=days, outcome_days=outcome_days)
    show_judged(Console(), use_case, judge(acting(home, "train"), load(use_case), window))


@app.command()
def bench(
    use_case: UseCaseName,
    data: Annotated[Path | None, typer.Option(help="A file of the same shape; default: the public set.")] = None,
    only: Annotated[str | None, typer.Option(help="One comparison by name; default: all of the use case.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Measure a use case's peers in one run, print the tables and keep them in docs/benchmarks.md; resumable."""
    from ml.benchmark.report import report

    report(use_case, home, data_dir=load_settings().data_dir, file=data, only=only)


@app.command()
def sequences(
    path: Annotated[
        Path, typer.Argument(help="Text: `user item item …` on a line, oldest first, or `user item` on each.")
    ],
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Of the network and of the users on whom choices are made.")
    ] = 1,
    out: Annotated[Path | None, typer.Option(help="Also write the figures here [JSON].")] = None,
    peers: Annotated[bool, typer.Option(help="Show the peers' figures, too; they are parts of ours.")] = True,
) -> None:
    """Learn from plain item sequences and rank all items for each user's last one: HR@10 and NDCG@10."""
    from ml.benchmark.sequence_report import report

    report(path, seed, out=out, with_peers=peers)


# --- What Airflow and DVC call ------------------------------------------------------------------


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.", callback=address)] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8500,
    health_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="A listener for /health and /metrics alone; default none.")
    ] = None,
) -> None:
    """Run the model server; settings come from the environment."""
    from ml.pages import PAGES
    from ml.serving.run import serve as listen
    from ml.use_cases import NAMES, load

    settings = load_settings()
    make_private(settings.home)
    listen(settings, {name: load(name) for name in NAMES}, host, (port, health_port), PAGES)


@app.command()
def stage(name: str, use_case: UseCaseName) -> None:
    """Run one file-to-file stage in this folder, a run's workspace (DVC calls this)."""
    from ml.pipeline.file_stage import run_file_stage

    run_file_stage(name, use_case)


@app.command()
def trial(
    use_case: UseCaseName,
    folder: Annotated[Path, typer.Option(help="Holds train, valid and state of a run's features.")],
    train: Annotated[str, typer.Option(help="Section `train` of the parameters [JSON].")],
) -> None:
    """Train once and tell the primary metric on validation rows (`tune` calls this)."""
    from ml.pipeline.tune import RESULT, try_once
    from ml.use_cases import load

    echo(f"{RESULT}{try_once(load(use_case), folder, json_object(train, '--train'))}")


@app.command()
def task(
    name: str,
    use_case: UseCaseName,
    request: Annotated[str, typer.Option(help="What the run was asked for [JSON].")],
) -> None:
    """Run one stage of one run, handing over through the object store (Airflow calls this)."""
    from ml.pipeline.task import run_task

    echo(f"RESULT {json.dumps(run_task(name, use_case, json_object(request, '--request')))}")


if __name__ == "__main__":
    main()
