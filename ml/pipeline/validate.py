"""Judges the ingested rows: passes the good ones, sets the failing ones aside with reasons, says whether to go on.

Reads ingest's tables, `as_of.data`, `accepted_profile` and `decisions`. Writes `tables/` packed by month,
`quarantine/`, `verdict.json`, `profile.json`; for people, Data Docs and `results.json`.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING

from ml.contract import JsonObject
from ml.files import write_json, write_verdict
from ml.pipeline.context import StageContext

if TYPE_CHECKING:
    from data_checks.runner import Outcome

RESULTS_SCHEMA = "tradewind/check-results/1"

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Judge every table; a refusal is written like any other verdict."""
    from data_checks.docs import write_docs
    from data_checks.judgement import Standard, judge, profile
    from data_checks.runner import Job, checks_of
    from data_checks.runner import run as run_checks

    out, reports = context.data("validate"), context.reports("validate")
    for folder in (out / "tables", out / "quarantine", reports / "docs"):
        shutil.rmtree(folder, ignore_errors=True)
    as_of = date.fromisoformat(context.inputs["as_of"]["data"])
    decisions = [item for item in context.inputs["decisions"] if item.get("stage") == "validate"]
    job = Job(
        tables=context.use_case.data.tables,
        checks=checks_of(context.use_case.name),
        source=context.data("ingest") / "tables",
        out=out,
        as_of=as_of,
        released=frozenset(_decided(decisions, "release")),
    )
    outcomes, documents = run_checks(job)
    standard = Standard(
        params=context.params.checks,
        as_of=as_of,
        accepted=context.inputs["accepted_profile"],
        waived=_decided(decisions, "waive"),
    )
    verdict = judge(outcomes, standard)
    write_verdict(out / "verdict.json", verdict, as_of=as_of.isoformat(), decisions=decisions)
    write_json(out / "profile.json", profile(outcomes, out / "tables"))
    write_json(reports / "results.json", _results(outcomes))
    write_docs(reports / "docs", documents, verdict, datetime.combine(as_of, time()))
    log.info("data judged accepted=%s rules=%d", verdict.accepted, len(verdict.rules))


def _decided(decisions: Sequence[Mapping[str, str]], kind: str) -> dict[str, str]:
    """Return the rules that decisions of one kind name, with the reasons given."""
    return {item["rule"]: item.get("reason", "") for item in decisions if item.get("kind") == kind}


def _results(outcomes: Sequence[Outcome]) -> JsonObject:
    """Return every check's counts; no value of any row."""
    return {
        "schema": RESULTS_SCHEMA,
        "tables": {
            outcome.table.name: {
                "received": outcome.received,
                "passed": outcome.passed,
                "checks": [finding.record() for finding in outcome.findings],
            }
            for outcome in outcomes
        },
    }
