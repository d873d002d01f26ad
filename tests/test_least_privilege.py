"""Each S3 user may do what its part needs and nothing else: asked of the real store, right by right."""

import pytest

from ml.config import BUCKETS
from ml.errors import ConfigInvalid
from ml.store import Bucket

RIGHTS = {
    # raw, work, runs, models, ledger, reports, state, requests, keys, erasures
    "ingest": ("rw", "rw", "rw", "r", "r", "rw", "", "", "rw", "r"),
    "train": ("", "rw", "r", "r", "r", "rw", "r", "r", "", ""),
    "promote": ("", "r", "rw", "rw", "rw", "rw", "rw", "", "", "r"),
    "serve": ("", "", "", "r", "r", "", "rw", "w", "", "r"),
    "read": ("", "", "r", "r", "r", "r", "r", "r", "", ""),
    "custodian": ("r", "r", "rw", "r", "rw", "", "rw", "rw", "rw", "rw"),
}


def tried(act):
    try:
        act()
    except ConfigInvalid:
        return False
    return True


@pytest.mark.parametrize("role", RIGHTS)
def test_a_role_reads_and_writes_its_buckets_and_no_other(object_store, role):
    for name, rights in zip(BUCKETS, RIGHTS[role], strict=True):
        bucket = Bucket.open(object_store.settings(role), name)
        found = {
            "r": tried(lambda b=bucket: b.find("rights/none")),
            "list": tried(lambda b=bucket: list(b.keys("rights/"))),
            "w": tried(lambda b=bucket: b.put(f"rights/{role}", b"x")),
            "delete": tried(lambda b=bucket: b.delete(f"rights/{role}")),
        }
        expected = {"r": "r" in rights, "list": "r" in rights, "w": "w" in rights, "delete": "w" in rights}
        assert found == expected, (role, name)
