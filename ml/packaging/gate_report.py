"""The gate report that travels with a version, as promotion and the model server read it."""

from __future__ import annotations

from ml.contract import Verdict
from ml.errors import GateFailed
from ml.files import parse_verdict
from ml.packaging.oci import parsed


def accepted(report: bytes) -> Verdict:
    """Return the verdict in a gate report that accepts its version.

    Raises:
        GateFailed: It refuses.
        IntegrityBroken: It is no verdict: missing evidence is a refusal.
    """
    verdict = parse_verdict(parsed(report))
    if not verdict.accepted or verdict.blocking() or not verdict.chosen:
        raise GateFailed("a version whose gate report accepts it", verdict.summary, "Read the gate report.")
    return verdict
