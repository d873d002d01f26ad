"""The version that a run packaged, as whoever asks about it, approves it or promotes it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.config import Settings
from ml.contract import UseCase
from ml.errors import IntegrityBroken
from ml.packaging import version
from ml.packaging.judgement import ENVELOPE, JUDGEMENT_SCHEMA, JUDGEMENT_TYPE, Judgement, ensure_judged
from ml.packaging.oci import Layout
from ml.packaging.record import Evidence, Run
from ml.packaging.seal import check_evidence
from ml.packaging.version import Version
from ml.pipeline import vouch
from ml.pipeline.approval import Subject
from ml.pipeline.judge import frozen_digests


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


def read_candidate(
    settings: Settings, use_case: UseCase, root: Path, layout: Layout, run_id: str | None = None
) -> Candidate:
    """Return the version in a layout, its evidence checked.

    Args:
        settings: With the judging role's public key.
        use_case: The record.
        root: The run's workspace.
        layout: Its packaged version, or a copy.
        run_id: The run that is meant; its frozen files must name it.

    Raises:
        GateFailed: The gate refuses the version.
        IntegrityBroken: A document is missing, the frozen files are those of another run, or a byte is not what was judged.
    """
    run = Run.read(root, use_case.name)
    if run_id not in (None, run.run_id):
        raise IntegrityBroken(f"inputs of run {run_id}", f"inputs of run {run.run_id}", "Start a new run.")
    found = Candidate(run=run, version=version.read(layout), evidence=check_evidence(layout))
    ensure_as_judged(judgement_of(settings, use_case.name, root, run.run_id), use_case, layout)
    return found


def judgement_of(settings: Settings, use_case: str, root: Path, run_id: str) -> Judgement:
    """Return what the judging role signed about a run, whose frozen files lie in a workspace.

    Raises:
        IntegrityBroken: There is none, it is about another run, or the frozen files were changed since.
    """
    path = root / ENVELOPE
    if not path.is_file():
        raise IntegrityBroken("a judgement signed by the judging role", "none", "Clear the task `evaluate`.")
    about = {"schema": JUDGEMENT_SCHEMA, "use_case": use_case, "run_id": run_id}
    judgement = Judgement.of(vouch.verify(settings, "judge", JUDGEMENT_TYPE, path.read_bytes(), about))
    now = frozen_digests(root)
    changed = sorted(name for name in now if now[name] != judgement.frozen.get(name))
    if changed:
        raise IntegrityBroken(
            f"{', '.join(changed)} as the gate read it", "another", "The run was changed meanwhile; start a new run."
        )
    return judgement


def ensure_as_judged(judgement: Judgement, use_case: UseCase, layout: Layout) -> None:
    """Refuse a packaged version that holds other bytes than those that were judged."""
    ensure_judged(judgement, layout, version.describe(use_case, str(judgement.variant)))
