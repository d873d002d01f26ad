"""The version that a run packaged, as whoever asks about it, approves it or promotes it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.contract import UseCase
from ml.errors import IntegrityBroken
from ml.packaging import version
from ml.packaging.oci import Layout
from ml.packaging.record import Evidence, Run
from ml.packaging.seal import check_evidence
from ml.packaging.version import Version
from ml.pipeline.approval import Subject


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A packaged version with what speaks for it."""

    run: Run
    version: Version
    evidence: Evidence

    @property
    def subject(self) -> Subject:
        """What an approval of it is about."""
        return Subject(run_id=self.run.run_id, version=self.version.digest, gate=self.evidence.gate)


def package_of(root: Path, use_case: UseCase) -> Path:
    """Return where a workspace holds the packaged version, an OCI layout."""
    return root / "data" / use_case.name / "package" / "oci"


def read_candidate(use_case: UseCase, root: Path, layout: Layout, run_id: str | None = None) -> Candidate:
    """Return the version in a layout, its evidence checked.

    Args:
        use_case: The record.
        root: The run's workspace.
        layout: Its packaged version, or a copy.
        run_id: The run that is meant; its frozen files must name it.

    Raises:
        GateFailed: The gate refuses the version.
        IntegrityBroken: A document is missing, or the frozen files are those of another run.
    """
    run = Run.read(root, use_case.name)
    if run_id not in (None, run.run_id):
        raise IntegrityBroken(f"inputs of run {run_id}", f"inputs of run {run.run_id}", "Start a new run.")
    return Candidate(run=run, version=version.read(layout), evidence=check_evidence(layout))
