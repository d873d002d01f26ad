"""Makes a packaged version live, or an earlier one again: the one door through which a channel moves.

Acts on the world: publishes and signs the version, fetches it back, replays its golden requests on the
fetched bytes, then appends to the ledger; the channel pointer follows.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.errors import GateFailed, PromotionConflict
from ml.packaging import golden, version
from ml.packaging.image import Image, assemble
from ml.packaging.oci import Layout
from ml.packaging.record import Run
from ml.packaging.seal import check_evidence, seal
from ml.packaging.signing import Signer
from ml.registry.entry import Move
from ml.registry.fetch import fetch_record, fetch_version
from ml.registry.ledger import Ledger
from ml.registry.live import Live
from ml.registry.publish import publish

PRODUCTION = "production"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What a call through the door did."""

    use_case: str
    channel: str
    digest: str
    seq: int
    """Ledger entry that made the version live."""
    is_new: bool
    """False where the version was live already: then no entry was written."""
    golden: int
    """Golden requests that the published bytes answered as recorded."""
    image: str | None
    """Digest of the runnable image."""
    sentence: str


def run(settings: Settings, use_case: UseCase, root: Path, request: JsonObject) -> JsonObject:
    """Publish, check and promote the version a run packaged.

    Args:
        settings: Those of role `promote`, with the signing key.
        use_case: The record.
        root: The run's workspace: its frozen files and `data/<use case>/package`.
        request: `who` asks and `why`; `channel`, `production` unless named.

    Returns:
        The `Promotion` as JSON.

    Raises:
        GateFailed: The gate did not accept it, or someone rolled this very version back.
        IntegrityBroken: A document is missing, or the published bytes do not answer as recorded.
        PromotionConflict: Someone else moved the channel first, or production changed since the gate compared with it.
    """
    channel = request.get("channel", PRODUCTION)
    frozen, signer = Run.read(root, use_case.name), Signer.open(settings)
    with tempfile.TemporaryDirectory() as scratch:
        layout = _copied(root / "data" / use_case.name / "package" / "oci", Path(scratch) / "oci")
        evidence, packaged = check_evidence(layout), version.read(layout)
        view = Ledger.open(settings, use_case.name)
        _ensure_not_undone(view, channel, packaged.digest)
        if channel == PRODUCTION:
            _ensure_judged_against(view.live(channel), packaged.digest, frozen.facts["production"]["digest"])
        image = assemble(layout, packaged, settings.runtime_base)
        record = seal(layout, frozen, evidence, image, signer)
        publish(settings, use_case.name, layout)
    move = Move(
        channel=channel,
        action="promote",
        digest=packaged.digest,
        who=request["who"],
        why=request["why"],
        run_id=frozen.run_id,
        gate=evidence.gate,
        record=record,
    )
    return asdict(_pass_door(settings, use_case, view, move, image))


def rollback(
    settings: Settings, use_case: UseCase, to_digest: str, reason: str, who: str, channel: str = PRODUCTION
) -> Promotion:
    """Make an earlier version live again; it is verified, loaded and asked its golden requests like a new one.

    Raises:
        ModelNotFound: There is no such version.
        IntegrityBroken: Its signature, a digest or a golden answer does not hold.
        PromotionConflict: Someone else moved the channel first.
    """
    if not reason.strip():
        raise ValueError("a rollback needs a reason")
    view = Ledger.open(settings, use_case.name)
    record = fetch_record(settings, use_case.name, to_digest)
    move = Move(
        channel=channel,
        action="rollback",
        digest=to_digest,
        who=who,
        why=reason,
        gate=record.payload["gate"]["digest"],
        record=record.digest,
    )
    return _pass_door(settings, use_case, view, move, Image(**record.payload["image"]))


def _pass_door(settings: Settings, use_case: UseCase, view: Ledger, move: Move, image: Image) -> Promotion:
    """Fetch the published bytes, replay, and move the channel on top of the ledger this call began with."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch_version(settings, use_case.name, move.digest, Path(scratch))
        answered = golden.replay(use_case, folder)
    before = view.live(move.channel)
    is_new = before is None or before.digest != move.digest
    now = view.append(Signer.open(settings), move) if is_new else before
    view.project()
    log.info("channel %s use_case=%s channel=%s", "moved" if is_new else "already there", use_case.name, move.channel)
    return _told(now, is_new, answered, image)


def _told(now: Live | None, is_new: bool, answered: int, image: Image) -> Promotion:
    if now is None:
        raise ValueError("a channel that was moved has a version")
    verb = {"promote": "is live", "rollback": "is live again"}[now.action] if is_new else "was already live"
    return Promotion(
        use_case=now.use_case,
        channel=now.channel,
        digest=now.digest,
        seq=now.seq,
        is_new=is_new,
        golden=answered,
        image=image.digest,
        sentence=f"{now.digest} {verb} on {now.channel} since {now.since}; {answered} golden requests agree.",
    )


def _ensure_judged_against(now: Live | None, candidate: str, judged: str | None) -> None:
    """Refuse a verdict about another production than today's; the candidate itself being live is no conflict."""
    digest = now.digest if now else None
    if digest not in (judged, candidate):
        raise PromotionConflict(
            f"production to be {judged or 'empty'}, as when the gate compared",
            str(digest),
            "Start a new run, so that the gate compares with what is live now.",
        )


def _ensure_not_undone(view: Ledger, channel: str, candidate: str) -> None:
    """Refuse to bring back by timetable what a person took away: equal data make an equal version again."""
    moves = [entry for entry in view.entries if entry.channel == channel]
    about = [entry for entry in moves if candidate in (entry.from_digest, entry.to_digest)]
    if about and about[-1].action == "rollback" and about[-1].from_digest == candidate:
        undone = about[-1]
        raise GateFailed(
            f"a version that nobody rolled back from {channel}",
            f"{candidate}, which {undone.who} rolled back: {undone.why}",
            "Production stays as it was; to make it live all the same, roll to it with a reason.",
            seq=undone.seq,
        )


def _copied(source: Path, target: Path) -> Layout:
    """Return a copy of a layout, so that what promotion attaches does not change a stage's output."""
    shutil.copytree(source, target)
    return Layout(target)
