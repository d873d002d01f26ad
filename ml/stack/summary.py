"""What people see on a terminal: which parts run, what is live and why, and one answer of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml
from rich.table import Table

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.errors import ModelNotFound, ServiceUnavailable
from ml.evaluation.bootstrap import Estimate
from ml.files import read_json
from ml.packaging import artifact
from ml.pipeline import storage_id
from ml.pipeline.bandit import Judged
from ml.pipeline.tune import Tried
from ml.registry.entry import Entry
from ml.registry.fetch import fetch_document, fetch_record, fetch_version
from ml.registry.ledger import Ledger, live
from ml.stack.airflow import USERS, passwords
from ml.stack.health import Health
from ml.stack.up import Stack
from ml.terminal import Console, one_line
from ml.use_cases import NAMES

if TYPE_CHECKING:
    from data_checks.rule_table import RuleLine

CHANNEL = "production"
RIGHTS = {
    "admin": "everything",
    "user": "decide about data",
    "op": "promote, roll back, approve versions",
    "viewer": "look",
}
TRIED_SHOWN = 5  # trials of a search
REQUEST_WIDTH = 160  # characters of a request that are shown


def show(out: Console, stack: Stack, use_case: str, run_id: str) -> None:
    """Show the live version of one use case: digest, metrics, verdict, one answer over HTTP, links.

    Raises:
        ModelNotFound: Nothing is live.
        ServiceUnavailable: The model server does not answer.
    """
    settings = stack.settings("read")
    now = live(settings, use_case, CHANNEL)
    if now is None:
        raise ModelNotFound(f"a live version of {use_case}", "none", "Read the run's log.")
    record = fetch_record(settings, use_case, now.digest, now.run_id).payload
    evidence = fetch_document(settings, use_case, now.digest, artifact.GATE, now.run_id)
    out.print(f"\n[bold]live[/]  {use_case} [green]{now.digest}[/]")
    out.print(f"  entry {now.seq} of the ledger, {now.action} {now.since} by {now.who}")
    _show_metrics(out, json.loads(evidence["metrics.json"]), record["variant"])
    out.print("\n[bold]gate[/]")
    for rule in record["gate"]["rules"]:
        out.print(f"  {'[green]pass[/]' if rule['passed'] else '[red]fail[/]'}  {rule['sentence']}")
    _show_answer(out, stack, use_case, now.digest)
    _show_links(out, stack, use_case, run_id)


def show_parts(out: Console, parts: Mapping[str, Health]) -> None:
    """Show how each part of the stack is, and why one does not do its work."""
    for name, health in parts.items():
        word = (
            "[green]healthy[/]  "
            if health.is_healthy
            else "[red]unhealthy[/]"
            if health.is_alive
            else "[red]down[/]     "
        )
        out.print(f"  {word}  {name}  ", end="")
        out.print(health.reason if health.is_alive else "", highlight=False, markup=False)


def show_warnings(out: Console, sentences: Iterable[str]) -> None:
    """Show what runs out, before anything fails."""
    for sentence in sentences:
        out.print(f"  [yellow]warning[/]    {sentence}", highlight=False, soft_wrap=True)


def show_users(out: Console, secrets: Mapping[str, str]) -> None:
    """Show the embedded Airflow's logins, passwords included: this terminal's owner can read them in a file as well."""
    known = passwords(secrets)
    table = Table("login", "password", "Airflow role", "may", box=None, pad_edge=False)
    for name, role in USERS.items():
        table.add_row(name, known[name], role, RIGHTS[role])
    out.print(table)


def show_live(out: Console, settings: Settings) -> None:
    """Show what is live on each channel of each use case."""
    for name in NAMES:
        view = Ledger.open(settings, name)
        for channel in view.channels or (CHANNEL,):
            now = view.live(channel)
            told = f"{now.digest}  since {now.since}  by {now.who}  {now.why}" if now else "nothing was promoted yet"
            out.print(f"  {name}  {channel}  {told}", highlight=False, markup=False, soft_wrap=True)


def show_history(out: Console, entries: Iterable[Entry]) -> None:
    """Show the moves of a ledger, oldest first; digests whole, so that they can be copied into a rollback."""
    shown = list(entries)
    if not shown:
        out.print("nothing was promoted yet", highlight=False)
    for entry in shown:
        when = entry.when[:19].replace("T", " ")
        head = one_line(f"{entry.seq}  {when} UTC  {entry.channel}  {entry.action} by {entry.who}")
        out.print(head, highlight=False, markup=False, soft_wrap=True)
        for word, value in (*_about(entry), ("why", entry.why)):
            out.print(f"   {word:<5}{one_line(value)}", highlight=False, markup=False, soft_wrap=True)


def show_rules(out: Console, lines: Iterable[RuleLine]) -> None:
    """Show each rule on the data in a line."""
    table = Table(box=None, pad_edge=False)
    for name in ("severity", "rule", "owner", "since", "threshold", "from", "reason"):
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(
            *(line.severity, line.name, line.owner, line.since.isoformat(), line.threshold, line.basis, line.reason)
        )
    out.print(table, markup=False)


def _about(entry: Entry) -> tuple[tuple[str, str], ...]:
    """Return what an entry is about, line by line: versions, or the data of a run."""
    if entry.decision is None:
        return (("from", entry.from_digest or "nothing"), ("to", entry.to_digest or "nothing"))
    parts = [entry.decision[name] for name in ("kind", "rule") if entry.decision[name]]
    until = f" until {entry.decision['until']}" if entry.decision["until"] else ""
    rows = f" {entry.decision['count']} rows" if "count" in entry.decision else ""
    return (("data", f"{' '.join(map(str, parts))}{rows}{until} of {entry.run_id}"),)


def show_tried(out: Console, use_case: UseCase, tried: Sequence[Tried]) -> None:
    """Show the best trials of a search, and the best as a section of `params.yaml`."""
    failed = sum(one.value is None for one in tried)
    title = f"{len(tried)} trials, {failed} failed; {use_case.judgement.primary} on validation rows"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    names = sorted({name for one in tried for name in one.params})
    for name in ("trial", use_case.judgement.primary, *names):
        table.add_column(name, justify="right")
    known = [one for one in tried if one.value is not None]
    for one in known[:TRIED_SHOWN]:
        table.add_row(str(one.number), f"{one.value:.5f}", *(f"{one.params[name]:.4g}" for name in names))
    out.print(table)
    if known:
        chosen = {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in known[0].params.items()
        }
        out.print(f"\n{use_case.name}:\n  train: {json.dumps(chosen)}", highlight=False, markup=False)


def show_judged(out: Console, use_case: str, found: Judged) -> None:
    """Show what drawn places earned and would have earned, and what to do with the policy that was learned."""
    evidence = found.evidence
    title = f"{use_case}: rewards a drawn place, 95 % intervals"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for column in ("policy", *evidence.base):
        table.add_column(column)
    table.add_row("as it was drawn", _interval(found.earned), *[""] * (len(evidence.base) - 1))
    table.add_row("base list", *map(_interval, evidence.base.values()))
    table.add_row("learned", *map(_interval, evidence.learned.values()))
    out.print(table)
    seen = evidence.overlap
    out.print(
        f"learned less base {_interval(evidence.gain)} on {evidence.n_rows} places of {evidence.n_units} customers, "
        f"worth {seen.effective_rows:.0f} even ones; weights up to {seen.max_weight:.1f}, {seen.mean_weight:.2f} on average",
        highlight=False,
    )
    if not evidence.is_accepted:
        out.print(
            "That the learned policy earns more than the base list is not sure: leave out `policy` in params.yaml."
        )
        return
    out.print(f"It earns more. To show it, put this into params.yaml below {use_case}.features.explore and retrain:")
    out.print(yaml.safe_dump({"policy": found.policy()}), highlight=False)


def _interval(found: Estimate) -> str:
    return f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"


def ask(stack: Stack, path: str, body: JsonObject) -> JsonObject:
    """Post a request to the model server and return its answer.

    Raises:
        ServiceUnavailable: It does not answer, or refuses.
    """
    headers = {"Authorization": f"Bearer {stack.secrets['server_token']}"}
    try:
        answer = httpx.post(f"{stack.server_url}{path}", json=body, headers=headers, timeout=30)
    except httpx.HTTPError as error:
        raise ServiceUnavailable(f"an answer of {stack.server_url}", type(error).__name__, "Is it up?") from error
    if answer.is_error:
        received = f"{answer.status_code} {answer.text[:300]}"
        raise ServiceUnavailable(f"an answer of {stack.server_url}{path}", received, "Read the server's log.")
    found: JsonObject = answer.json()
    return found


def _show_metrics(out: Console, metrics: JsonObject, variant: str) -> None:
    """Show each contender's figures with their 95 % intervals on the same test rows."""
    table = Table(box=None, pad_edge=False, title="test metrics, 95 % intervals", title_justify="left")
    names = [item["name"] for item in metrics["metrics"]]
    table.add_column("contender")
    for name in names:
        table.add_column(name, justify="right")
    for contender in metrics["contenders"]:
        style = "bold green" if contender["name"] == variant else ""
        table.add_row(contender["name"], *(_figure(contender["figures"], name) for name in names), style=style)
    out.print()
    out.print(table)


