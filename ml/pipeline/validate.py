"""Judges the ingested rows: passes the good ones, sets the failing ones aside with reasons, says whether to go on.

Reads ingest's tables, which it opens in memory, `as_of.data`, `decisions` with the marks of the rows that they release, and the
profiles of the runs that `accepted` names, both by their digests. Writes `tables/` packed by month, `quarantine/`,
`verdict.json`, `profile.json`; for people, Data Docs, `report.json`, `quarantine.json`, `row_marks.json`.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

from ml.errors import IntegrityBroken
from ml.files import canonical, read_json, sha256, sha256_file, table_files, write_arrow, write_json, write_verdict
from ml.pipeline.context import StageContext
from ml.pipeline.released import MARKS
from ml.privacy.key_ring import KeyRing
from ml.privacy.seal import Opener, Words

if TYPE_CHECKING:
    from data_checks.profile import History
    from data_checks.runner import Job, Sealed

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Judge every table; a refusal is written like any other verdict.

    Raises:
        IntegrityBroken: A profile, or the marks of released rows, are not those the run was frozen with.
    """
    with tempfile.TemporaryDirectory(dir=context.root) as scratch:
        _judge(context, Path(scratch))


def _judge(context: StageContext, scratch: Path) -> None:
    from data_checks.docs import write_docs
    from data_checks.extract import extract, listed
    from data_checks.judgement import rulings, verdict_of
    from data_checks.profile import profile
    from data_checks.report import report
    from data_checks.runner import run as run_checks
    from data_checks.shift import compare, worst
    from data_checks.standard import Standard

    out, reports = context.data("validate"), context.reports("validate")
    for folder in (out / "tables", out / "quarantine", reports / "docs"):
        shutil.rmtree(folder, ignore_errors=True)
    decisions = [item for item in context.inputs["decisions"] if item.get("stage") == "validate"]
    job, history = _job(context, scratch, decisions), _history(context)
    outcomes, documents = run_checks(job)
    shifts = compare({outcome.table.name: (outcome.table, outcome.columns) for outcome in outcomes}, history.last)
    standard = Standard(
        params=context.params.checks,
        as_of=job.as_of,
        history=history,
        waived=_decided(decisions, "waive"),
        shifts=worst(shifts),
    )
    found = rulings(outcomes, standard)
    verdict = verdict_of(found, outcomes)
    marks = listed(out / "quarantine", job.tables)
    aside = {rule: {"rows": len(own), "digest": sha256(canonical(own))} for rule, own in marks.items()}
    write_verdict(out / "verdict.json", verdict, as_of=job.as_of.isoformat(), decisions=decisions, aside=aside)
    write_json(out / "profile.json", profile(outcomes, job.passed, job.as_of))
    write_json(reports / "report.json", report(outcomes, found, verdict, standard))
    write_json(reports / "quarantine.json", extract(out / "quarantine", job.tables))
    write_json(reports / MARKS, marks)
    write_docs(reports / "docs", documents, verdict, datetime.combine(job.as_of, time()))
    log.info("data judged accepted=%s rules=%d", verdict.accepted, len(verdict.rules))


def _job(context: StageContext, scratch: Path, decisions: Sequence[Mapping[str, str]]) -> Job:
    from data_checks.runner import Job, checks_of

    return Job(
        tables=context.use_case.data.tables,
        checks=checks_of(context.use_case.name),
        source=context.data("ingest") / "tables",
        sealed=_sealed(context, scratch),
        out=context.data("validate"),
        as_of=date.fromisoformat(context.inputs["as_of"]["data"]),
        released=frozenset(_decided(decisions, "release")),
        released_rows=_released_rows(context, decisions),
        row_key=KeyRing.open(context.settings, context.use_case.name).row_key,
    )


def _released_rows(context: StageContext, decisions: Sequence[Mapping[str, str]]) -> dict[str, Counter[str]]:
    """Return how many rows of each mark pass each rule; the workspace holds the marks by their digests."""
    released: dict[str, Counter[str]] = {}
    for item in (item for item in decisions if item.get("kind") == "release_rows"):
        path = context.released(item["rows"])
        if not path.is_file() or sha256_file(path) != item["rows"]:
            raise IntegrityBroken(f"the released rows {item['rows']}", "others or none", "Start a new run.")
        released.setdefault(item["rule"], Counter()).update(json.loads(path.read_text()))
    return released


def _history(context: StageContext) -> History:
    """Return the frozen profiles, which the workspace holds by their digests."""
    from data_checks.profile import History

    runs = []
    for accepted in context.inputs["accepted"]:
        path = context.profile(accepted["digest"])
        if not path.is_file() or sha256_file(path) != accepted["digest"]:
            raise IntegrityBroken(f"the profile {accepted['digest']}", "another or none", "Start a new run.")
        runs.append((accepted["run_id"], read_json(path)))
    return History(runs=tuple(runs))


def _sealed(context: StageContext, scratch: Path) -> Sealed:
    """Lay out the ingested tables with words for what is encrypted: no value touches the disk."""
    from data_checks.partition import packed, read
    from data_checks.runner import Sealed

    opener, words = Opener(lambda: KeyRing.open(context.settings, context.use_case.name)), Words()
    for table in context.use_case.data.tables:
        for partition, files in packed(table_files(context.data("ingest") / "tables" / table.name)):
            rows = words.of(table, opener.open(table, read(files)))
            write_arrow(scratch / "words" / table.name / f"{partition}.parquet", rows)
    return Sealed(words=scratch / "words", open=opener.open, passed=scratch / "passed")


def _decided(decisions: Sequence[Mapping[str, str]], kind: str) -> dict[str, str]:
    """Return the rules that decisions of one kind name, with the reasons given."""
    return {item["rule"]: item.get("reason", "") for item in decisions if item.get("kind") == kind}
