"""Verifies every ledger with the documents its entries name, and removes versions that nobody needs any more."""

from __future__ import annotations

from datetime import datetime

from ml.config import Settings
from ml.errors import IntegrityBroken, PromotionConflict
from ml.maintenance.outcome import Outcome, Removed
from ml.maintenance.survey import use_cases
from ml.pipeline import ledger_audit
from ml.registry.collect import Kept, collect
from ml.registry.memory import Memory, memory_path
from ml.store import Bucket

WHO = "maintenance"


def audit(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:  # noqa: ARG001 - every step is called alike
    """Verify the ledger of every use case; one that does not hold is a fault.

    Args:
        settings: Role `read`.
        now: UTC.
        is_trial: Changes nothing: this removes nothing in any case.
    """
    done, memory = Outcome(step="audit"), Memory(memory_path(settings.home))
    for name in use_cases(Bucket.open(settings, "ledger"), Bucket.open(settings, "models")):
        try:
            held = ledger_audit.audit(settings, name, memory.mark(name))
        except IntegrityBroken as error:
            done.faults.append(f"{name}: {error}")
        else:
            done.notes.append(f"{name}: {held.entries} ledger entries and {held.documents} documents hold")
    return done


def versions(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:  # noqa: ARG001 - every step is called alike
    """Remove versions by retention; the ledger keeps what was removed.

    Args:
        settings: Role `promote`, with the signing key.
        now: UTC.
        is_trial: Tell what would go, and remove nothing.
    """
    done = Outcome(step="versions")
    kept = Kept(newest=settings.keep_versions, horizon_days=settings.keep_version_days)
    number = size = 0
    for name in use_cases(Bucket.open(settings, "models")):
        try:
            found = collect(settings, name, kept, WHO, is_trial=is_trial)
        except PromotionConflict:
            done.notes.append(f"{name}: a promotion came first; its old versions are removed next time")
        except IntegrityBroken as error:
            done.faults.append(f"{name}: {error}")
        else:
            number, size = number + len(found.versions), size + found.size
    done.removed.append(Removed(kind="versions", number=number, size=size))
    return done
