"""What one version is: where it is live and why, what it came from, how the gate judged it, what it leans on."""

from __future__ import annotations

from dataclasses import dataclass

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk.document import Judgement, Origin, has, named, papers
from ml.desk.lineage import Graph, graph
from ml.desk.live_view import CHANNEL
from ml.errors import ModelNotFound, TradewindError
from ml.registry.entry import MOVES, Entry
from ml.registry.erasure import of_version
from ml.registry.ledger import Ledger
from ml.registry.live import Live

REASONS_SHOWN = 8
DATA_REPORT = "validate/report.json"


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """What the store holds of a version, all of it named by its signed record."""

    record: JsonObject
    judged: Judgement
    origin: Origin
    graph: Graph
    reasons: list[JsonObject]
    """What moves its scores: `reason`, `mean`, `share` of the explanations; strongest first."""
    inputs: list[JsonObject]
    """What its primary figure loses where one input is shuffled: `input`, `loss`."""
    completeness: JsonObject | None
    """How well explanations add up."""
    has_data_report: bool
    """Whether its run's is still there."""


@dataclass(frozen=True, kw_only=True)
class VersionPage:
    """One version."""

    use_case: str
    digest: str
    live: tuple[Live, ...]
    """The channels on which it is live."""
    production: Live | None
    entries: tuple[Entry, ...]
    """All that the ledger says of it, newest first."""
    erasures: tuple[tuple[str, str], ...]
    """Day and policy, where customers that it was trained on were erased."""
    dossier: Dossier | None
    problem: str | None
    """Why there is no dossier."""

    @property
    def ended(self) -> Entry | None:
        """Return the move that put another version in its place, where it is live nowhere any more."""
        left = (entry for entry in self.entries if entry.action in MOVES and entry.from_digest == self.digest)
        return None if self.live else next(left, None)

    @property
    def rejected(self) -> Entry | None:
        """Return the newest rejection, where it was never live after it."""
        newest = next((one for one in self.entries if one.action in (*MOVES, "reject")), None)
        return newest if newest and newest.action == "reject" else None


def version_page(settings: Settings, use_case: str, digest: str) -> VersionPage:
    """Return what is known of a version; one whose files were cleared away keeps its place in the ledger.

    Raises:
        ModelNotFound: Neither ledger nor store knows it.
    """
    named(digest)
    view = Ledger.open(settings, use_case)
    live = [found for channel in view.channels if (found := view.live(channel)) and found.digest == digest]
    entries = [entry for entry in reversed(view.entries) if digest in (entry.to_digest, entry.from_digest)]
    dossier, problem = None, None
    try:
        dossier = _dossier(settings, use_case, digest, view.run_of(digest))
    except TradewindError as error:
        if isinstance(error, ModelNotFound) and not entries:
            raise
        problem = str(error)
    return VersionPage(
        use_case=use_case,
        digest=digest,
        live=tuple(live),
        production=view.live(CHANNEL),
        entries=tuple(entries),
        erasures=tuple((one.when[:10], one.policy) for one in of_version(settings, view, digest)),
        dossier=dossier,
        problem=problem,
    )


def _dossier(settings: Settings, use_case: str, digest: str, run_id: str | None) -> Dossier:
    found = papers(settings, use_case, digest, run_id)
    importance = found.explanations.get("importance", {})
    return Dossier(
        record=found.record,
        judged=found.judged,
        origin=found.origin,
        graph=graph(use_case, found.origin.lock),
        reasons=importance.get("reasons", [])[:REASONS_SHOWN],
        inputs=importance.get("inputs", [])[:REASONS_SHOWN],
        completeness=found.explanations.get("completeness"),
        has_data_report=has(settings, use_case, found.record["run_id"], DATA_REPORT),
    )
