"""Follows the production channel of every use case: loads beside, replays, swaps; a bad version changes nothing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ml.config import Settings
from ml.contract import UseCase
from ml.errors import ConfigInvalid, IntegrityBroken, StorageUnavailable, TradewindError
from ml.packaging.signing import Verifier
from ml.privacy.pseudonym import fingerprint, read_key
from ml.registry.ledger import strange
from ml.serving import snapshot
from ml.serving.meters import Meters
from ml.serving.state import StateStore
from ml.serving.steady import Pulse, Steady, place
from ml.serving.stock import Stock
from ml.serving.subject import Subjects
from ml.serving.thing import digest_of
from ml.serving.version import Served, VersionCache, load
from ml.serving.versions import Versions
from ml.store import Bucket

SHOP = "shop"  # whose problems concern no single use case
RETRY_LIMIT_S = 60.0  # longest pause before a refused version is tried again

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why the newest version or state is not served."""

    kind: str
    message: str
    tries: int
    again_at: float = 0.0
    """When to try again, on the monotonic clock [s]."""


class Follower:
    """Keeps the served versions and the histories up to date; readers take what is there without a lock.

    Args:
        settings: Role `serve`.
        use_cases: The records, by name.
        versions: Where versions come from.
        store: The server's histories.
        meters: Counts what happens.
        forget: Removes from this server who was erased from the use case of a name.
    """

    def __init__(
        self,
        settings: Settings,
        use_cases: Mapping[str, UseCase],
        versions: Versions,
        store: StateStore,
        meters: Meters,
        forget: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._use_cases = use_cases
        self._versions = versions
        self._store = store
        self._meters = meters
        self._forget = forget
        self._cache = VersionCache(settings.home / "server" / "versions")
        self._state_bucket, self._verifier = Bucket.open(settings, "state"), Verifier.open(settings)
        copy, digest = settings.home / "server" / "out_of_stock.json", digest_of(settings)
        self.stock = Stock(self._state_bucket, copy, self.has_product, digest)
        self._served: dict[str, Served] = {}
        self._problems: dict[tuple[str, str], Problem] = {}
        self._thread = Steady("follower", self._look_at_all, settings.poll_seconds)

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following; what is served stays in memory."""
        self._thread.stop()

    def pulse(self) -> Pulse:
        """Return how the thread is."""
        return self._thread.pulse()

    def served(self, use_case: str) -> Served | None:
        """Return the version that answers now; none before the first."""
        return self._served.get(use_case)

    def has_product(self, _: str, product: str) -> bool:
        """Tell whether a version that is served now, of any use case, knows a product."""
        served = list(self._served.items())
        catalogues = ((self._use_cases[name].service.catalogue, version.state) for name, version in served)
        return any(product in catalogue(state) for catalogue, state in catalogues if catalogue)

    def problems(self, use_case: str) -> dict[str, Problem]:
        """Return what is wrong with a use case's `version`, `state` or `erasures`; empty if nothing is."""
        return {part: problem for (name, part), problem in dict(self._problems).items() if name == use_case}

    def look(self, use_case: str) -> None:
        """Look at the ledger and the state once and act on it; a failure is noted and changes nothing."""
        self._attempt(use_case, "version", self._follow_version)
        self._attempt(use_case, "ledger", self._look_for_strangers)
        problem = self._problems.get((use_case, "version"))
        if problem is None or problem.kind != StorageUnavailable.__name__:
            self._attempt(use_case, "erasures", self._forget)
            self._attempt(use_case, "state", self._follow_state)

    def _look_at_all(self) -> None:
        for name in self._use_cases:
            self.look(name)
        self._attempt(SHOP, "stock", lambda _: self.stock.follow())

    def _attempt(self, use_case: str, part: str, follow: Callable[[str], None]) -> None:
        known = self._problems.get((use_case, part))
        if known is not None and time.monotonic() < known.again_at:
            return
        try:
            follow(use_case)
        except TradewindError as error:
            self._note(use_case, part, error)
        except Exception as error:  # what nobody foresaw in one use case's objects must not stop the others
            self._note(use_case, part, _unforeseen(part, error))
        else:
            self._problems.pop((use_case, part), None)

    def _follow_version(self, use_case: str) -> None:
        try:
            ready = self._newest(use_case)
        except Exception:  # raised again: whatever is wrong with the newest, the last one has to answer
            if use_case not in self._served:
                self._serve_last(use_case)
            raise
        if ready is not None:
            self._swap(ready)

    def _look_for_strangers(self, use_case: str) -> None:
        strangers = self._versions.strangers(use_case)
        if strangers:
            raise strange(use_case, strangers)

    def _newest(self, use_case: str) -> Served | None:
        """Return the version in production, loaded; none if nothing was promoted yet."""
        live = self._versions.live(use_case)
        if live is None:
            return None
        served = self._served.get(use_case)
        if served is None or served.live.entry != live.entry:
            self._versions.ensure_accepted(live)
        if served is not None and served.live.digest == live.digest:
            return replace(served, live=live, origin="store")
        return load(self._use_cases[use_case], live, self._cache.bring(self._versions, live), "store")

    def _swap(self, ready: Served) -> None:
        """Let a version answer from now on; requests under way end with the one they began with."""
        name, before = ready.live.use_case, self._served.get(ready.live.use_case)
        if before is not None and before.live == ready.live and before.origin == ready.origin:
            return
        self._cache.remember(ready.live)
        self._served[name] = ready
        self._meters.serving(ready.live, before.live if before else None)
        log.info("version serving use_case=%s digest=%s seq=%d", name, ready.live.digest, ready.live.seq)

    def _serve_last(self, use_case: str) -> None:
        """Serve what was served last, from this disk: neither an outage nor a bad version may stop a restart."""
        last = self._cache.last(use_case)
        if last is not None:
            live, folder = last
            self._swap(load(self._use_cases[use_case], live, folder, "cache"))

    def _follow_state(self, use_case: str) -> None:
        served = self._served.get(use_case)
        if served is not None and self._use_cases[use_case].service.identity is not None:
            _ensure_same_key(self._settings, served)
        subjects = Subjects(self._use_cases[use_case].service)
        snapshot.follow(self._state_bucket, self._verifier, self._store, use_case, subjects.observe)

    def _note(self, use_case: str, part: str, error: TradewindError) -> None:
        known = self._problems.get((use_case, part))
        tries = known.tries + 1 if known else 1
        pause = min(RETRY_LIMIT_S, self._settings.poll_seconds * 2 ** min(tries - 1, 10))
        again = time.monotonic() + (0.0 if error.can_retry else pause)
        kind = str(error.facts.get("kind", type(error).__name__))
        self._problems[use_case, part] = Problem(kind=kind, message=str(error), tries=tries, again_at=again)
        self._meters.look_failed(use_case, part, kind)
        if known is None or known.message != str(error):
            log.warning("%s not followed use_case=%s kind=%s: %s", part, use_case, kind, error)


def _unforeseen(part: str, error: Exception) -> IntegrityBroken:
    """Return an error of ours for one that nobody foresaw; only kind and place are told, a message may hold personal values."""
    kind = type(error).__name__
    return IntegrityBroken(
        f"a {part} that can be read", f"{kind} at {place(error)}", "See what lies in the store.", kind=kind
    )


def _ensure_same_key(settings: Settings, served: Served) -> None:
    """Refuse histories under names that this server's door would never give."""
    mine, theirs = fingerprint(read_key(settings)), served.record.get("pseudonym_key")
    if mine != theirs:
        raise ConfigInvalid(
            f"the pseudonym key with fingerprint {theirs}, as when {served.live.digest} was made",
            f"one with fingerprint {mine}",
            "Give the server the key that anonymise uses, or retrain; until then customers are strangers.",
        )
