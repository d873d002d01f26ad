"""The commands about what models answer, learn and are compared with."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.acting import DAY, DEFAULT_HOME, LARGEST_SEED, Home, UseCaseName, acting, known, reader
from ml.config import load_settings
from ml.terminal import Console, echo

commands = typer.Typer()


@commands.command()
def batch(
    use_case: UseCaseName,
    k: Annotated[int, typer.Option(min=1, max=50, help="Length of each list.")] = 10,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the answers for all known customers to the object store."""
    from ml.serving.batch import batch as write_all
    from ml.use_cases import load

    echo(str(write_all(acting(home, "serve", "pseudonym_key"), load(use_case), k)))


@commands.command()
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


@commands.command()
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


@commands.command()
def rules(use_case: UseCaseName) -> None:
    """List what the use case's data must be like: each rule, how hard, whose, why, since when, from which threshold."""
    from data_checks.rule_table import rule_lines
    from ml.stack.summary import show_rules
    from ml.use_cases import load

    show_rules(Console(), rule_lines(use_case, load(use_case).data.tables))


@commands.command()
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


@commands.command()
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


@commands.command()
def bench(
    use_case: UseCaseName,
    data: Annotated[Path | None, typer.Option(help="A file of the same shape; default: the public set.")] = None,
    only: Annotated[str | None, typer.Option(help="One comparison by name; default: all of the use case.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Measure a use case's peers in one run, print the tables and keep them in docs/benchmarks.md; resumable."""
    from ml.benchmark.report import report

    report(use_case, home, data_dir=load_settings().data_dir, file=data, only=only)


@commands.command()
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
