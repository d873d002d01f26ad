"""Makes a packaged version live, or an earlier one again: the one door through which a channel moves.

Acts on the world: publishes and signs the version, fetches it back, replays its golden requests on the
fetched bytes, then appends to the ledger; the channel pointer follows.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.errors import GateFailed, ModelNotFound, PromotionConflict
from ml.packaging import golden
from ml.packaging.artifact import JUDGEMENT
from ml.packaging.image import Image, assemble
from ml.packaging.oci import Layout
from ml.packaging.record import Run
from ml.packaging.seal import seal
from ml.packaging.signing import Signer
from ml.pipeline.approval import newest_word, standing_answer
from ml.pipeline.candidate import package_of, read_candidate
from ml.pipeline.freeze import erasures
from ml.registry.collect import ensure_at_rest
from ml.registry.entry import MOVES, Action, Entry, Move
from ml.registry.erasure import of_version
from ml.registry.evidence import ensure_accepted
from ml.registry.fetch import SignedRecord, fetch_record, fetch_version, newest_day
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


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person wants to be live, and why."""

    digest: str
    who: str
    reason: str
    channel: str = PRODUCTION
    request: str | None = None
    """Names the order, once: one that stands in the ledger moves nothing again. None for the command line."""

    def __post_init__(self) -> None:
        """Refuse an order without a reason."""
        if not self.reason.strip():
            raise ValueError("a move by hand needs a reason")


def run(settings: Settings, use_case: UseCase, root: Path, request: JsonObject) -> JsonObject:
    """Publish, check and promote the version a run packaged; publish it only where the ledger says that a person rejected it.

    Args:
        settings: Those of role `promote`, with the signing key.
        use_case: The record.
        root: The run's workspace: its frozen files and `data/<use case>/package`.
        request: `who` asks and `why`; `run_id`; `channel`, `production` unless named.

    Returns:
        The `Promotion` as JSON.

    Raises:
        GateFailed: The gate or a person did not accept it, or someone rejected or rolled this very version back, or its data
            end before those of production and nobody approved that.
        IntegrityBroken: A document is missing, the approval is about another version, or the published bytes do not answer as
            recorded.
        PromotionConflict: Someone else moved the channel first, or production changed since the gate compared with it.
    """
    channel, signer = request.get("channel", PRODUCTION), Signer.open(settings)
    with tempfile.TemporaryDirectory() as scratch:
        layout = _copied(package_of(root, use_case), Path(scratch) / "oci")
        candidate = read_candidate(settings, use_case, root, layout, request.get("run_id"))
        frozen, evidence, digest = candidate.run, candidate.evidence, candidate.version.digest
        view = _opened(settings, use_case.name)
        word = standing_answer(settings, newest_word(view.entries, frozen.run_id), frozen.section(), candidate.subject)
        is_rejected = word is not None and word.action == "reject"
        _ensure_none_erased(settings, frozen)
        if not is_rejected:
            _ensure_not_undone(view, channel, digest, approved=word.seq if word else 0)
            if channel == PRODUCTION:
                _ensure_judged_against(view.live(channel), digest, frozen.facts["production"]["digest"])
                _ensure_not_older(settings, view.live(channel), digest, frozen, is_approved=word is not None)
        image = assemble(layout, candidate.version, settings.runtime_base)
        record = seal(layout, frozen, evidence, image, signer)
        publish(settings, use_case.name, layout)
    if word is not None and is_rejected:
        return asdict(_told_rejection(word))
    move = Move(
        channel=channel,
        action="promote",
        digest=digest,
        who=request["who"],
        why=request["why"],
        run_id=frozen.run_id,
        gate=evidence.gate,
        record=record,
        approval={"by": word.who, "at": word.when, "reason": word.why} if word else None,
    )
    return asdict(_pass_door(settings, use_case, view, move, image))


def promote_again(settings: Settings, use_case: UseCase, order: Order) -> Promotion:
    """Make a version live that the registry holds already: one that waits on another channel, or that was rejected.

    Raises:
        ModelNotFound: There is no such version.
        GateFailed: Its gate report refuses it, or it has no signed judgement and was never live.
        IntegrityBroken: Its signature, a digest or a golden answer does not hold.
        PromotionConflict: Production is not what its gate compared with, or someone else moved the channel first.
    """
    view, record = _opened(settings, use_case.name), fetch_record(settings, use_case.name, order.digest)
    _ensure_was_judged(view, record, order.digest)
    if order.channel == PRODUCTION:
        judged = record.payload["production"]["digest"]
        _ensure_judged_against(view.live(order.channel), order.digest, judged)
    return _move(settings, use_case, view, "promote", order, record)


def rollback(settings: Settings, use_case: UseCase, order: Order) -> Promotion:
    """Make a version live again that was live before; it is verified, loaded and asked its golden requests like a new one.

    Raises:
        ModelNotFound: It was never live on the channel, or there is no such version.
        GateFailed: Its gate report refuses it.
        IntegrityBroken: Its signature, a digest or a golden answer does not hold.
        PromotionConflict: Someone else moved the channel first.
    """
    view = _opened(settings, use_case.name)
    moves = [entry for entry in view.entries if entry.channel == order.channel and entry.action in MOVES]
    if order.digest not in {entry.to_digest for entry in moves}:
        raise ModelNotFound(
            f"a version that was live on {order.channel} before", order.digest, "See `history`, or promote it instead."
        )
    record = fetch_record(settings, use_case.name, order.digest)
    return _move(settings, use_case, view, "rollback", order, record)


