"""The commands of a data owner: decide about a run's data, list what is in force."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.acting import DAY, DEFAULT_HOME, Home, Reason, UseCaseName, acting, caller, digested, known, reader
from ml.config import Settings, load_settings
from ml.contract import JsonObject
from ml.pipeline.decision import Judged, Kind
from ml.terminal import Console, echo, one_line

commands = typer.Typer()


@commands.command()
def decide(  # noqa: PLR0913, PLR0917 - the options of a command
    use_case: UseCaseName,
    kind: Annotated[Kind, typer.Argument(help="What is decided.")],
    run: Annotated[str, typer.Option(help="Whose data, as its page names it.")],
    reason: Reason,
    rule: Annotated[str | None, typer.Option(help="For all but accept and reject.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=[DAY], help="Last day of a waiver or release.")] = None,
    rows: Annotated[str, typer.Option(help="Of release_rows: `1, 3-5` of the rows set aside; default all.")] = "",
    verdict: Annotated[
        str | None, typer.Option(help="Digest of what you read; default: show it and ask.", callback=digested)
    ] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Accept or reject a run's data, waive a rule, release its rows or it, or end that; the ledger keeps who and why."""
    from ml.pipeline import decide as act
    from ml.pipeline.decision import judged
    from ml.pipeline.freeze import project_section
    from ml.use_cases import load

    section, settings = project_section(load(use_case)), _keeper(home)
    seen = judged(settings, use_case, run)
    if verdict is None:
        _show(seen)
        typer.confirm(f"Decide {kind} about these data?", abort=True)
    target: JsonObject = {"kind": kind, "run": run, "verdict": verdict or seen.digest, "reason": reason}
    target |= {"rule": rule, "until": f"{until:{DAY}}" if until else None, "rows": rows}
    target["is_answer"] = _answers(settings, use_case, run, kind, rule)
    asked = {"who": caller(), "request": f"{caller()} {uuid.uuid4().hex}", "target": target}
    done = act.run(settings, use_case, section, asked)
    echo(done["sentence"])
    _follow(home, use_case, run, done["again"])


@commands.command()
def decisions(
    use_case: UseCaseName,
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="One decision a line.")] = False,
) -> None:
    """List the waivers and releases in force: what, until when, by whom, why."""
    from ml.pipeline.decision import in_force
    from ml.registry import ledger

    settings = reader(home)
    standing = in_force(ledger.history(settings, known(settings, use_case)), datetime.now(UTC).date())
    for one in standing:
        echo(json.dumps(one) if as_json else one_line(_line(one)))
    if not (standing or as_json):
        echo("nothing is in force")


def _keeper(home: Path) -> Settings:
    """Return the settings of who holds the signing key: the list of data owners names logins, and parts these alone."""
    return acting(home, "promote", "signing_key").model_copy(update={"data_owners": ""})


def _show(seen: Judged) -> None:
    out = Console()
    out.print(f"verdict {seen.digest}", highlight=False, soft_wrap=True)
    for rule in seen.failed():
        aside = f" ({seen.aside[rule.name].rows} rows set aside)" if rule.name in seen.aside else ""
        out.print(
            f"  {rule.severity} {rule.name}{aside}: {rule.sentence}", highlight=False, markup=False, soft_wrap=True
        )


def _answers(settings: Settings, use_case: str, run: str, kind: Kind, rule: str | None) -> bool:
    """Tell whether a waiver is about the one rule that holds the run: it then accepts the data as well."""
    from ml.pipeline.decision import asking

    return kind == "waive" and {one.name for one in asking(settings, use_case, run)} == {rule}


def _line(one: JsonObject) -> str:
    what = {"waive": "waived", "release": "released", "release_rows": f"{one.get('count')} rows released"}[one["kind"]]
    until = f"until {one['until']}" if one["until"] else "until ended"
    return f"{one['rule']}  {what} {until}  by {one['by']} (entry {one['entry']}): {one['reason']}"


def _follow(home: Home, use_case: str, run: str, again: JsonObject | None) -> None:
    """Let the step that waits look at the ledger, and start the run that has to follow; without the embedded Airflow, say so."""
    from ml.stack import up as stack
    from ml.stack.airflow import API
    from ml.stack.orchestrator import Orchestrator

    dag = f"retrain_{use_case}"
    if load_settings().s3_role is not None or not stack.status(home)[API]:
        form = "" if again is None else f", then trigger {dag} with {json.dumps(again)}"
        echo(f"in Airflow: clear the step `review` of this run if it waits{form}")
        return
    running = stack.load(home)
    orchestrator = Orchestrator(running.airflow_url, running.secrets["airflow_password"])
    if orchestrator.look_again(dag, run, "review"):
        echo(f"{run} waited; its step looks at the ledger now")
    if again is not None:
        echo(f"started {orchestrator.trigger(dag, again)}")
