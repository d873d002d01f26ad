"""The commands about one customer: erase them, or read back what was encrypted for operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ml.cli.acting import DEFAULT_HOME, Home, Reason, UseCaseName, acting, caller, known
from ml.config import Settings
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound
from ml.registry.erasure import Erasure, Policy
from ml.terminal import echo

if TYPE_CHECKING:
    from ml.pipeline.erase import Order

commands = typer.Typer()

NEXT: dict[Policy, str] = {
    "retrain": "retrain; the next run leaves the customer out",
    "withdraw": "withdraw: it does not go live again, and what is live is to be replaced",
    "keep": "keep",
}


@commands.command()
def erase(  # noqa: PLR0913, PLR0917 - the options of a command
    subject: Annotated[str, typer.Argument(help="The customer, as the shop's tables name them.")],
    reason: Reason,
    use_case: Annotated[list[str] | None, typer.Option(help="Only this use case; default all.")] = None,
    policy: Annotated[str, typer.Option(help="For versions trained on them: retrain, withdraw or keep.")] = "retrain",
    because: Annotated[str, typer.Option(help="Why such versions may be kept.")] = "",
    is_trial: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and do nothing.")] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also where the store holds nothing of them: a server's disk may.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Destroy a customer's keys: nobody reads their stored values again. List the models trained on them; sign a proof.

    Asked again, it looks everywhere again. The name counts as the source reads it: ` 1234` and `1234.0` are `1234`.
    """
    from ml.pipeline.erase import Order
    from ml.pipeline.erase import erase as destroy

    if policy not in NEXT:
        raise ConfigInvalid(f"a policy of {', '.join(NEXT)}", repr(policy), "Choose one.")
    settings = acting(home, "custodian", "master_key", "pseudonym_key", "signing_key")
    order = Order(customer=subject, who=caller(), why=reason, policy=policy, because=because, anyway=anyway)
    planned = {name: _planned(settings, known(settings, name), order) for name in use_case or _names()}
    found = [erasure for erasure in planned.values() if erasure is not None]
    if not found:
        raise ModelNotFound("data of this customer", f"none in {', '.join(planned)}", "Check the name.")
    for erasure in found:
        _show(erasure)
    if is_trial:
        return
    if not yes:
        typer.confirm("Destroy the keys? Nobody can undo it.", abort=True)
    for erasure in found:
        done = destroy(settings, erasure.use_case, order)
        echo(f"{erasure.use_case}: {'erased' if done.is_new else 'was erased before'}, proof in the ledger")
        echo(f"  the keys' bytes in the store: {done.erasure.overwritten or 'unknown: erased by an earlier version'}")


@commands.command()
def erasures(
    use_case: Annotated[list[str] | None, typer.Option(help="Only this use case; default all.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Look everywhere again for all erased customers, and remove what came back: after a backup was restored."""
    from ml.pipeline.adopt import adopt_marks
    from ml.pipeline.erase import erase_again

    settings = acting(home, "custodian", "master_key", "pseudonym_key", "signing_key")
    problems: list[str] = []
    for name in use_case or _names():
        problems += [f"{name}: {problem}" for problem in adopt_marks(settings, name, caller()).problems]
        echo(f"{name}: {erase_again(settings, name, caller())} things of erased customers removed")
    _tell(problems)


@commands.command()
def adopt(
    use_case: Annotated[list[str] | None, typer.Option(help="Only this use case; default all.")] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Also marks of erasures that no erasure on record accounts for.")
    ] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Sign, once, what an earlier version left unsigned in the store: marks of erasures, and histories. The ledger keeps what.

    The first `tradewind up` of a newer version does it for the embedded stack.
    """
    from ml.pipeline.adopt import adopt_histories, adopt_marks

    settings = acting(home, "custodian", "signing_key")
    problems: list[str] = []
    for name in use_case or _names():
        marks = adopt_marks(settings, known(settings, name), caller(), unproven=unproven)
        histories = adopt_histories(settings, name, caller())
        problems += [f"{name}: {problem}" for problem in (*marks.problems, *histories.problems)]
        signed = f"signed {marks.marks} marks of erasures" if marks.marks else "no marks to sign"
        echo(f"{name}: {signed}, {f'histories {histories.histories}' if histories.histories else 'no histories'}")
    _tell(problems)


@commands.command()
def decrypt(
    use_case: UseCaseName,
    table: Annotated[str, typer.Argument(help="Name of the table.")],
    column: Annotated[str, typer.Argument(help="A column that is declared `encrypt`.")],
    unit: Annotated[str, typer.Option(help="Pseudonym of the customer or the event.")],
    reason: Reason,
    home: Home = DEFAULT_HOME,
) -> None:
    """Read back encrypted values of one customer; the ledger keeps who did it and why."""
    from ml.pipeline.decrypt import Question
    from ml.pipeline.decrypt import decrypt as read
    from ml.use_cases import load

    settings = acting(home, "custodian", "master_key", "signing_key")
    question = Question(table=table, column=column, unit=unit, who=caller(), why=reason)
    for value in read(settings, load(use_case), question):
        echo(value)


def _tell(problems: list[str]) -> None:
    """Write what was found wrong to stderr, and exit as for anything whose integrity is broken; nothing where all is well."""
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(IntegrityBroken.exit_code)


def _planned(settings: Settings, use_case: str, order: Order) -> Erasure | None:
    from ml.pipeline.erase import plan

    try:
        return plan(settings, use_case, order)
    except ModelNotFound:
        return None


def _show(erasure: Erasure) -> None:
    echo(f"{erasure.use_case}: key {erasure.customer}, {len(erasure.versions)} versions were trained on this customer")
    because = f" because {erasure.because}" if erasure.because else ""
    for one in erasure.versions:
        live = f"live on {', '.join(one.channels)}" if one.channels else "not live"
        doubt = "" if one.is_certain else ", its data are gone: taken as trained on them"
        echo(f"  {one.digest}  {live}{doubt}: {NEXT[erasure.policy]}{because}")


def _names() -> list[str]:
    from ml.use_cases import NAMES

    return list(NAMES)
