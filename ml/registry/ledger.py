"""The ledger of one use case: append-only, hash-chained, signed; the truth of what is live on each channel.

Entries lie at `<use case>/<seq>.json` in the `ledger` bucket, from 1 without a gap. A move commits by
creating the next one (`If-None-Match: *`); the channel pointers follow it and can be made again from it.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count

from ml.config import Settings
from ml.errors import IntegrityBroken, PromotionConflict
from ml.files import sha256
from ml.packaging.signing import Signer, Verifier
from ml.registry.checkpoint import Mark, checkpoint_key, pinned, seal, stored
from ml.registry.entry import MOVES, Entry, Move, opened
from ml.registry.live import Live
from ml.registry.pointer import is_behind, read_pointers, write_pointer
from ml.store import Bucket

ENTRY_BYTES = 1024 * 1024  # longest entry that is read
KEY = re.compile(r"[0-9]{8}\.json", re.ASCII)  # of an entry, below its use case
RESTORE = "The ledger was cut or altered: stop promoting and restore it from a copy."

STRANGERS_SHOWN = 5
TRIES = 40  # of an entry that depends on no other
LONGEST_PAUSE_MS = 300  # between two of them; drawn, so that writers do not stay in step

log = logging.getLogger(__name__)


class Ledger:
    """A reader's or writer's view of one ledger; what it verified once it does not read again.

    Keep one for as long as you follow a channel: `refresh` then costs one look-up. `open` verifies
    the whole chain.
    """

    def __init__(self, bucket: Bucket, verifier: Verifier, use_case: str, marks: Iterable[Mark] = ()) -> None:
        self._bucket = bucket
        self._verifier = verifier
        self._marks = tuple(marks)
        self.use_case = use_case
        self._entries: list[Entry] = []
        self._digests: list[str] = []
        self._head_tag: str | None = None
        self._strangers: tuple[str, ...] = ()

    @classmethod
    def open(cls, settings: Settings, use_case: str, remembered: Mark | None = None) -> Ledger:
        """Return a view of the whole ledger as it is now, held against every mark there is of it.

        Args:
            settings: A role that may read `ledger`; only public keys are needed.
            use_case: Name of its use case.
            remembered: An entry the reader saw before.

        Raises:
            IntegrityBroken: A signature or the chain does not hold, an entry is missing, or a mark says that the
                ledger was cut or replaced.
        """
        bucket, verifier = Bucket.open(settings, "ledger"), Verifier.open(settings)
        # Marks are written after their entries, so entries read after marks and names are never behind them.
        signed = (stored(bucket, verifier, use_case), pinned(settings.checkpoints, verifier, use_case))
        vouched = max((mark.seq for mark in signed if mark), default=0)
        view = cls(bucket, verifier, use_case, [mark for mark in (remembered, *signed) if mark])
        names = view._names()
        listed = max((int(name.removesuffix(".json")) for name in names if KEY.fullmatch(name)), default=0)
        view._strangers = _strangers(names)
        view._read(vouched)
        view._ensure_reaches(max([listed, *(mark.seq for mark in view._marks)]))
        return view

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The verified entries, oldest first."""
        return tuple(self._entries)

    @property
    def head(self) -> str | None:
        """Digest of the newest entry's bytes; none while the ledger is empty."""
        return self._digests[-1] if self._digests else None

    def refresh(self) -> None:
        """Read and verify what was appended since, and look whether the newest entry seen is still there as it was.

        Raises:
            IntegrityBroken: A signature or the chain does not hold, or the ledger went back behind what was seen.
        """
        self._ensure_reaches_head()
        self._read(0)

    def strangers(self) -> tuple[str, ...]:
        """Return the names of objects among the entries that are none, as `open` saw them or, if there were some, as they are now.

        They change nothing: nobody signed them.
        """
        if self._strangers:
            self._strangers = _strangers(self._names())
        return self._strangers

    def mark(self) -> Mark | None:
        """Return the mark of the newest entry; none while the ledger is empty."""
        return Mark(seq=len(self._entries), entry=self._digests[-1]) if self._digests else None

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that were ever moved, in order of name."""
        return tuple(sorted({entry.channel for entry in self._entries if entry.action in MOVES}))

    def live(self, channel: str) -> Live | None:
        """Return what the verified entries say is live on a channel; none if nothing ever was."""
        for entry, digest in zip(reversed(self._entries), reversed(self._digests), strict=True):
            if entry.channel == channel and entry.action in MOVES:
                return _live(entry, digest)
        return None

    def run_of(self, version: str) -> str | None:
        """Return the run whose version it was when it last went live; none where it never did."""
        moves = (one.run_id for one in reversed(self._entries) if one.action in MOVES and one.to_digest == version)
        return next(moves, None)

    def answered(self, request: str | None) -> Entry | None:
        """Return the entry that carried a request out; none while nobody did."""
        return next((entry for entry in self._entries if request is not None and entry.request == request), None)

    def stale_channels(self) -> tuple[str, ...]:
        """Return the channels whose pointer is missing or behind the ledger.

        Raises:
            IntegrityBroken: A pointer is ahead of the ledger or contradicts it.
        """
        pointers = read_pointers(self._bucket, self.use_case)
        # A pointer is written after its entry, so a ledger read after the pointers is never behind them.
        self.refresh()
        names = sorted({*pointers, *self.channels})
        return tuple(name for name in names if is_behind(pointers.get(name), self.live(name)))

    def append(self, signer: Signer, move: Move) -> Live:
        """Commit a move on top of the entries this view has seen.

        Raises:
            PromotionConflict: Someone else appended first; nothing was changed.
            IntegrityBroken: The signer's key is not among the trusted ones; nothing was written.
        """
        return _live(self.note(signer, move), self._digests[-1])

    def note(self, signer: Signer, move: Move) -> Entry:
        """Commit an entry that need not move a channel; the same holds as of `append`."""
        entry = self._next(move)
        data = entry.sealed(signer)
        opened(data, self._verifier)  # an entry nobody can verify would make the whole ledger unreadable
        try:
            self._bucket.create(entry_key(self.use_case, entry.seq), data)
        except PromotionConflict as error:
            raise PromotionConflict(
                f"ledger entry {entry.seq} of {self.use_case} to be free",
                "an entry that someone else appended first",
                "Look at what is live now, then promote again if it is still wanted.",
                seq=entry.seq,
            ) from error
        self._accept(entry.seq, data, self._verifier)
        self._head_tag = None
        log.info("ledger entry appended use_case=%s seq=%d action=%s", self.use_case, entry.seq, entry.action)
        return entry

    def project(self, signer: Signer) -> tuple[str, ...]:
        """Write the pointers that are missing or behind, and the checkpoint; return the channels.

        Each writer looks again after it wrote, so the last one leaves the newest state whoever was slow.
        """
        written: set[str] = set()
        while stale := self.stale_channels():
            for channel in stale:
                newest = self.live(channel)
                if newest is not None:
                    write_pointer(self._bucket, newest)
            written |= set(stale)
        self._sign_checkpoint(signer)
        return tuple(sorted(written))

    def _sign_checkpoint(self, signer: Signer) -> None:
        while (newest := self.mark()) and stored(self._bucket, self._verifier, self.use_case) != newest:
            self._bucket.put(checkpoint_key(self.use_case), seal(signer, self.use_case, newest), "application/json")
            self.refresh()

    def _names(self) -> list[str]:
        prefix = f"{self.use_case}/"
        return [key.removeprefix(prefix) for key in self._bucket.keys(prefix)]

    def _read(self, vouched: int) -> None:
        """Read on; entries up to `vouched` need no trusted key, since the chain leads from them to a signed mark."""
        for seq in count(len(self._entries) + 1):
            found = self._bucket.tagged(entry_key(self.use_case, seq), ENTRY_BYTES)
            if found is None:
                return
            self._accept(seq, found[0], self._verifier if seq > vouched else None)
            self._head_tag = found[1]

    def _ensure_reaches_head(self) -> None:
        """Compare the newest entry seen with what is there now; equal entity tags spare reading it."""
        seq = len(self._entries)
        if not seq or (
            self._head_tag is not None and self._bucket.etag(entry_key(self.use_case, seq)) == self._head_tag
        ):
            return
        found = self._bucket.tagged(entry_key(self.use_case, seq), ENTRY_BYTES)
        if found is None:
            raise IntegrityBroken(
                f"ledger entry {seq} of {self.use_case}, which was there before",
                "none: the ledger went back",
                RESTORE,
                seq=seq,
            )
        if sha256(found[0]) != self.head:
            raise IntegrityBroken(
                f"ledger entry {seq} of {self.use_case} to be {self.head}", sha256(found[0]), RESTORE, seq=seq
            )
        self._head_tag = found[1]

    def _ensure_reaches(self, seq: int) -> None:
        if len(self._entries) < seq:
            missing = len(self._entries) + 1
            raise IntegrityBroken(
                f"ledger entry {missing} of {self.use_case}", "none, though later ones exist", RESTORE
            )

    def _accept(self, seq: int, data: bytes, verifier: Verifier | None) -> None:
        entry, digest = opened(data, verifier), sha256(data)
        before = self.live(entry.channel)
        found = (entry.use_case, entry.seq, entry.previous, entry.from_digest)
        expected = (self.use_case, seq, self.head, before.digest if before else None)
        if found != expected:
            raise IntegrityBroken(f"a ledger entry {expected}", f"one that says {found}", RESTORE, seq=seq)
        for mark in self._marks:
            if mark.seq == seq and mark.entry != digest:
                raise IntegrityBroken(f"ledger entry {seq} to be {mark.entry}", digest, RESTORE, seq=seq)
        self._entries.append(entry)
        self._digests.append(digest)

    def _next(self, move: Move) -> Entry:
        before = self.live(move.channel)
        return Entry(
            use_case=self.use_case,
            seq=len(self._entries) + 1,
            previous=self.head,
            id=uuid.uuid4().hex,
            channel=move.channel,
            action=move.action,
            from_digest=before.digest if before else None,
            to_digest=move.digest,
            who=move.who,
            when=datetime.now(UTC).isoformat(timespec="milliseconds"),
            why=move.why,
            run_id=move.run_id,
            gate=move.gate,
            record=move.record,
            approval=move.approval,
            decision=move.decision,
            request=move.request,
        )


def tell(settings: Settings, use_case: str, move: Move) -> Entry:
    """Append an entry that moves no channel, whoever else appends meanwhile.

    Raises:
        PromotionConflict: Others were faster every time.
    """
    signer = Signer.open(settings)
    for left in reversed(range(TRIES)):
        view = Ledger.open(settings, use_case)
        try:
            entry = view.note(signer, move)
        except PromotionConflict:
            if not left:
                raise
            time.sleep(secrets.randbelow(LONGEST_PAUSE_MS) / 1000)
        else:
            view.project(signer)
            return entry
    raise AssertionError  # the last try returns or raises


def live(settings: Settings, use_case: str, channel: str) -> Live | None:
    """Return what is live on a channel by the whole, verified ledger; none if nothing ever was.

    Raises:
        IntegrityBroken: A signature, the chain or a pointer does not hold.
        StorageUnavailable: The store did not answer; that is never "nothing is live".
    """
    view = Ledger.open(settings, use_case)
    for channel_behind in view.stale_channels():
        log.warning("pointer behind the ledger, repair it use_case=%s channel=%s", use_case, channel_behind)
    return view.live(channel)


def history(settings: Settings, use_case: str, channel: str | None = None) -> tuple[Entry, ...]:
    """Return the verified entries, oldest first; those of one channel if it is named."""
    entries = Ledger.open(settings, use_case).entries
    return tuple(entry for entry in entries if channel in (None, entry.channel))


def verified(settings: Settings, use_case: str, remembered: Mark | None = None) -> Ledger:
    """Return a ledger of which every signature, the chain, the checkpoints and the pointers hold.

    Args:
        settings: A role that may read `ledger`; its `checkpoints` are compared with too.
        use_case: Name of its use case.
        remembered: The newest entry that a server of this machine saw.

    Raises:
        IntegrityBroken: Something does not hold, or there are objects that are no entries; the message names it.
    """
    view = Ledger.open(settings, use_case, remembered)
    view.stale_channels()
    strangers = view.strangers()
    if strangers:
        raise strange(use_case, strangers)
    return view


def verify_ledger(settings: Settings, use_case: str, remembered: Mark | None = None) -> int:
    """Return the number of entries of a ledger that holds; arguments and errors as of `verified`."""
    return len(verified(settings, use_case, remembered).entries)


def strange(use_case: str, names: tuple[str, ...]) -> IntegrityBroken:
    """Return the error that says which objects in a ledger are no entries."""
    shown = ", ".join(ascii(name)[:80] for name in names[:STRANGERS_SHOWN])
    return IntegrityBroken(
        f"entries alone in the ledger of {use_case}",
        f"{len(names)} other object(s): {shown}",
        "They change nothing. Find out who wrote them, and delete them.",
    )


def repair(settings: Settings, use_case: str) -> tuple[str, ...]:
    """Write the pointers that are missing or behind, and the checkpoint, again from the ledger; return the channels."""
    return Ledger.open(settings, use_case).project(Signer.open(settings))


def entry_key(use_case: str, seq: int) -> str:
    """Return the key of an entry in the `ledger` bucket."""
    return f"{use_case}/{seq:08d}.json"


def _strangers(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that are no entry's."""
    return tuple(name for name in names if not KEY.fullmatch(name))


def _live(entry: Entry, digest: str) -> Live:
    return Live(
        use_case=entry.use_case,
        channel=entry.channel,
        digest=str(entry.to_digest),
        seq=entry.seq,
        entry=digest,
        since=entry.when,
        action=entry.action,
        who=entry.who,
        why=entry.why,
        run_id=entry.run_id,
        gate=entry.gate,
        record=entry.record,
    )
