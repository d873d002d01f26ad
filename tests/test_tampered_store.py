"""Whoever may write the bucket but has no key cannot make a server load another model, only none."""

import json
from dataclasses import replace

import pytest

from ml.errors import GateFailed, IntegrityBroken, ModelNotFound
from ml.files import canonical
from ml.packaging import artifact
from ml.packaging.signing import Verifier
from ml.registry.checkpoint import checkpoint_key, pin
from ml.registry.ledger import entry_key
from ml.registry.pointer import pointer_key
from ml.registry.shelf import Shelf
from ml.serving.versions import RegistryVersions
from ml.store import Bucket
from tests.promotable_run import files_of, packaged_run, walk_in

NAME = "toy-tampered"
REFUSALS = (IntegrityBroken, ModelNotFound, GateFailed)


class World:
    """Two versions, one after the other in production; what an intruder changes can be put back."""

    def __init__(self, object_store, folder):
        self.promoter = object_store.settings("promote")
        self.serve = object_store.settings("serve")
        self.buckets = {name: Bucket.open(self.promoter, name) for name in ("models", "ledger")}
        first, self.old = packaged_run(folder, self.promoter, NAME, seed=1)
        walk_in(self.promoter, NAME, first)
        self.before = self.objects()
        second, self.new = packaged_run(folder, self.promoter, NAME, seed=2, production=self.old)
        walk_in(self.promoter, NAME, second)
        self.whole = self.objects()

    def objects(self):
        prefixes = {"models": (f"{NAME}/",), "ledger": (f"{NAME}/", f"channels/{NAME}/", checkpoint_key(NAME))}
        return {
            (bucket, key): self.buckets[bucket].get(key)
            for bucket, starts in prefixes.items()
            for start in starts
            for key in self.buckets[bucket].keys(start)
        }

    def restore(self):
        now = self.objects()
        for (bucket, key), data in self.whole.items():
            if now.get((bucket, key)) != data:
                self.buckets[bucket].put(key, data)
        for bucket, key in now.keys() - self.whole.keys():
            self.buckets[bucket].delete(key)

    def ledger(self, key, data):
        if data is None:
            self.buckets["ledger"].delete(key)
        else:
            self.buckets["ledger"].put(key, data)

    def loaded(self, home, **changes):
        """Look as a server does that starts with this home: the digest it would serve and its files."""
        versions = RegistryVersions(self.serve.model_copy(update={"home": home, **changes}))
        live = versions.live(NAME)
        versions.ensure_accepted(live)
        versions.record(NAME, live.digest)
        return live.digest, files_of(versions.fetch(NAME, live.digest, home / "kept"))

    def vital(self):
        """What the newest version cannot be served without, by kind: manifest, layer, record, gate report."""
        shelf = Shelf.open(self.promoter, NAME)
        manifests = [self.new, *(only(shelf.referrers(self.new, kind)) for kind in (artifact.RECORD, artifact.GATE))]
        for digest in manifests:
            yield f"{NAME}/manifests/sha256/{digest[7:]}"
            yield from (f"{NAME}/blobs/sha256/{layer['digest'][7:]}" for layer in shelf.manifest(digest)["layers"][:1])
        yield f"{NAME}/referrers/sha256/{self.new[7:]}/{manifests[1][7:]}.json"


def only(found):
    (descriptor,) = found
    return descriptor.digest


@pytest.fixture(scope="module")
def built(object_store, tmp_path_factory):
    return World(object_store, tmp_path_factory.mktemp("runs"))


@pytest.fixture
def world(built):
    yield built
    built.restore()


def flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_one_flipped_byte_in_any_object_gives_the_same_model_or_none(world, tmp_path):
    honest = world.loaded(tmp_path / "honest")
    assert honest[0] == world.new
    vital = {("models", key) for key in world.vital()} | {key for key in world.whole if key[0] == "ledger"}
    assert len(vital) == 7 + 4
    made_by_it = {place for place, data in world.whole.items() if world.before.get(place) != data}
    for number, (bucket, key) in enumerate(sorted(vital | made_by_it)):
        data = world.whole[bucket, key]
        world.buckets[bucket].put(key, flipped(data))
        try:
            seen = world.loaded(tmp_path / str(number))
        except REFUSALS:
            seen = None
        world.buckets[bucket].put(key, data)
        assert seen in (honest, None), key
        assert seen is None or (bucket, key) not in vital, key


