"""The object store keeps its promises: conditional writes and one user's rights."""

import pytest

from ml.errors import ConfigInvalid, ModelNotFound, PromotionConflict, StorageUnavailable
from ml.store import Bucket


def test_create_refuses_a_key_that_holds_other_bytes(object_store):
    bucket = Bucket.open(object_store.settings("promote"), "ledger")
    bucket.create("taken.json", b"1")
    bucket.create("taken.json", b"1")
    with pytest.raises(PromotionConflict):
        bucket.create("taken.json", b"2")
    assert bucket.get("taken.json") == b"1"


def test_missing_object_is_named(object_store):
    bucket = Bucket.open(object_store.settings("read"), "ledger")
    assert bucket.find("nothing") is None
    assert not bucket.exists("nothing")
    with pytest.raises(ModelNotFound, match="nothing"):
        bucket.get("nothing")


@pytest.mark.parametrize(("role", "name"), [("train", "raw"), ("serve", "work"), ("read", "raw")])
def test_a_role_cannot_read_what_it_was_not_granted(object_store, role, name):
    with pytest.raises(ConfigInvalid, match="grants"):
        Bucket.open(object_store.settings(role), name).get("anything")


@pytest.mark.parametrize(("role", "name"), [("train", "ledger"), ("serve", "models"), ("ingest", "ledger")])
def test_a_role_cannot_write_what_it_was_not_granted(object_store, role, name):
    with pytest.raises(ConfigInvalid, match="grants"):
        Bucket.open(object_store.settings(role), name).put("anything", b"")


def test_a_store_that_is_down_is_called_that(object_store):
    settings = object_store.settings("read", s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable, match="object store up"):
        Bucket.open(settings, "models").get("anything")
