"""The object store as the rest of Tradewind sees it: bytes under a key in one bucket."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ml.config import BucketName, Settings, require_secret
from ml.errors import ConfigInvalid, IntegrityBroken, ModelNotFound, PromotionConflict, StorageUnavailable

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef

CONNECT_TIMEOUT_S = 5
FULL = "Try again. If it lasts, the store's disk may be full: `tradewind status` tells; after space is free it goes on by itself."
OBJECT_BYTES = 4 * 1024**3  # longest object that is read at once
PIECE_BYTES = 1024 * 1024
UPDATES = 60  # tries of a change against others who change the same object
LONGEST_PAUSE_MS = 400  # between two of them; drawn, so that writers do not stay in step


def connect(settings: Settings) -> S3Client:
    """Return a boto3 client for the S3 user named in the settings."""
    import boto3
    from botocore.config import Config

    if settings.s3_access_key is None:
        raise ConfigInvalid("TRADEWIND_S3_ACCESS_KEY", "nothing", "Set it, or start the stack with `make run`.")
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=require_secret(settings.s3_secret_key, "s3_secret_key"),
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=settings.s3_timeout_s,
            retries={"mode": "standard", "total_max_attempts": settings.s3_attempts},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object as a listing tells of it."""

    key: str
    size: int
    """[bytes]"""
    modified: datetime
    """When it was last written, by the store's clock, UTC."""


