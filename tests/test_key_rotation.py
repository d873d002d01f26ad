"""The signing key can be replaced, and after a leak what the old one signs is believed no more."""

import json

import pytest
from pydantic import SecretStr

from ml.errors import IntegrityBroken
from ml.files import sha256
from ml.packaging.signing import Signer, combine, generate_key
from ml.registry import ledger
from ml.registry.entry import Move
from ml.registry.fetch import fetch_version
from ml.registry.ledger import Ledger
from ml.registry.rotation import vouch
from ml.stack import secret
from tests.promotable_run import walk_in


@pytest.fixture
def pair():
    return generate_key()


@pytest.fixture
def two_versions(ready, promoter, name):
    first, old = ready(seed=1)
    walk_in(promoter, name, first)
    second, new = ready(seed=2, production=old)
    walk_in(promoter, name, second)
    return old, new


def keyed(held, private, *public):
    return held.model_copy(update={"signing_key": SecretStr(private), "verify_key": combine(public)})


def test_beside_the_old_key_a_new_one_signs_and_both_are_believed(ready, promoter, name, two_versions, pair, tmp_path):
    both = keyed(promoter, pair.private, pair.public, promoter.verify_key)
    third, newest = ready(seed=3, production=two_versions[1])
    walk_in(both, name, third)
    assert ledger.live(both, name, "production").digest == newest
    for digest in (*two_versions, newest):
        fetch_version(both, name, digest, tmp_path)
    with pytest.raises(IntegrityBroken, match="signature"):
        ledger.live(promoter, name, "production")


def test_after_a_leak_the_ledger_and_what_is_live_hold_by_the_new_key_alone(
    ready, promoter, name, two_versions, pair, tmp_path
):
    old, live = two_versions
    new = keyed(promoter, pair.private, pair.public)
    with pytest.raises(IntegrityBroken):
        ledger.live(new, name, "production")
    assert vouch(promoter, new, name) == (live,)
    assert ledger.live(new, name, "production").digest == live
    assert ledger.verify_ledger(new, name) == 2
    fetch_version(new, name, live, tmp_path)
    with pytest.raises(IntegrityBroken, match="trusted key"):
        fetch_version(new, name, old, tmp_path)
    third, newest = ready(seed=3, production=live)
    walk_in(new, name, third)
    assert ledger.live(new, name, "production").digest == newest


def test_who_holds_the_leaked_key_moves_nothing(promoter, name, two_versions, pair):
    new = keyed(promoter, pair.private, pair.public)
    vouch(promoter, new, name)
    thief = promoter.model_copy(update={"verify_key": combine([promoter.verify_key, pair.public])})
    move = Move(channel="production", action="promote", digest=sha256(b"evil"), who="eve", why="profit")
    Ledger.open(thief, name).append(Signer.open(thief), move)
    with pytest.raises(IntegrityBroken, match="signature"):
        ledger.live(new, name, "production")


@pytest.mark.parametrize("is_old_trusted", [True, False])
def test_the_new_key_is_kept_for_the_owner_alone_beside_all_other_secrets(tmp_path, pair, is_old_trusted):
    path = tmp_path / "secrets.json"
    before = secret.load_or_generate(path)
    secret.replace_signing_key(path, pair, is_old_trusted=is_old_trusted)
    after = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert after["signing_key"] == pair.private
    assert (before["verify_key"].strip() in after["verify_key"]) is is_old_trusted
    assert {name: after[name] for name in after if name not in ("signing_key", "verify_key")} == {
        name: before[name] for name in before if name not in ("signing_key", "verify_key")
    }
