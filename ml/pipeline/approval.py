"""Whether a person has to approve a version before it goes live, what that person decided, and whether they may."""

from __future__ import annotations

from dataclasses import dataclass

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import GateFailed

APPROVE, REJECT = "Approve", "Reject"
REQUIRED = "required"
NOBODY = "nobody in time"
"""Who rejected where the time to answer ran out."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A decision with its reason."""

    is_approved: bool
    by: str
    at: str
    """UTC, ISO 8601."""
    reason: str

    def told(self) -> dict[str, str]:
        """Return what the ledger keeps of it."""
        return {"by": self.by, "at": self.at, "reason": self.reason}


def is_required(section: JsonObject) -> bool:
    """Tell whether the parameters that a run was frozen with ask for a person's approval."""
    return (section.get("release") or {}).get("approval") == REQUIRED


def heard(settings: Settings, asked: JsonObject | None) -> Approval | None:
    """Return the decision of the person who was asked; none where the run asked nobody.

    Args:
        settings: `approvers` names who may decide; without it whoever Airflow lets answer.
        asked: `choice`, `by`, `at` and `reason` of the answer; empty where there had to be one and is none.

    Raises:
        GateFailed: An approval was required and there is none, nobody of that name may give it, or it has no reason.
    """
    if asked is None:
        return None
    choice, by, reason = asked.get("choice"), asked.get("by"), (asked.get("reason") or "").strip()
    if choice == REJECT:
        return Approval(
            is_approved=False, by=by or NOBODY, at=asked["at"], reason=reason or "no answer in time, or no reason given"
        )
    if choice != APPROVE or by is None:
        raise _refused("a person's approval", "none")
    allowed = settings.approver_names()
    if allowed and by not in allowed:
        raise _refused(f"an approval by one of {', '.join(sorted(allowed))}", f"one by {by}")
    if not reason:
        raise _refused("an approval with a reason", "one without")
    return Approval(is_approved=True, by=by, at=asked["at"], reason=reason)


def _refused(expected: str, received: str) -> GateFailed:
    return GateFailed(expected, received, "Production stays as it was; clear the task `approve` and answer it.")
