"""The commands about versions and channels: what is live and why, verify, promote, roll back."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.acting import DEFAULT_HOME, Home, Reason, UseCaseName, acting, caller, digested, known, reader
from ml.config import Settings
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound
from ml.terminal import Console, echo

commands = typer.Typer()

Target = Annotated[str, typer.Option("--to", help="Digest of the version.", callback=digested)]
Channel = Annotated[str, typer.Option(help="production, candidate, or another name.")]
PRODUCTION = "production"
STATUS_SECONDS = 5.0


@commands.command()
def status(home: Home = DEFAULT_HOME) -> None:
    """Show which parts run and what is live."""
    from ml.config import load_settings
    from ml.stack import room, summary
    from ml.stack import up as stack

    summary.show_parts(Console(), stack.health(home))
    summary.show_warnings(Console(), room.warnings(home.absolute(), load_settings().min_free_mb))
    soon = {"s3_attempts": 1, "s3_timeout_s": STATUS_SECONDS}  # a store that hangs is told, not waited for
    summary.show_live(Console(), reader(home).model_copy(update=soon))


@commands.command()
def history(
    use_case: UseCaseName,
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="One entry of the ledger a line.")] = False,
) -> None:
    """Show every entry of a use case's ledger: when, who, why, from and to."""
    from ml.registry import ledger
    from ml.stack import summary

    settings = reader(home)
    entries = ledger.history(settings, known(settings, use_case))
    if as_json:
        for entry in entries:
            echo(json.dumps(asdict(entry)))
    else:
        summary.show_history(Console(), entries)


