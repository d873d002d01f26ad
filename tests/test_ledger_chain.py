"""The ledger is the truth of what is live: chained, signed, one winner a move, and it says so when it was altered."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound, PromotionConflict
from ml.files import sha256
from ml.packaging.signing import Signer, Verifier, generate_key
from ml.registry import ledger
from ml.registry.entry import Move
from ml.registry.ledger import Ledger, entry_key
from ml.registry.pointer import pointer_key
from ml.store import Bucket
from tests.unreliable_relay import relay

A, B, C = (sha256(name) for name in (b"a", b"b", b"c"))


@pytest.fixture
def shop(request):
    """A ledger name of its own for each test."""
    return f"case-{sha256(request.node.name.encode())[7:19]}"


def move(digest, channel="production", who="ada"):
    return Move(channel=channel, action="promote", digest=digest, who=who, why="better", run_id="run-1", gate=A)


def promote(held, use_case, digest, channel="production", who="ada"):
    view = Ledger.open(held, use_case)
    live = view.append(Signer.open(held), move(digest, channel, who))
    view.project(Signer.open(held))
    return live


def test_nothing_is_live_before_the_first_entry(object_store, shop):
    assert ledger.live(object_store.settings("serve"), shop, "production") is None
    assert ledger.verify_ledger(object_store.settings("read"), shop) == 0


def test_every_role_that_may_read_sees_the_same_live_version(object_store, promoter, shop):
    promote(promoter, shop, A)
    promote(promoter, shop, B, who="bob")
    for role in ("ingest", "train", "serve", "read"):
        live = ledger.live(object_store.settings(role), shop, "production")
        assert (live.digest, live.seq, live.who, live.gate) == (B, 2, "bob", A)


def test_channels_move_apart_on_one_chain(promoter, shop):
    promote(promoter, shop, A, "candidate")
    promote(promoter, shop, B, "production")
    promote(promoter, shop, C, "candidate")
    assert ledger.live(promoter, shop, "production").digest == B
    assert ledger.live(promoter, shop, "candidate").seq == 3
    assert [entry.from_digest for entry in ledger.history(promoter, shop)] == [None, None, A]
    assert [entry.to_digest for entry in ledger.history(promoter, shop, "candidate")] == [A, C]


def test_entries_chain_by_the_bytes_of_the_one_before(promoter, shop):
    for digest in (A, B, C):
        promote(promoter, shop, digest)
    bucket = Bucket.open(promoter, "ledger")
    entries = ledger.history(promoter, shop)
    assert entries[0].previous is None
    assert [entry.previous for entry in entries[1:]] == [sha256(bucket.get(entry_key(shop, seq))) for seq in (1, 2)]


def test_twenty_promoters_at_once_have_one_winner(promoter, shop):
    views = [Ledger.open(promoter, shop) for _ in range(20)]
    signer = Signer.open(promoter)

    def race(index):
        views[index].refresh()
        gate.wait()
        try:
            return views[index].append(signer, move(sha256(bytes([index])), who=f"promoter-{index}"))
        except PromotionConflict as conflict:
            return conflict

    for round_ in (1, 2):
        gate = Barrier(20)
        with ThreadPoolExecutor(20) as pool:
            results = list(pool.map(race, range(20)))
        winners = [result for result in results if not isinstance(result, PromotionConflict)]
        assert len(winners) == 1
        assert winners[0].seq == round_
        assert ledger.live(promoter, shop, "production").who == winners[0].who
    assert ledger.verify_ledger(promoter, shop) == 2


def test_pointers_agree_with_the_ledger_after_racing_writers(promoter, shop):
    signer = Signer.open(promoter)

    def insist(index):
        view = Ledger.open(promoter, shop)
        while True:
            try:
                view.append(signer, move(sha256(bytes([index]))))
                break
            except PromotionConflict:
                view.refresh()
        view.project(signer)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(insist, range(8)))
    view = Ledger.open(promoter, shop)
    assert len(view.entries) == 8
    assert view.stale_channels() == ()


def test_a_loser_changes_nothing(promoter, shop):
    early = Ledger.open(promoter, shop)
    promote(promoter, shop, A)
    with pytest.raises(PromotionConflict, match="appended first"):
        early.append(Signer.open(promoter), move(B))
    assert ledger.live(promoter, shop, "production").digest == A


def test_a_write_whose_answer_was_lost_is_not_taken_for_a_conflict(promoter, shop):
    """The client sends its entry again and is told "taken" by its own first try."""
    put = f"PUT /tradewind-ledger/{entry_key(shop, 1)}"
    with relay(promoter.s3_endpoint, lambda asked: "lose" if asked == [put] else "pass") as (endpoint, asked):
        held = promoter.model_copy(update={"s3_endpoint": endpoint})
        live = Ledger(Bucket.open(held, "ledger"), Verifier.open(held), shop).append(Signer.open(held), move(A))
    assert asked[:2] == [put, put]
    assert live.seq == 1
    assert ledger.live(promoter, shop, "production").entry == live.entry


@pytest.mark.parametrize("lost", ["missing", "behind"])
def test_crash_between_entry_and_pointer_is_mended_from_the_ledger(promoter, shop, lost):
    if lost == "behind":
        promote(promoter, shop, A)
    Ledger.open(promoter, shop).append(Signer.open(promoter), move(B))
    assert ledger.live(promoter, shop, "production").digest == B
    assert ledger.repair(promoter, shop) == ("production",)
    assert ledger.repair(promoter, shop) == ()
    assert B.encode() in Bucket.open(promoter, "ledger").get(pointer_key(shop, "production"))


def test_deleted_pointer_is_never_a_first_run(promoter, shop):
    promote(promoter, shop, A)
    Bucket.open(promoter, "ledger").delete(pointer_key(shop, "production"))
    assert ledger.live(promoter, shop, "production").digest == A


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_removed_entry_is_noticed(promoter, shop, seq):
    for digest in (A, B, C):
        promote(promoter, shop, digest)
    Bucket.open(promoter, "ledger").delete(entry_key(shop, seq))
    with pytest.raises(IntegrityBroken):
        ledger.live(promoter, shop, "production")


def test_emptied_ledger_with_a_pointer_left_is_not_a_first_run(promoter, shop):
    promote(promoter, shop, A)
    Bucket.open(promoter, "ledger").delete(entry_key(shop, 1))
    with pytest.raises(IntegrityBroken, match="restore"):
        ledger.live(promoter, shop, "production")


def test_signer_nobody_trusts_writes_nothing(promoter, shop):
    with pytest.raises(IntegrityBroken, match="signature"):
        Ledger.open(promoter, shop).append(Signer(generate_key().private), move(A))
    assert ledger.live(promoter, shop, "production") is None


def test_entry_of_an_untrusted_key_is_refused(promoter, shop):
    pair = generate_key()
    intruder = promoter.model_copy(update={"verify_key": pair.public})
    Ledger.open(intruder, shop).append(Signer(pair.private), move(A))
    with pytest.raises(IntegrityBroken, match="signature"):
        ledger.live(promoter, shop, "production")


def test_genuine_entry_in_another_place_is_refused(promoter, shop):
    """Replays an old, well-signed entry as the newest one."""
    for digest in (A, B, A):
        promote(promoter, shop, digest)
    bucket = Bucket.open(promoter, "ledger")
    bucket.put(entry_key(shop, 4), bucket.get(entry_key(shop, 2)))
    with pytest.raises(IntegrityBroken, match="ledger entry"):
        ledger.verify_ledger(promoter, shop)


def test_entry_of_another_use_case_is_refused(promoter, shop):
    promote(promoter, f"{shop}-other", A)
    bucket = Bucket.open(promoter, "ledger")
    bucket.put(entry_key(shop, 1), bucket.get(entry_key(f"{shop}-other", 1)))
    with pytest.raises(IntegrityBroken):
        ledger.live(promoter, shop, "production")


def test_pointer_that_contradicts_the_ledger_is_refused(promoter, shop):
    promote(promoter, shop, A)
    bucket = Bucket.open(promoter, "ledger")
    honest = bucket.get(pointer_key(shop, "production"))
    bucket.put(pointer_key(shop, "production"), honest.replace(A.encode(), B.encode()))
    with pytest.raises(IntegrityBroken, match="cut or altered"):
        ledger.live(promoter, shop, "production")


def test_a_followed_ledger_reads_only_what_is_new(promoter, shop):
    promote(promoter, shop, A)
    follower = Ledger.open(promoter, shop)
    promote(promoter, shop, B)
    assert follower.live("production").digest == A
    follower.refresh()
    assert follower.live("production").digest == B


def test_move_without_the_private_key_is_impossible(object_store, shop):
    with pytest.raises(ConfigInvalid, match="SIGNING_KEY"):
        Signer.open(object_store.settings("serve"))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([A, B, C]), min_size=2, max_size=5))
def test_promote_then_promote_back_restores_what_was_live(object_store, digests):
    held = object_store.settings("promote")
    name = f"property-{sha256(repr(digests).encode())[7:15]}"
    view = Ledger.open(held, name)
    signer = Signer.open(held)
    before = view.append(signer, move(digests[0]))
    for digest in digests[1:]:
        view.append(signer, move(digest))
    after = view.append(signer, replace(move(digests[0]), action="rollback"))
    assert after.digest == before.digest
    assert after.seq > before.seq


def test_store_without_the_bucket_is_no_first_run(promoter, shop):
    with pytest.raises((ModelNotFound, ConfigInvalid)):
        ledger.live(promoter.model_copy(update={"s3_prefix": "nowhere"}), shop, "production")
