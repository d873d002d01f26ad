"""Whether a person has to approve a version before it goes live, and what the ledger says that person decided.

A run's question and its answers are signed entries of the ledger: `ask`, then `approve` or `reject`. Each names the version
and the gate's verdict. Nothing that Airflow stores about the step (its state, its XCom) is evidence of an approval.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import GateFailed, IntegrityBroken
from ml.registry.entry import ANSWERS, Entry

APPROVE, REJECT = "Approve", "Reject"
REQUIRED = "required"
NOBODY = "nobody in time"
"""Who rejected where the time to answer ran out."""
CHANNEL = "production"
"""The channel that the step asks about."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A decision with its reason."""

    is_approved: bool
    by: str
    at: str
    """UTC, ISO 8601."""
    reason: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What an approval is about."""

    run_id: str
    version: str
    """Digest of the version that the run packaged."""
    gate: str
    """Digest of the gate's `verdict.json`."""


def is_required(section: JsonObject) -> bool:
    """Tell whether the parameters that a run was frozen with ask for a person's approval."""
    return (section.get("release") or {}).get("approval") == REQUIRED


def heard(settings: Settings, answer: JsonObject) -> Approval:
    """Return the decision in an answer to the approval step.

    Args:
        settings: `approvers` names who may decide; without it whoever Airflow lets answer.
        answer: `choice`, `by`, `at` and `reason`; `by` is none where the time to answer ran out.

    Raises:
        GateFailed: The answer is no decision, has no reason, or its author is not among the approvers.
    """
    choice, by, reason = answer.get("choice"), answer.get("by"), (answer.get("reason") or "").strip()
    if choice == REJECT and by is None:
        return Approval(is_approved=False, by=NOBODY, at=answer["at"], reason="no answer in time")
    if choice not in (APPROVE, REJECT) or by is None:
        raise _refused("a person's approval", "none")
    if choice == APPROVE:
        ensure_approver(settings, by, reason)
    return Approval(is_approved=choice == APPROVE, by=by, at=answer["at"], reason=reason or "no reason given")


def newest_word(entries: Iterable[Entry], run_id: str) -> Entry | None:
    """Return the newest question or answer about a run's version; none if the run asked nobody."""
    about = [one for one in entries if one.run_id == run_id and one.action in ("ask", *ANSWERS)]
    return about[-1] if about else None


def standing_answer(settings: Settings, word: Entry | None, section: JsonObject, subject: Subject) -> Entry | None:
    """Return the ledger's answer about a run's version; none where the run has to ask nobody.

    Args:
        settings: `approvers` names who may decide.
        word: The newest question or answer of the run (`newest_word`).
        section: The parameters that the run was frozen with.
        subject: The version that is about to go live, and the verdict about it.

    Raises:
        GateFailed: A person was or had to be asked and has not answered, or the author of the approval may not approve.
        IntegrityBroken: The answer is about another version or another verdict.
    """
    if word is None and not is_required(section):
        return None
    if word is None or word.action not in ANSWERS:
        raise _refused("a person's approval", "none")
    if word.action == "approve":
        ensure_approver(settings, word.who, word.why)
    ensure_about(word, subject)
    return word


def ensure_about(word: Entry, subject: Subject) -> None:
    """Refuse a question or answer about another version, or another verdict, than the one at hand."""
    if (word.to_digest, word.gate) != (subject.version, subject.gate):
        raise IntegrityBroken(
            f"the version {word.to_digest} with verdict {word.gate}, as in ledger entry {word.seq}",
            f"{subject.version} with verdict {subject.gate}",
            "The run's outputs were changed after a person was asked. Nothing goes live; start a new run.",
            seq=word.seq,
        )


def ensure_approver(settings: Settings, by: str, reason: str) -> None:
    """Refuse an approval without a reason, or by somebody who may not approve."""
    allowed = settings.approver_names()
    if allowed and by not in allowed:
        raise _refused(f"an approval by one of {', '.join(sorted(allowed))}", f"one by {by}")
    if not reason.strip():
        raise _refused("an approval with a reason", "one without")


def _refused(expected: str, received: str) -> GateFailed:
    return GateFailed(expected, received, "Production stays as it was; clear the task `approve` and answer it.")
