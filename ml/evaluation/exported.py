"""The exported variants of a candidate, as compress handed them over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.contract import JsonObject
from ml.errors import IntegrityBroken
from ml.evaluation.evidence import Footprint, Parity
from ml.files import read_json


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A variant, and what is known of it beside its scores."""

    name: str
    folder: Path
    size_bytes: int
    parity: Parity | None
    footprint: Footprint | None = None


def read_variants(folder: Path) -> list[Exported]:
    """Return the exported variants in compress's order, most faithful first.

    Raises:
        IntegrityBroken: There is no list of them.
    """
    listed = read_json(folder / "variants.json").get("variants")
    if not isinstance(listed, list):
        raise IntegrityBroken(f"`variants` in {folder}/variants.json", "none", "Run the compress stage again.")
    close = read_json(folder / "parity.json").get("variants") or {}
    return [
        Exported(
            name=one["name"],
            folder=folder / one["name"],
            size_bytes=int(one["bytes"]),
            parity=_parity(close.get(one["name"])),
        )
        for one in listed
    ]


def _parity(found: JsonObject | None) -> Parity | None:
    known = found or {}
    difference, agreement = known.get("difference"), known.get("agreement")
    if difference is None or agreement is None:
        return None
    return Parity(difference=float(difference), agreement=float(agreement))
