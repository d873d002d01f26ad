"""OCI image layouts on disk, written and read without a daemon.

Format: https://github.com/opencontainers/image-spec (1.1): `oci-layout`, `index.json`, `blobs/sha256/…`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ml.contract import JsonObject
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import canonical, parse_object, read_json, sha256, write_bytes

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_BYTES = b"{}"
TITLE = "org.opencontainers.image.title"
REF_NAME = "org.opencontainers.image.ref.name"
HEX_DIGITS = 64


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """Names a blob: what it is, its digest and its size [bytes]."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the descriptor as the specification writes it."""
        value: JsonObject = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value

    @classmethod
    def from_json(cls, value: JsonObject) -> Descriptor:
        """Return the descriptor; raise `IntegrityBroken` if it lacks a field or its digest is no SHA-256."""
        try:
            hexadecimal(value["digest"])
            return cls(
                media_type=str(value["mediaType"]),
                digest=value["digest"],
                size=int(value["size"]),
                artifact_type=value.get("artifactType"),
                annotations=dict(value.get("annotations") or {}),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityBroken("an OCI descriptor", repr(error)[:200], "Package it again.") from error


@dataclass(frozen=True)
class Layout:
    """A folder that holds an OCI image layout."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Layout:
        """Make an empty layout in a new or empty folder."""
        write_bytes(folder / "oci-layout", canonical({"imageLayoutVersion": "1.0.0"}))
        layout = cls(folder)
        layout._write_index(())
        return layout

    def add_blob(self, data: bytes, media_type: str, **annotations: str) -> Descriptor:
        """Store bytes and return their descriptor."""
        digest = sha256(data)
        if not self.path(digest).exists():
            write_bytes(self.path(digest), data)
        names = {TITLE: annotations["title"]} if "title" in annotations else {}
        return Descriptor(media_type=media_type, digest=digest, size=len(data), annotations=names)

    def add_manifest(self, manifest: JsonObject, ref_name: str | None = None) -> Descriptor:
        """Store an image manifest, enter it in the index and return its descriptor."""
        blob = self.add_blob(canonical(manifest), MANIFEST)
        entry = Descriptor(
            media_type=MANIFEST,
            digest=blob.digest,
            size=blob.size,
            artifact_type=manifest.get("artifactType"),
            annotations={REF_NAME: ref_name} if ref_name else {},
        )
        others = [known for known in self.manifests() if known.digest != entry.digest]
        self._write_index([*others, entry])
        return entry

    def attach(self, subject: Descriptor, artifact_type: str, files: Mapping[str, tuple[str, bytes]]) -> Descriptor:
        """Store an artefact that refers to a manifest (OCI 1.1 `subject`).

        Args:
            subject: What it is about.
            artifact_type: Its kind.
            files: By name, media type and bytes.
        """
        layers = [self.add_blob(data, kind, title=name).to_json() for name, (kind, data) in files.items()]
        about = Descriptor(media_type=subject.media_type, digest=subject.digest, size=subject.size)
        return self.add_manifest(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "artifactType": artifact_type,
                "config": self.add_blob(EMPTY_BYTES, EMPTY).to_json(),
                "layers": layers,
                "subject": about.to_json(),
            }
        )

    def manifests(self) -> tuple[Descriptor, ...]:
        """Return what the index names, in its order."""
        entries = read_json(self.folder / "index.json").get("manifests", [])
        return tuple(Descriptor.from_json(entry) for entry in entries)

    def named(self, ref_name: str) -> Descriptor:
        """Return the manifest of that name; raise `ModelNotFound` if there is none."""
        for entry in self.manifests():
            if entry.annotations.get(REF_NAME) == ref_name:
                return entry
        raise ModelNotFound(f"a manifest named {ref_name} in {self.folder}", "none", "Package it again.")

    def referrers(self, subject: str) -> dict[str, Descriptor]:
        """Return the newest artefact of each kind that refers to a manifest."""
        found = {}
        for entry in self.manifests():
            if entry.artifact_type and self.manifest(entry.digest).get("subject", {}).get("digest") == subject:
                found[entry.artifact_type] = entry
        return found

    def manifest(self, digest: str) -> JsonObject:
        """Return a manifest, its digest checked."""
        return parsed(self.blob(digest))

    def file(self, manifest: str, title: str) -> bytes:
        """Return the file of that name in an artefact; raise `ModelNotFound` if there is none."""
        for layer in self.manifest(manifest)["layers"]:
            if layer.get("annotations", {}).get(TITLE) == title:
                return self.blob(layer["digest"])
        raise ModelNotFound(f"a file {title} in {manifest}", "none", "Package it again.")

    def blob(self, digest: str) -> bytes:
        """Return a blob's bytes, checked against their digest.

        Raises:
            ModelNotFound: There is no such blob.
            IntegrityBroken: The bytes have another digest.
        """
        try:
            data = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise ModelNotFound(f"blob {digest} in {self.folder}", "none", "Package it again.") from error
        return checked(data, digest)

    def path(self, digest: str) -> Path:
        """Return where a blob lies."""
        return self.folder / "blobs" / "sha256" / hexadecimal(digest)

    def _write_index(self, entries: list[Descriptor] | tuple[Descriptor, ...]) -> None:
        manifests = [entry.to_json() for entry in entries]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        write_bytes(self.folder / "index.json", canonical(index))


def hexadecimal(digest: str) -> str:
    """Return the 64 digits of `sha256:<digits>`; raise `IntegrityBroken` for anything else, such as a path."""
    kind, _, digits = digest.partition(":")
    if kind != "sha256" or len(digits) != HEX_DIGITS or set(digits) - set("0123456789abcdef"):
        raise IntegrityBroken("a digest `sha256:<64 hexadecimal digits>`", repr(digest)[:100], "Correct it.")
    return digits


def checked(data: bytes, digest: str) -> bytes:
    """Return the bytes if they have this digest; raise `IntegrityBroken` if they have another."""
    found = sha256(data)
    if found != digest:
        raise IntegrityBroken(f"bytes with digest {digest}", f"bytes with digest {found}", "Do not use them.")
    return data


def parsed(data: bytes) -> JsonObject:
    """Return a manifest or configuration; raise `IntegrityBroken` if the bytes hold no JSON object of sane size and depth."""
    return parse_object(data, "a document", "Package it again.")
