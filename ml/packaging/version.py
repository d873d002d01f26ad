"""The version: a one-layer `FROM scratch` image of model, fitted state and golden answers, named by its digest.

No time, no measurement and no lock is inside, so equal inputs give an equal digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.contract import JsonObject, UseCase
from ml.errors import IntegrityBroken
from ml.files import canonical, read_json, sha256
from ml.packaging.archive import pack
from ml.packaging.oci import CONFIG, LAYER, MANIFEST, Descriptor, Layout, parsed

VERSION_SCHEMA = "tradewind/version/1"
REF = "version"
"""Name of the version's manifest in its layout: `oci:FOLDER:version`."""
PREFIX = "models"
"""Folder in the image that holds everything, where KServe's modelcars and the server look for it."""
PARTS = ("version.json", "model", "state.json", "golden.json")
# A model runs on any machine; these fields are compulsory in an image configuration.
ARCHITECTURE = {"architecture": "amd64", "os": "linux"}


@dataclass(frozen=True, kw_only=True)
class Version:
    """A packaged version."""

    manifest: Descriptor
    layer: Descriptor
    diff_id: str

    @property
    def digest(self) -> str:
        """Name of the version."""
        return self.manifest.digest


def describe(use_case: UseCase, variant: str) -> JsonObject:
    """Return what `version.json` says: nothing that changes while model and contract stay the same."""
    shapes = {"request": use_case.service.request, "response": use_case.service.response}
    return {
        "schema": VERSION_SCHEMA,
        "use_case": use_case.name,
        "variant": variant,
        "contract": {name: sha256(canonical(model.model_json_schema())) for name, model in shapes.items()},
    }


def build(layout: Layout, folder: Path, description: JsonObject) -> Version:
    """Add the version of a folder that holds `PARTS` to a layout."""
    packed = pack(folder, PREFIX)
    layer = layout.add_blob(packed.data, LAYER)
    config = {
        **ARCHITECTURE,
        "config": {"Labels": _labels(description)},
        "rootfs": {"type": "layers", "diff_ids": [packed.diff_id]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.add_blob(canonical(config), CONFIG).to_json(),
        "layers": [layer.to_json()],
        "annotations": _labels(description),
    }
    return Version(manifest=layout.add_manifest(manifest, REF), layer=layer, diff_id=packed.diff_id)


def read(layout: Layout) -> Version:
    """Return the version in a layout, its manifest and configuration checked.

    Raises:
        IntegrityBroken: It is no image with exactly one layer.
    """
    entry = layout.named(REF)
    manifest = layout.manifest(entry.digest)
    layer = only_layer(manifest)
    config = read_config(layout, manifest)
    return Version(manifest=entry, layer=layer, diff_id=config["rootfs"]["diff_ids"][0])


def only_layer(manifest: JsonObject) -> Descriptor:
    """Return the one layer of a version's manifest; raise `IntegrityBroken` if there is not exactly one."""
    layers = manifest.get("layers")
    if not isinstance(layers, list) or len(layers) != 1:
        raise IntegrityBroken("an image with one layer", "another manifest", "Package the version again.")
    return Descriptor.from_json(layers[0])


def read_config(layout: Layout, manifest: JsonObject) -> JsonObject:
    """Return the configuration of an image in a layout."""
    return parsed(layout.blob(manifest["config"]["digest"]))


def ensure_parts(folder: Path, use_case: str) -> JsonObject:
    """Return an unpacked version's `version.json`.

    Raises:
        IntegrityBroken: A part is missing, or it is the version of another use case.
    """
    missing = [name for name in PARTS if not (folder / name).exists()]
    if missing:
        raise IntegrityBroken(f"the parts {', '.join(PARTS)}", f"no {', '.join(missing)}", "Package the version again.")
    description = read_json(folder / "version.json")
    if description.get("schema") != VERSION_SCHEMA or description.get("use_case") != use_case:
        raise IntegrityBroken(
            f"a version of {use_case} in {VERSION_SCHEMA}",
            f"{description.get('use_case')} in {description.get('schema')}",
            "Name a version of this use case.",
        )
    return description


def _labels(description: JsonObject) -> dict[str, str]:
    return {
        "org.opencontainers.image.title": f"tradewind-{description['use_case']}",
        "dev.tradewind.use-case": description["use_case"],
        "dev.tradewind.variant": description["variant"],
    }