class Bucket:
    """One bucket, reached with one user's rights.

    All methods raise `StorageUnavailable` when the store does not answer within the bounded
    retries, and `ConfigInvalid` when the user lacks the right.
    """

    def __init__(self, client: S3Client, name: str) -> None:
        self._client = client
        self.name = name

    @classmethod
    def open(cls, settings: Settings, name: BucketName) -> Bucket:
        """Return the bucket `name` as the settings' S3 user sees it."""
        return cls(connect(settings), settings.bucket(name))

    def get(self, key: str, most_bytes: int = OBJECT_BYTES) -> bytes:
        """Return the object's bytes.

        Raises:
            ModelNotFound: There is none.
            IntegrityBroken: It is longer than `most_bytes`; nothing of it was read.
        """
        with _translated(self.name, key):
            found = self._client.get_object(Bucket=self.name, Key=key)
            return self._read(key, found, most_bytes)

    def find(self, key: str, most_bytes: int = OBJECT_BYTES) -> bytes | None:
        """Return the object's bytes, or none if there is no such object; raise `IntegrityBroken` as `get` does."""
        try:
            return self.get(key, most_bytes)
        except ModelNotFound:
            return None

    def _read(self, key: str, found: GetObjectOutputTypeDef, most_bytes: int) -> bytes:
        if found["ContentLength"] > most_bytes:
            found["Body"].close()
            size, place = f"{found['ContentLength']:,} bytes", f"s3://{self.name}/{key}"
            raise IntegrityBroken(f"at most {most_bytes:,} bytes at {place}", size, "Find out who wrote it; delete it.")
        return found["Body"].read()

    def stream(self, key: str, most_bytes: int | None) -> Iterator[bytes]:
        """Yield the object's bytes piece by piece, however long it is where no limit is given; raise as `get` does."""
        with _translated(self.name, key):
            body, read = self._client.get_object(Bucket=self.name, Key=key)["Body"], 0
            for piece in body.iter_chunks(PIECE_BYTES):
                read += len(piece)
                if most_bytes is not None and read > most_bytes:
                    place = f"s3://{self.name}/{key}"
                    raise IntegrityBroken(f"at most {most_bytes} bytes at {place}", "more", "Find out who wrote it.")
                yield piece

    def put(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Write the object, replacing what was there."""
        with _translated(self.name, key):
            self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=content_type)

    def create(self, key: str, data: bytes, content_type: str = "application/json") -> None:
        """Write the object only if the key is free (`If-None-Match: *`).

        A retry inside the client can be told "taken" by its own first try that won, so a refusal
        reads back: equal bytes count as written.

        Raises:
            PromotionConflict: The key holds other bytes.
        """
        try:
            with _translated(self.name, key):
                self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=content_type, IfNoneMatch="*")
        except PromotionConflict:
            if self.get(key) != data:
                raise

    def tagged(self, key: str, most_bytes: int = OBJECT_BYTES) -> tuple[bytes, str] | None:
        """Return the object's bytes with their entity tag, or none if there is no such object; raise as `get` does."""
        try:
            with _translated(self.name, key):
                found = self._client.get_object(Bucket=self.name, Key=key)
                return self._read(key, found, most_bytes), found["ETag"]
        except ModelNotFound:
            return None

    def replace(self, key: str, data: bytes, etag: str, content_type: str = "application/octet-stream") -> None:
        """Write the object only if it still bears the entity tag (`If-Match`).

        Raises:
            PromotionConflict: It is another by now; after a lost answer that may be this very write.
        """
        with _translated(self.name, key):
            self._client.put_object(Bucket=self.name, Key=key, Body=data, ContentType=content_type, IfMatch=etag)

    def update(
        self,
        key: str,
        change: Callable[[bytes | None], bytes | None],
        content_type: str = "application/octet-stream",
    ) -> bytes | None:
        """Read the object, change it, and write it over exactly what was read; anew if somebody else was faster.

        Args:
            key: Of the object.
            change: Takes its bytes, or none where it is missing, and returns what is to be there; none or equal bytes
                leave it as it is. It is called once a try; `PromotionConflict` from it asks for another one.
            content_type: Of what is written.

        Returns:
            The bytes that are there now, as far as this call knows.

        Raises:
            StorageUnavailable: Others were faster every time.
        """
        for tried in range(UPDATES):
            before, tag = self.tagged(key) or (None, "")
            try:
                after = change(before)
                if after is None or after == before:
                    return before
                if before is None:
                    self.create(key, after, content_type)
                else:
                    self.replace(key, after, tag, content_type)
            except (PromotionConflict, ModelNotFound):
                time.sleep(secrets.randbelow(min(LONGEST_PAUSE_MS, 10 * 2**tried)) / 1000)
                continue
            return after
        raise StorageUnavailable(
            f"to write s3://{self.name}/{key}", f"{UPDATES} others who wrote first", "Try again.", key=key
        )

    def forget_older(self, key: str) -> None:
        """Remove every version of the object but the newest, where the bucket keeps versions."""
        with _translated(self.name, key):
            for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=key):
                for old in page.get("Versions", ()):
                    if old["Key"] == key and not old["IsLatest"]:
                        self._client.delete_object(Bucket=self.name, Key=key, VersionId=old["VersionId"])

    def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        try:
            with _translated(self.name, key):
                self._client.head_object(Bucket=self.name, Key=key)
        except ModelNotFound:
            return False
        return True

    def etag(self, key: str) -> str | None:
        """Return the object's entity tag, or none if there is no such object."""
        try:
            with _translated(self.name, key):
                return self._client.head_object(Bucket=self.name, Key=key)["ETag"]
        except ModelNotFound:
            return None

    def size(self, key: str) -> int | None:
        """Return the object's length [bytes], or none if there is no such object."""
        try:
            with _translated(self.name, key):
                return self._client.head_object(Bucket=self.name, Key=key)["ContentLength"]
        except ModelNotFound:
            return None

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """Yield all keys under a prefix in lexical order; only those behind `after`, where it is given."""
        with _translated(self.name, prefix):
            lister = self._client.get_paginator("list_objects_v2")
            pages = lister.paginate(Bucket=self.name, Prefix=prefix, StartAfter=after)
            for page in pages:
                yield from (item["Key"] for item in page.get("Contents", ()))

    def entries(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield all keys under a prefix with their entity tags, in lexical order."""
        with _translated(self.name, prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                yield from ((item["Key"], item["ETag"].strip('"')) for item in page.get("Contents", ()))

    def listed(self, prefix: str = "") -> Iterator[Stored]:
        """Yield all objects under a prefix with their size and age, in lexical order."""
        with _translated(self.name, prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            for page in pages:
                for item in page.get("Contents", ()):
                    yield Stored(key=item["Key"], size=item["Size"], modified=item["LastModified"])

    def folders(self) -> list[str]:
        """Return the first parts of all keys that have several, in order."""
        with _translated(self.name, ""):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Delimiter="/")
            return [one["Prefix"].rstrip("/") for page in pages for one in page.get("CommonPrefixes", ())]

    def delete(self, key: str) -> None:
        """Remove the object; a missing one is no error."""
        with _translated(self.name, key):
            self._client.delete_object(Bucket=self.name, Key=key)


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """Turn boto3's exceptions into ours, once, at the edge."""
    from botocore.exceptions import BotoCoreError, ClientError

    place = f"s3://{bucket}/{key}"
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        if status == 404:
            raise ModelNotFound(f"an object at {place}", "none", "Check the name.", key=key) from error
        if status in (409, 412):
            raise PromotionConflict(
                f"{place} to be free", "an object that is already there", "Read it and try again.", key=key
            ) from error
        if status in (400, 401, 403):
            raise ConfigInvalid(
                f"a right to use {place}", f"{code} ({status})", "Check the S3 user's keys and grants.", key=key
            ) from error
        raise StorageUnavailable(
            f"an answer for {place}", f"{code} ({status})", FULL if status in (500, 507) else "Try again.", key=key
        ) from error
    except BotoCoreError as error:
        raise StorageUnavailable(
            f"an answer for {place}", type(error).__name__, f"Is the object store up? {FULL}", key=key
        ) from error
