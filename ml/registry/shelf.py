"""Where one use case's published manifests and blobs stand in the `models` bucket; nothing on it is ever replaced.

`<use case>/blobs/sha256/<hex>`, `<use case>/manifests/sha256/<hex>` (written last: what it names is there), and
`<use case>/referrers/sha256/<hex of the subject>/<hex>.json` (the descriptor of an artefact about a manifest).
"""

from __future__ import annotations

from collections.abc import Iterator

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import ModelNotFound
from ml.files import canonical
from ml.packaging.oci import Descriptor, Layout, checked, hexadecimal, parsed
from ml.store import Bucket


class Shelf:
    """Published content of one use case; every byte read is checked against its digest."""

    def __init__(self, bucket: Bucket, use_case: str) -> None:
        self._bucket = bucket
        self.use_case = use_case

    @classmethod
    def open(cls, settings: Settings, use_case: str) -> Shelf:
        """Return the shelf as the settings' S3 user sees it."""
        return cls(Bucket.open(settings, "models"), use_case)

    def blob(self, digest: str) -> bytes:
        """Return a blob; raise `ModelNotFound` or `IntegrityBroken`."""
        return checked(self._bucket.get(self._key("blobs", digest)), digest)

    def manifest(self, digest: str) -> JsonObject:
        """Return a manifest; raise `ModelNotFound` or `IntegrityBroken`."""
        return parsed(self.manifest_bytes(digest))

    def manifest_bytes(self, digest: str) -> bytes:
        """Return a manifest as it was published."""
        data = self._bucket.find(self._key("manifests", digest))
        if data is None:
            raise ModelNotFound(
                f"a published version {digest} of {self.use_case}", "none", "Look at `history` for what there is."
            )
        return checked(data, digest)

    def holds(self, digest: str) -> bool:
        """Tell whether a manifest of that digest is published."""
        return self._bucket.exists(self._key("manifests", digest))

    def digests(self) -> Iterator[str]:
        """Yield the digests of all published manifests, in order."""
        for key in self._bucket.keys(f"{self.use_case}/manifests/sha256/"):
            yield f"sha256:{key.rpartition('/')[2]}"

    def versions(self) -> set[str]:
        """Return the versions there are documents about."""
        return {f"sha256:{key.split('/')[3]}" for key in self._bucket.keys(f"{self.use_case}/referrers/sha256/")}

    def sizes(self) -> dict[tuple[str, str], int]:
        """Return the size of all content by (`blobs` or `manifests`, digest) [bytes]."""
        return {
            (kind, f"sha256:{one.key.rpartition('/')[2]}"): one.size
            for kind in ("blobs", "manifests")
            for one in self._bucket.listed(f"{self.use_case}/{kind}/sha256/")
        }

    def forget(self, digest: str) -> None:
        """Remove a version's name, then what says which documents there are about it; their content stays."""
        self.remove("manifests", digest)
        for key in list(self._bucket.keys(f"{self.use_case}/referrers/sha256/{hexadecimal(digest)}/")):
            self._bucket.delete(key)

    def remove(self, kind: str, digest: str) -> None:
        """Remove one manifest or blob."""
        self._bucket.delete(self._key(kind, digest))

    def referrers(self, subject: str, artifact_type: str | None = None) -> Iterator[Descriptor]:
        """Yield the artefacts about a manifest, of one kind if it is named, in order of digest."""
        for key in self._bucket.keys(f"{self.use_case}/referrers/sha256/{hexadecimal(subject)}/"):
            descriptor = Descriptor.from_json(parsed(self._bucket.get(key)))
            if artifact_type in (None, descriptor.artifact_type):
                yield descriptor

    def add(self, layout: Layout, entry: Descriptor) -> None:
        """Publish one manifest of a layout and what it names; what is there already stays."""
        manifest = layout.manifest(entry.digest)
        for named in (manifest["config"], *manifest["layers"]):
            self._create("blobs", layout, Descriptor.from_json(named))
        self._create("manifests", layout, entry)
        subject = manifest.get("subject")
        if subject is not None:
            key = f"{self._key('referrers', subject['digest'])}/{hexadecimal(entry.digest)}.json"
            self._bucket.put(key, canonical(entry.to_json()), "application/json")

    def _create(self, kind: str, layout: Layout, descriptor: Descriptor) -> None:
        key = self._key(kind, descriptor.digest)
        if not self._bucket.exists(key):
            self._bucket.put(key, layout.blob(descriptor.digest), descriptor.media_type)

    def _key(self, kind: str, digest: str) -> str:
        return f"{self.use_case}/{kind}/sha256/{hexadecimal(digest)}"
