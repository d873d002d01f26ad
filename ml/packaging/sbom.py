"""The bill of materials of a version: every file with its hash, every library its server needs, as CycloneDX 1.6."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.files import canonical, sha256
from ml.packaging.lock import PROJECT, Library, libraries

NAMESPACE = uuid.UUID("6f1d3c0e-5d0b-5b7e-9a53-0b9a5a1f7c11")  # of serial numbers; any fixed one does


def write_sbom(use_case: str, version: str, files: Mapping[str, str], lock: bytes) -> bytes:
    """Return the bill of materials; equal arguments give equal bytes.

    Args:
        use_case: Name of the use case.
        version: Digest of the version.
        files: Digest of each file in the version's layer by its path.
        lock: Bytes of `uv.lock`.
    """
    parts = [_file(path, digest) for path, digest in files.items()]
    needed = [_library(library) for library in libraries(lock)]
    subject = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL, name=f"{PROJECT}-{use_case}", version=version, bom_ref=version
    )
    bom = Bom(
        components=[*parts, *needed],
        serial_number=uuid.uuid5(NAMESPACE, version),
        metadata=BomMetaData(component=subject, properties=[Property(name="tradewind:uv.lock", value=sha256(lock))]),
    )
    bom.register_dependency(subject, [*parts, *needed])
    return _timeless(JsonV1Dot6(bom).output_as_string())


def ensure_complete(sbom: bytes, version: str, files: Mapping[str, str]) -> None:
    """Compare a bill of materials with the bytes it is about.

    Raises:
        IntegrityBroken: It is about another version, lacks a file, names one that is not there, or a hash differs.
    """
    document = json.loads(sbom)
    about = document["metadata"]["component"]["version"]
    if about != version:
        raise IntegrityBroken(f"the bill of materials of {version}", f"that of {about}", "Package the version again.")
    listed = {part["name"]: _sha256_of(part) for part in document["components"] if part["type"] == "file"}
    wrong = sorted(path for path in listed.keys() | files.keys() if listed.get(path) != files.get(path))
    if wrong:
        raise IntegrityBroken(
            "a bill of materials that lists exactly the files of the version",
            f"a difference at {', '.join(wrong[:5])}",
            "Package the version again.",
        )


def _file(path: str, digest: str) -> Component:
    content = digest.removeprefix("sha256:")
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=content)]
    return Component(type=ComponentType.FILE, name=path, bom_ref=f"file:{path}", hashes=hashes)


def _library(library: Library) -> Component:
    purl = PackageURL("pypi", name=library.name, version=library.version)
    return Component(name=library.name, version=library.version, purl=purl, bom_ref=str(purl))


def _sha256_of(part: JsonObject) -> str | None:
    values = [item["content"] for item in part.get("hashes", ()) if item["alg"] == "SHA-256"]
    return f"sha256:{values[0]}" if values else None


def _timeless(text: str) -> bytes:
    """Return the document without the moment it was written at."""
    document = json.loads(text)
    document["metadata"].pop("timestamp", None)
    return canonical(document)
