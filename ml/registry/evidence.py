"""The gate report behind a version, looked at again by whoever is about to let it answer."""

from __future__ import annotations

from ml.config import Settings
from ml.errors import GateFailed
from ml.files import sha256
from ml.packaging.gate_report import accepted
from ml.registry.fetch import fetch_gate_report


def ensure_accepted(settings: Settings, use_case: str, digest: str, gate: str | None) -> None:
    """Compare what a ledger entry says of the gate with the reports that the version's signed records name.

    Args:
        settings: A role that may read `models`.
        use_case: Name of its use case.
        digest: The version.
        gate: Digest of the gate's `verdict.json`, as the entry has it.

    Raises:
        GateFailed: The report refuses the version, or the entry names another report or none.
        ModelNotFound: There is no such version.
        IntegrityBroken: A signature or digest does not hold.
    """
    report = fetch_gate_report(settings, use_case, digest, gate)
    if report is None or sha256(report) != gate:
        raise GateFailed(
            f"a gate report that a signed record of {digest} names",
            f"a ledger entry that names {gate}",
            "The version before stays live; promote through the door.",
        )
    accepted(report)
