"""Asks a person about a run's version, and keeps the answer: both as signed entries of the ledger.

Acts on the world: runs in a process of role `promote` that the approval step starts. The author of an answer is whom Airflow
authenticated, as its API server recorded it with the answer; no XCom, parameter, note or task state is read.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.errors import GateFailed
from ml.packaging.oci import Layout
from ml.pipeline.approval import CHANNEL, Subject, ensure_about, heard, newest_word
from ml.pipeline.candidate import Candidate, package_of, read_candidate
from ml.registry import ledger
from ml.registry.entry import Action, Entry, Move
from ml.registry.ledger import Ledger

log = logging.getLogger(__name__)


def ask(settings: Settings, use_case: UseCase, root: Path, request: JsonObject) -> JsonObject:
    """Put the question about a run's version into the ledger, once, and return what the person is to see.

    Args:
        settings: Those of role `promote`, with the signing key.
        use_case: The record.
        root: The run's workspace with its package.
        request: `run_id`, and `who` started the run.

    Returns:
        `version` and `gate`, the digests that an approval will name; `summary` and `rules` of the verdict.

    Raises:
        GateFailed: The gate refuses the version.
        IntegrityBroken: The run asked about another version before: a person may still see that question.
    """
    candidate = _candidate(settings, use_case, root, request)
    entries = Ledger.open(settings, use_case.name).entries
    for one in entries:
        if one.run_id == candidate.subject.run_id and one.action == "ask":
            ensure_about(one, candidate.subject)
    word = newest_word(entries, candidate.subject.run_id)
    if word is None or word.action != "ask":
        move = _move("ask", candidate.subject, request["who"], "the run requires an approval")
        ledger.tell(settings, use_case.name, move)
    verdict = candidate.evidence.verdict
    return {
        "version": candidate.version.digest,
        "gate": candidate.evidence.gate,
        "summary": verdict.summary,
        "rules": [asdict(rule) for rule in verdict.rules],
    }


def record_answer(settings: Settings, use_case: UseCase, root: Path, request: JsonObject) -> JsonObject:
    """Put a person's answer into the ledger, once.

    Args:
        settings: Those of role `promote`, with the signing key.
        use_case: The record.
        root: The run's workspace with its package.
        request: `run_id`; `answer` with `choice`, `by`, `at`, `reason`; `request`, which names the answer.

    Returns:
        `sentence` and `seq`, the number of the entry.

    Raises:
        GateFailed: The answer is no decision, its author may not approve, or nothing was asked.
        IntegrityBroken: The run's version or verdict is not the one that was asked about.
    """
    said = heard(settings, request["answer"])
    view = Ledger.open(settings, use_case.name)
    entry = view.answered(request["request"])
    if entry is None:
        question = newest_word(view.entries, request["run_id"])
        if question is None or question.action != "ask":
            raise GateFailed("an answer to a question of this run", "no question", "Clear the task `approve`.")
        subject = Subject(run_id=request["run_id"], version=str(question.to_digest), gate=str(question.gate))
        if said.is_approved:
            ensure_about(question, _candidate(settings, use_case, root, request).subject)
        action: Action = "approve" if said.is_approved else "reject"
        move = _move(action, subject, said.by, said.reason, request["request"])
        entry = ledger.tell(settings, use_case.name, move)
    log.info("answer kept use_case=%s action=%s entry=%d", use_case.name, entry.action, entry.seq)
    return {"sentence": _sentence(entry), "seq": entry.seq}


def _candidate(settings: Settings, use_case: UseCase, root: Path, request: JsonObject) -> Candidate:
    return read_candidate(settings, use_case, root, Layout(package_of(root, use_case)), request["run_id"])


def _move(action: Action, subject: Subject, who: str, why: str, request: str | None = None) -> Move:
    return Move(
        channel=CHANNEL,
        action=action,
        digest=subject.version,
        who=who,
        why=why,
        run_id=subject.run_id,
        gate=subject.gate,
        request=request,
    )


def _sentence(entry: Entry) -> str:
    verb = {"approve": "approved", "reject": "rejected"}[entry.action]
    return f"{entry.who} {verb} {entry.to_digest}: {entry.why}"