def _figure(figures: Mapping[str, Any], name: str) -> str:
    found = figures.get(name)
    if found is None or found["value"] is None:
        return ""
    return f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"


def _show_answer(out: Console, stack: Stack, use_case: str, digest: str) -> None:
    """Ask the server the version's first golden request and show request and answer."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch_version(stack.settings("read"), use_case, digest, Path(scratch))
        request = read_json(folder / "golden.json")["cases"][0]["request"]
    answer = ask(stack, f"/v1/{use_case}/predict", request)
    out.print(f"\n[bold]POST {stack.server_url}/v1/{use_case}/predict[/]")
    asked = json.dumps(request, ensure_ascii=False)
    out.print(f"  {asked if len(asked) <= REQUEST_WIDTH else asked[: REQUEST_WIDTH - 1] + '…'}", markup=False)
    for name, value in answer.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            out.print(_rows(value))
        else:
            out.print(f"  {name}: {value}", markup=False)


def _rows(items: list[JsonObject]) -> Table:
    """Return a table of what is no list or record; one item alone is told a field a line."""
    told = [{name: value for name, value in item.items() if not isinstance(value, list | dict)} for item in items]
    items = [{"field": name, "value": value} for name, value in told[0].items()] if len(told) == 1 else told
    table = Table(box=None, pad_edge=False)
    for name, value in items[0].items():
        table.add_column(name, justify="right" if isinstance(value, int | float) else "left")
    for item in items:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in item.values()))
    return table


def _show_links(out: Console, stack: Stack, use_case: str, run_id: str) -> None:
    prefix = f"{stack.airflow_url}/tradewind/report/{use_case}/{storage_id(run_id)}"
    out.print("\n[bold]look at[/]")
    for title, url in (
        ("Airflow run", f"{stack.airflow_url}/dags/retrain_{use_case}/runs/{run_id}"),
        ("Data Docs", f"{prefix}/validate/docs/index.html"),
        ("model card", f"{prefix}/explain/card.html"),
        ("model server", f"{stack.server_url}/health"),
    ):
        out.print(f"  {title:<13} {url}", soft_wrap=True)
