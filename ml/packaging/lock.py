"""Which libraries a version's server needs, as `uv.lock` pins them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from packaging.markers import Marker

from ml.contract import JsonObject
from ml.errors import IntegrityBroken

PROJECT = "tradewind"
EXTRA = "serve"
"""The extra of the project whose libraries a version needs to answer."""

Packages: TypeAlias = "Mapping[str, list[JsonObject]]"


@dataclass(frozen=True, kw_only=True, order=True)
class Library:
    """One locked distribution."""

    name: str
    version: str


def libraries(lock: bytes, extra: str = EXTRA) -> tuple[Library, ...]:
    """Return what the project with one extra needs on this platform, in order of name.

    Raises:
        IntegrityBroken: The lock does not name the project, or something it needs.
    """
    packages: dict[str, list[JsonObject]] = {}
    for package in tomllib.loads(lock.decode())["package"]:
        packages.setdefault(package["name"], []).append(package)
    seen: set[tuple[str, str, str]] = set()
    waiting: list[JsonObject] = [{"name": PROJECT, "extra": [extra]}]
    while waiting:
        need = waiting.pop()
        package = _chosen(packages, need)
        for part in ("", *need.get("extra", ())):
            key = (package["name"], package["version"], part)
            if key not in seen:
                seen.add(key)
                waiting += _needs(package, part)
    return tuple(sorted({Library(name=name, version=version) for name, version, _ in seen if name != PROJECT}))


def _needs(package: JsonObject, part: str) -> list[JsonObject]:
    """Return what a package, or one extra of it, needs on this platform."""
    optional = package.get("optional-dependencies", {})
    listed = optional.get(part, []) if part else package.get("dependencies", [])
    return [need for need in listed if "marker" not in need or Marker(need["marker"]).evaluate({"extra": EXTRA})]


def _chosen(packages: Packages, need: JsonObject) -> JsonObject:
    """Return the locked package a requirement means; the requirement names the version where a lock holds several."""
    for package in packages.get(need["name"], ()):
        if need.get("version") in (None, package["version"]):
            return package
    raise IntegrityBroken(f"{need['name']} in uv.lock", "no such package", "Lock again: uv lock")
