"""Each S3 user may do what its part needs and nothing else: asked of the real store, right by right."""

import json

import pytest
from botocore.exceptions import ClientError

from ml.config import BUCKETS, ROLES
from ml.errors import ConfigInvalid
from ml.store import Bucket, connect

RIGHTS = {
    # raw, work, runs, models, ledger, reports, state, requests, keys, erasures, serving-keys
    "ingest": ("rw", "rw", "rw", "r", "r", "rw", "", "", "rw", "r", "rw"),
    "train": ("", "rw", "r", "r", "r", "rw", "r", "r", "", "", ""),
    "judge": ("", "rw", "r", "r", "", "rw", "", "", "", "", ""),
    "promote": ("", "r", "rw", "rw", "rw", "rw", "rw", "", "", "r", ""),
    "serve": ("", "", "", "r", "r", "", "rw", "w", "", "r", "r"),
    "read": ("", "", "r", "r", "r", "r", "r", "r", "", "", ""),
    "custodian": ("r", "r", "rw", "r", "rw", "", "rw", "rw", "rw", "rw", "rw"),
    "retention": ("rw", "rw", "rw", "r", "r", "rw", "", "rw", "", "", ""),
}


def test_every_role_is_asked():
    assert set(RIGHTS) == set(ROLES)


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


EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::tradewind-runs/*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [EVERYBODY]})
EXPIRY = {"ID": "all", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
TAGS = {"TagSet": [{"Key": "a", "Value": "b"}]}
ADMINISTRATION = {
    "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Suspended"}},
    "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": [EXPIRY]}},
    "delete_bucket_lifecycle": {},
    "put_bucket_cors": {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
    "delete_bucket_cors": {},
    "put_bucket_policy": {"Policy": POLICY},
    "delete_bucket_policy": {},
    "put_bucket_tagging": {"Tagging": TAGS},
    "delete_bucket_tagging": {},
    "put_bucket_acl": {"ACL": "public-read-write"},
    "put_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        }
    },
    "put_bucket_ownership_controls": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}},
    "put_public_access_block": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": False}},
    "put_object_lock_configuration": {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}},
    "put_object_tagging": {"Key": "rights/none", "Tagging": TAGS},
    "put_object_acl": {"Key": "rights/none", "ACL": "public-read"},
    "put_object_legal_hold": {"Key": "rights/none", "LegalHold": {"Status": "ON"}},
    "delete_bucket": {},
}


@pytest.mark.parametrize("role", RIGHTS)
def test_no_role_administers_a_bucket(object_store, role):
    """Who may write objects may not make the store forget, keep or publish them; nor make buckets or users."""
    client = connect(object_store.settings(role, s3_attempts=1))
    held = [f"tradewind-{name}" for name, rights in zip(BUCKETS, RIGHTS[role], strict=True) if "w" in rights]
    for bucket in held or ["tradewind-runs"]:
        for call, options in ADMINISTRATION.items():
            assert refusal(getattr(client, call), Bucket=bucket, **options) == "AccessDenied", (bucket, call)
    assert refusal(client.create_bucket, Bucket=f"tradewind-of-{role}") == "AccessDenied"


def refusal(call, **options):
    """Return the code of the store's refusal; none where it did what was asked."""
    try:
        call(**options)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None
