"""Carries out what a data owner decided: appends to the ledger, and says what the run that has to follow is asked for.

Acts on the world: reads a run's verdict and frozen files, writes the ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import cast

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import ConfigInvalid
from ml.pipeline import frozen, is_run_id
from ml.pipeline.approval import REQUIRED, is_required
from ml.pipeline.decision import RELEASES, Decision, Kind, decide, judged
from ml.registry.ledger import Ledger

SOURCE = (("", "kind"), ("_location", "location"), ("_mapping", "mapping"))
"""Ends of the form's fields that override the source, and the keys of its section."""

log = logging.getLogger(__name__)


def run(settings: Settings, use_case: str, section: JsonObject, request: JsonObject) -> JsonObject:
    """Keep a decision in the ledger.

    Args:
        settings: Those of role `promote`, with the signing key.
        use_case: Its name.
        section: The use case's section of `params.yaml`: what a run gets where it asks for nothing else.
        request: `who`, `request` and under `target` the decision: `kind`, `run`, `verdict`, `rule`, `until`, `rows`, `reason`;
            `is_answer` where the run waits for it.

    Returns:
        `sentence`; `again`, the form of the retraining that has to follow, or none.

    Raises:
        GateFailed: This person does not decide about data.
        ConfigInvalid: A part of the decision is missing or none that counts.
        IntegrityBroken: The run's verdict is another one than the person saw.
        PromotionConflict: The request was carried out before, with another decision.
    """
    target = request["target"]
    if not is_run_id(target["run"]):
        raise ConfigInvalid("the id of a run", repr(target["run"]), "Take it from the run's page.")
    asked = Decision(
        kind=target["kind"],
        run_id=target["run"],
        verdict=target["verdict"],
        request=request["request"],
        who=request["who"],
        why=target["reason"],
        rule=target.get("rule"),
        until=date.fromisoformat(target["until"]) if target.get("until") else None,
        rows=target.get("rows") or "",
    )
    for one in _parts(asked, is_answer=target.get("is_answer", False)):
        entry = decide(settings, use_case, one, datetime.now(UTC).date())
        log.info("decided use_case=%s kind=%s run=%s entry=%d", use_case, one.kind, one.run_id, entry.seq)
    again = _again(settings, use_case, section, asked) if _needs_run(settings, use_case, asked) else None
    return {"sentence": _sentence(asked), "again": again}


def rerun(settings: Settings, use_case: str, section: JsonObject, request: str) -> JsonObject | None:
    """Return what the newest decision that a request brought asks to run again, by the ledger; none if it asks for nothing.

    Args:
        settings: A role that reads the ledger, verdicts and frozen files.
        use_case: Its name.
        section: The use case's section of `params.yaml`.
        request: Names the DAG run that decided, or in which the step was answered.

    Returns:
        `conf`, the form of the retraining; `number`, which names the decision.
    """
    entries = Ledger.open(settings, use_case).entries
    made = [one for one in entries if one.decision and f"{one.request} ".startswith(f"{request} ")]
    if not made or made[-1].run_id is None:
        return None
    newest = made[-1]
    asked = Decision(
        kind=cast(Kind, (newest.decision or {})["kind"]),
        run_id=str(newest.run_id),
        verdict=str((newest.decision or {})["verdict"]),
        request=request,
        who=newest.who,
        why=newest.why,
    )
    if not _needs_run(settings, use_case, asked):
        return None
    return {"conf": _again(settings, use_case, section, asked), "number": newest.id}


def _parts(asked: Decision, *, is_answer: bool) -> Iterator[Decision]:
    """Yield the entries that make a decision: a waiver that answers a run which waits accepts its data as well."""
    yield asked
    if asked.kind == "waive" and is_answer:
        yield replace(asked, kind="accept", rule=None, until=None, request=f"{asked.request} accept")


def _needs_run(settings: Settings, use_case: str, asked: Decision) -> bool:
    """Tell whether the decision changes what the run's data would be: released rows, or a refusal that is waived."""
    if asked.kind in RELEASES:
        return True
    return asked.kind == "waive" and not judged(settings, use_case, asked.run_id).verdict.accepted


def _again(settings: Settings, use_case: str, section: JsonObject, asked: Decision) -> JsonObject:
    """Return the retraining's form that asks for what the run was asked for."""
    inputs, params = (read(settings, use_case, asked.run_id) for read in (frozen.inputs, frozen.section))
    source, own = inputs["source"]["spec"], section.get("source", {})
    form = {
        "as_of": inputs["as_of"]["requested"],
        **{f"source{part}": source.get(key) for part, key in SOURCE if source.get(key) != own.get(key)},
        "approval": REQUIRED if is_required(params) else None,
        **{f"train_{name}": value for name, value in params["train"].items() if section["train"].get(name) != value},
    }
    return {name: value for name, value in form.items() if value is not None}


def _sentence(asked: Decision) -> str:
    what = {
        "waive": f"waive {asked.rule} until {asked.until}",
        "release": f"release {asked.rule} until {asked.until}",
        "release_rows": f"release {f'rows {asked.rows}' if asked.rows else 'all rows'} that {asked.rule} set aside",
        "end": f"end what is in force for {asked.rule}",
    }.get(asked.kind, f"{asked.kind} them")
    return f"{asked.who} decided about the data of {asked.run_id} to {what}: {asked.why}"