def test_without_any_one_vital_object_there_is_no_model(world, tmp_path):
    for number, key in enumerate(world.vital()):
        world.buckets["models"].delete(key)
        with pytest.raises(REFUSALS):
            world.loaded(tmp_path / str(number))
        world.restore()


def entry(world, seq):
    return world.whole["ledger", entry_key(NAME, seq)]


def forged(world):
    pointer = json.loads(world.whole["ledger", pointer_key(NAME, "production")])
    return canonical({**pointer, "digest": world.old, "seq": 3})


TRICKS = {
    "the newest entry is deleted": lambda w: {entry_key(NAME, 2): None},
    "the first entry is deleted": lambda w: {entry_key(NAME, 1): None},
    "all entries are deleted": lambda w: {entry_key(NAME, 1): None, entry_key(NAME, 2): None},
    "two entries change places": lambda w: {entry_key(NAME, 1): entry(w, 2), entry_key(NAME, 2): entry(w, 1)},
    "an old entry is replayed": lambda w: {entry_key(NAME, 3): entry(w, 1)},
    "a pointer without an entry": lambda w: {pointer_key(NAME, "production"): forged(w)},
    "the ledger and its pointer are set back": lambda w: {
        entry_key(NAME, 2): None,
        pointer_key(NAME, "production"): w.before["ledger", pointer_key(NAME, "production")],
    },
}


@pytest.mark.parametrize("trick", TRICKS)
def test_a_fresh_server_and_the_door_refuse_a_bent_ledger(world, tmp_path, trick):
    for key, data in TRICKS[trick](world).items():
        world.ledger(key, data)
    with pytest.raises(IntegrityBroken):
        world.loaded(tmp_path)


def test_an_old_pointer_alone_changes_nothing(world, tmp_path):
    key = pointer_key(NAME, "production")
    world.ledger(key, world.before["ledger", key])
    assert world.loaded(tmp_path)[0] == world.new


def test_a_registry_set_back_as_a_whole_is_noticed_by_who_remembers_or_was_given_a_checkpoint(world, tmp_path):
    """The risk that remains: a machine that knows nothing takes an old but whole and signed state for the newest."""
    given = tmp_path / "given"
    mark = pin(world.buckets["ledger"], Verifier.open(world.promoter), NAME, given)
    assert mark.seq == 2
    assert world.loaded(tmp_path / "old-hand")[0] == world.new
    for key in (entry_key(NAME, 2), pointer_key(NAME, "production"), checkpoint_key(NAME)):
        world.ledger(key, world.before.get(("ledger", key)))
    with pytest.raises(IntegrityBroken, match="ledger entry 2"):
        world.loaded(tmp_path / "old-hand")
    with pytest.raises(IntegrityBroken, match="ledger entry 2"):
        world.loaded(tmp_path / "fresh", checkpoints=given)
    assert world.loaded(tmp_path / "naive")[0] == world.old


def test_a_ledger_that_went_on_from_before_what_a_server_saw_is_refused(world, tmp_path):
    assert world.loaded(tmp_path)[0] == world.new
    for key in (entry_key(NAME, 2), pointer_key(NAME, "production"), checkpoint_key(NAME)):
        world.ledger(key, world.before.get(("ledger", key)))
    root, _ = packaged_run(tmp_path, world.promoter, NAME, seed=3, production=world.old)
    walk_in(world.promoter, NAME, root)
    with pytest.raises(IntegrityBroken, match="ledger entry 2 to be"):
        world.loaded(tmp_path)


def test_a_move_whose_gate_report_is_another_or_none_is_not_served(world, tmp_path):
    versions = RegistryVersions(world.serve.model_copy(update={"home": tmp_path}))
    live = versions.live(NAME)
    for gate in (None, f"sha256:{'0' * 64}"):
        with pytest.raises(GateFailed, match="names"):
            versions.ensure_accepted(replace(live, gate=gate))