@commands.command()
def verify(
    digest: Annotated[
        str | None, typer.Argument(help="A version; every use case is searched for it.", callback=digested)
    ] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Verify the ledgers, and what they name, instead.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build it again from its lock; takes a run's time.")
    ] = False,
    use_case: Annotated[list[str] | None, typer.Option(help="Only this use case; default all.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Verify a version, or every ledger with its chain and the documents that it names.

    Of a version: signature, digests, parts, gate report, and that it is what was judged and approved. A ledger is also compared
    with the newest entry that this machine's server saw, and with TRADEWIND_CHECKPOINTS.
    """
    from ml.pipeline.ledger_audit import audit
    from ml.registry.memory import Memory, memory_path

    settings = reader(home)
    names = [known(settings, name) for name in use_case or _names()]
    if ledger == (digest is not None):
        raise ConfigInvalid("a digest, or --ledger", "both" if ledger else "neither", "Say what to verify.")
    if digest is None:
        memory = Memory(memory_path(settings.home))
        for name in names:
            held = audit(settings, name, memory.mark(name))
            echo(f"{name}: {held.entries} ledger entries hold, and {held.documents} documents that they name")
        return
    name = _owner(settings, names, digest)
    _verify_version(settings, name, digest)
    if rebuild:
        _rebuild(home, name, digest)


def _verify_version(settings: Settings, name: str, digest: str) -> None:
    from ml.registry.evidence import ensure_accepted
    from ml.registry.fetch import fetch_record, fetch_version

    with tempfile.TemporaryDirectory() as folder:
        fetch_version(settings, name, digest, Path(folder))
    record = fetch_record(settings, name, digest).payload
    ensure_accepted(settings, name, digest, record["gate"]["digest"])
    echo(f"{digest} of {name} holds: signature, digests, parts, gate report")
    echo(_judged(settings, name, digest))


def _judged(settings: Settings, name: str, digest: str) -> str:
    """Return the sentence about what the judging role signed of a version."""
    from ml.pipeline.stored_judgement import compare

    if settings.judge_verify_key is None:
        return "not compared with what was judged: TRADEWIND_JUDGE_VERIFY_KEY is not set"
    held = compare(settings, name, digest)
    approved = f"; {held.approvals} approvals in the ledger name it" if held.approvals else ""
    if held.run_id is None:
        return f"nothing to compare with what was judged: packaged before judgements were signed{approved}"
    return f"equal to what was judged in run {held.run_id}: {held.files} files, inputs and parameters{approved}"


def _rebuild(home: Path, name: str, digest: str) -> None:
    from ml.pipeline import ROLES, SECRETS
    from ml.pipeline.rebuild import rebuild
    from ml.stack import up as stack
    from ml.use_cases import load

    running = stack.load(home)

    def environment(stage: str) -> dict[str, str]:
        held = (secret for secret in SECRETS.get(stage, ()) if secret in running.secrets)
        return running.acting_as(ROLES[stage], *held)

    found = rebuild(running.settings("promote", "freeze_key"), environment, load(name), digest)
    echo(found.sentence)
    if found.verdict not in ("same", "agrees"):
        raise typer.Exit(IntegrityBroken.exit_code)


def _owner(settings: Settings, names: list[str], digest: str) -> str:
    """Return the use case whose shelf holds a version."""
    from ml.registry.shelf import Shelf

    found = [name for name in names if Shelf.open(settings, name).holds(digest)]
    if not found:
        raise ModelNotFound(f"a version {digest} of {', '.join(names)}", "none", "Look at `history` for what there is.")
    return found[0]


@commands.command()
def promote(
    use_case: UseCaseName, to: Target, reason: Reason, channel: Channel = PRODUCTION, home: Home = DEFAULT_HOME
) -> None:
    """Make a version live that the registry holds already, through the same door as a retraining."""
    from ml.pipeline import promote as door
    from ml.use_cases import load

    order = door.Order(digest=to, who=caller(), reason=reason, channel=channel)
    echo(door.promote_again(acting(home, "promote", "signing_key"), load(use_case), order).sentence)


@commands.command()
def rollback(
    use_case: UseCaseName, to: Target, reason: Reason, channel: Channel = PRODUCTION, home: Home = DEFAULT_HOME
) -> None:
    """Put a version back that was live before, through the same door as a promotion."""
    from ml.pipeline import promote as door
    from ml.use_cases import load

    order = door.Order(digest=to, who=caller(), reason=reason, channel=channel)
    echo(door.rollback(acting(home, "promote", "signing_key"), load(use_case), order).sentence)


@commands.command()
def gc(
    use_case: UseCaseName,
    keep: Annotated[int, typer.Option(min=1, max=10_000, help="Newest versions that stay.")] = 10,
    days: Annotated[
        int, typer.Option(min=1, max=36_500, help="Versions that moves of these days name stay [days].")
    ] = 90,
    trial: Annotated[bool, typer.Option("--dry-run", help="Remove nothing.")] = False,
    home: Home = DEFAULT_HOME,
) -> None:
    """Remove versions that nobody needs any more, and every blob that only they used; the ledger keeps its entries."""
    from ml.registry.collect import Kept, collect

    kept = Kept(newest=keep, horizon_days=days)
    settings = acting(home, "promote", "signing_key")
    done = collect(settings, known(settings, use_case), kept, caller(), is_trial=trial)
    for digest in done.versions:
        echo(digest)
    verb = "would be removed" if trial else "removed"
    echo(f"{len(done.versions)} versions, {done.manifests} manifests, {done.blobs} blobs {verb}")


@commands.command()
def checkpoint(
    folder: Annotated[Path, typer.Argument(help="Given to fresh servers as TRADEWIND_CHECKPOINTS.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Copy the signed checkpoint of every ledger into a folder: a server that has it refuses a ledger that ends before."""
    from ml.packaging.signing import Verifier
    from ml.registry.checkpoint import pin
    from ml.store import Bucket

    settings = reader(home)
    folder.mkdir(parents=True, exist_ok=True)
    bucket, verifier = Bucket.open(settings, "ledger"), Verifier.open(settings)
    for name in _names():
        mark = pin(bucket, verifier, name, folder)
        echo(f"{name}: {f'entry {mark.seq}' if mark else 'nothing was promoted yet'}")


@commands.command()
def trace(
    request_id: Annotated[str, typer.Argument(help="Header Tradewind-Request-Id of an answer.")],
    use_case: Annotated[list[str] | None, typer.Option(help="Only this use case; default all.")] = None,
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object.")] = False,
) -> None:
    """Tell what is behind one answer: version, gate report, data version, validation report."""
    from ml.serving.trace import trace as follow
    from ml.stack import trace_view

    settings = reader(home)
    found = follow(settings, [known(settings, name) for name in use_case or _names()], request_id)
    if as_json:
        echo(json.dumps(found.to_json()))
    else:
        trace_view.show(Console(), found)


def _names() -> list[str]:
    from ml.use_cases import NAMES

    return list(NAMES)


@commands.command()
def rotate_key(
    leaked: Annotated[bool, typer.Option("--leaked", help="Believe nothing more that the old keys sign.")] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Only this one: signing, freeze, train, judge, or customer; default all but customer."),
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Sign with new keys from now on, in every role; restart what runs with `tradewind down` and `up`.

    What older keys signed is still verified with their public halves, unless they leaked. The key of customers' tokens is
    replaced by name alone: the shop's back end has to be given the new one.
    """
    from ml.stack import rotate
    from ml.stack import up as stack

    names = tuple(dict.fromkeys(key or rotate.OWN))
    rotate.rotate(stack.load(home), names, _names(), echo, leaked=leaked)
    echo(f"new keys sign ({', '.join(names)}); older ones are " + ("believed no more" if leaked else "still believed"))
