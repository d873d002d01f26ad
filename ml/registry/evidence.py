"""The gate report behind a version, looked at again by whoever is about to let it answer."""

from __future__ import annotations

from ml.config import Settings
from ml.errors import GateFailed
from ml.files import sha256
from ml.packaging import artifact
from ml.packaging.gate_report import accepted
from ml.registry.fetch import fetch_document


def ensure_accepted(settings: Settings, use_case: str, digest: str, gate: str | None) -> None:
    """Compare what a ledger entry says of the gate with the report that the version's signed record names.

    Args:
        settings: A role that may read `models`.
        use_case: Name of its use case.
        digest: The version.
        gate: Digest of the gate's `verdict.json`, as the entry has it.

    Raises:
        GateFailed: The report refuses the version, or the entry names another report or none.
        ModelNotFound: There is no such version, or no report of it.
        IntegrityBroken: A signature or digest does not hold.
    """
    report = fetch_document(settings, use_case, digest, artifact.GATE)["verdict.json"]
    if gate != sha256(report):
        raise GateFailed(
            f"the gate report {sha256(report)} that the record of {digest} names",
            f"a ledger entry that names {gate}",
            "The version before stays live; promote through the door.",
        )
    accepted(report)