def _opened(settings: Settings, use_case: str) -> Ledger:
    view = Ledger.open(settings, use_case)
    ensure_at_rest(view)
    return view


def _move(
    settings: Settings, use_case: UseCase, view: Ledger, action: Action, order: Order, record: SignedRecord
) -> Promotion:
    _ensure_not_withdrawn(settings, view, order.digest)
    move = Move(
        channel=order.channel,
        action=action,
        digest=order.digest,
        who=order.who,
        why=order.reason,
        run_id=record.payload["run_id"],
        gate=record.payload["gate"]["digest"],
        record=record.digest,
        request=order.request,
    )
    return _pass_door(settings, use_case, view, move, Image(**record.payload["image"]))


def _ensure_was_judged(view: Ledger, record: SignedRecord, digest: str) -> None:
    """Refuse a version whose bytes were not compared with what was judged, unless it was live before that was done at all."""
    was_live = any(one.to_digest == digest and one.action in MOVES for one in view.entries)
    if JUDGEMENT not in record.payload["documents"] and not was_live:
        raise GateFailed(
            "a version with a signed judgement, or one that was live before",
            f"{digest}, which was packaged before judgements were signed",
            "Start a new run.",
        )


def _ensure_none_erased(settings: Settings, frozen: Run) -> None:
    """Refuse a version of a run that was under way while a customer was erased: no proof of the erasure lists it."""
    if since := set(erasures(settings, frozen.use_case)) - set(frozen.facts.get("erasures", ())):
        raise GateFailed(
            "a run that knows of all erasures", f"{len(since)} since it was frozen", "Start a new run, without them."
        )


def _ensure_not_older(settings: Settings, live: Live | None, digest: str, frozen: Run, *, is_approved: bool) -> None:
    """Refuse data that end before those of the live version, unless a person approved the version with a reason."""
    known = newest_day(settings, live.use_case, live.digest) if live and live.digest != digest else None
    own = frozen.facts["source"].get("last_day")
    if known is not None and own is not None and date.fromisoformat(own) < known and not is_approved:
        raise GateFailed(
            f"data that reach to {known}, as those of the version in production",
            f"data up to {own}",
            "Production stays as it was. To go back, start the run again with approval `required`, and approve it with a reason.",
        )


def _ensure_not_withdrawn(settings: Settings, view: Ledger, digest: str) -> None:
    for erasure in of_version(settings, view, digest):
        if erasure.policy == "withdraw":
            raise GateFailed(
                "a version that was not withdrawn",
                f"one trained on a customer who was erased on {erasure.when}: {erasure.why}",
                "Promote a version that was trained since.",
            )


def _told_rejection(word: Entry) -> Promotion:
    return Promotion(
        use_case=word.use_case,
        channel=word.channel,
        digest=str(word.to_digest),
        seq=word.seq,
        is_new=False,
        golden=0,
        image=None,
        sentence=f"{word.to_digest} was rejected by {word.who}: {word.why}",
    )


def _pass_door(settings: Settings, use_case: UseCase, view: Ledger, move: Move, image: Image) -> Promotion:
    """Fetch the published bytes, replay, and move the channel on top of the ledger this call began with."""
    ensure_accepted(settings, use_case.name, str(move.digest), move.gate)
    with tempfile.TemporaryDirectory() as scratch:
        folder = fetch_version(settings, use_case.name, str(move.digest), Path(scratch))
        answered = golden.replay(use_case, folder)
    before = view.live(move.channel)
    is_new = (before is None or before.digest != move.digest) and view.answered(move.request) is None
    signer = Signer.open(settings)
    now = view.append(signer, move) if is_new else before
    view.project(signer)
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


def _ensure_not_undone(view: Ledger, channel: str, candidate: str, approved: int) -> None:
    """Refuse to bring back by timetable what a person took away or rejected: equal data make an equal version again.

    An approval counts where it came later; `approved` is its entry, 0 if there is none.
    """
    about = [entry for entry in view.entries if entry.channel == channel and _is_verdict(entry, candidate)]
    if not about or (about[-1].to_digest == candidate and about[-1].action in MOVES):
        return
    undone = about[-1]
    if undone.seq < approved:
        return
    verb = "rejected" if undone.action == "reject" else "rolled back"
    raise GateFailed(
        f"a version that nobody {verb} from {channel}",
        f"{candidate}, which {undone.who} {verb}: {undone.why}",
        "Production stays as it was; to make it live all the same, promote it by hand with a reason.",
        seq=undone.seq,
    )


def _is_verdict(entry: Entry, candidate: str) -> bool:
    """Tell whether an entry puts a version on its channel, or says that a person does not want it there."""
    if entry.to_digest == candidate:
        return entry.action in (*MOVES, "reject")
    return entry.action == "rollback" and entry.from_digest == candidate


def _copied(source: Path, target: Path) -> Layout:
    """Return a copy of a layout, so that what promotion attaches does not change a stage's output."""
    shutil.copytree(source, target)
    return Layout(target)
