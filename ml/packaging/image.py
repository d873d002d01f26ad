"""The runnable image: the runtime base and, on top, the very layer of a version; recorded, but not what names it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.files import canonical
from ml.packaging.oci import CONFIG, LAYER, MANIFEST, Descriptor, Layout
from ml.packaging.version import Version, read_config

REF = "image"
"""Name of the runnable image's manifest in a layout: `oci:FOLDER:image`."""
BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True, kw_only=True)
class Image:
    """A runnable image, or why there is none."""

    digest: str | None
    base: str | None
    """Digest of the runtime base's manifest."""
    reason: str | None = None
    """Why there is no image."""


def assemble(layout: Layout, version: Version, base_folder: Path | None) -> Image:
    """Add the runnable image of a version to its layout; equal base and version give an equal digest.

    Args:
        layout: Holds the version.
        version: The version.
        base_folder: OCI layout of the runtime base; none where nobody built one.

    Raises:
        IntegrityBroken: The base is no layout with one OCI image.
    """
    if base_folder is None:
        return Image(digest=None, base=None, reason="no runtime base: TRADEWIND_RUNTIME_BASE is not set")
    base = Layout(base_folder)
    entry = _only_image(base)
    manifest = base.manifest(entry.digest)
    _bring(base, layout, manifest)
    config = layout.add_blob(canonical(_config(read_config(base, manifest), version)), CONFIG)
    layer = Descriptor(media_type=LAYER, digest=version.layer.digest, size=version.layer.size)
    combined = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.to_json(),
        "layers": [*manifest["layers"], layer.to_json()],
        "annotations": {BASE_DIGEST: entry.digest, "dev.tradewind.version": version.digest},
    }
    return Image(digest=layout.add_manifest(combined, REF).digest, base=entry.digest)


def _only_image(base: Layout) -> Descriptor:
    images = [entry for entry in base.manifests() if entry.media_type == MANIFEST and entry.artifact_type is None]
    if len(images) != 1 or base.manifest(images[0].digest)["config"]["mediaType"] != CONFIG:
        raise IntegrityBroken(
            f"one OCI image in {base.folder}", f"{len(images)} images", "Build it with deploy/build-base.sh."
        )
    return images[0]


def _bring(base: Layout, layout: Layout, manifest: JsonObject) -> None:
    """Copy the base's layers into the layout."""
    for layer in manifest["layers"]:
        source, place = base.path(layer["digest"]), layout.path(layer["digest"])
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)


def _config(base: JsonObject, version: Version) -> JsonObject:
    """Return the base's configuration with one more layer; its times stay the base's."""
    step = {"created_by": f"tradewind version {version.digest}"}
    settings = base.get("config", {})
    labels = {**(settings.get("Labels") or {}), "dev.tradewind.version": version.digest}
    return {
        **base,
        "config": {**settings, "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [*base["rootfs"]["diff_ids"], version.diff_id]},
        **({"history": [*base["history"], step]} if "history" in base else {}),
    }
