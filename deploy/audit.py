"""Audits what `uv.lock` names, without a network: origins and hashes, versions known to be bad, and licences.

`make check` runs it. Licences are those that installed distributions state; what is not installed here is not asked.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
WORDS = re.compile(r"[()]|\bAND\b|\bOR\b|\bWITH\b")
CLASSIFIER = "License :: "
UNSAID = {"License :: OSI Approved", "License :: DFSG approved"}  # name no licence

Package = dict[str, Any]


def origins(packages: list[Package], index: str) -> Iterator[str]:
    """Yield a complaint for each file of a package that is not from the index over https with a SHA-256."""
    for package in packages:
        name, source = f"{package['name']} {package.get('version', '')}".strip(), package.get("source", {})
        if source == {"editable": "."}:
            continue
        if source != {"registry": index}:
            yield f"{name}: comes from {source or 'nowhere'}, not from {index}"
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
        if not files:
            yield f"{name}: has no files"
        for file in files:
            if not SHA256.fullmatch(file.get("hash", "")):
                yield f"{name}: no SHA-256 of {file.get('url', 'a file')}"
            if not file.get("url", "").startswith("https://"):
                yield f"{name}: {file.get('url', 'a file')} is not fetched over https"


def known_bad(packages: list[Package], path: Path) -> Iterator[str]:
    """Yield a complaint for each locked version that a list names; its lines are `name specifier # reason`."""
    versions: dict[str, list[str]] = {}
    for package in packages:
        versions.setdefault(canonicalize_name(package["name"]), []).append(package.get("version", "0"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text, _, reason = (part.strip() for part in line.partition("#"))
        if not text:
            continue
        try:
            bad = Requirement(text)
        except InvalidRequirement as error:
            yield f"{path.name}:{number}: {str(error).splitlines()[0]}"
            continue
        if not reason or not bad.specifier:
            yield f"{path.name}:{number}: a line is `name specifier # reason`, such as `urllib3<2.5 # CVE-2025-50181`"
            continue
        for version in versions.get(canonicalize_name(bad.name), ()):
            if bad.specifier.contains(version, prereleases=True):
                yield f"{bad.name} {version}: {reason} ({path.name}:{number})"


def licences(packages: list[Package], rules: dict[str, Any]) -> Iterator[str]:
    """Yield a complaint for each installed locked distribution whose licence is neither allowed nor excepted with a reason."""
    locked, excepted = {canonicalize_name(package["name"]) for package in packages}, rules["exceptions"]
    for name in sorted(set(excepted) - locked):
        yield f"{name}: an exception for what the lock does not name"
    installed = {canonicalize_name(one.name): one for one in distributions()}
    for name in sorted(locked & set(installed)):
        stated = licence_of(installed[name])
        exception = excepted.get(name)
        if exception is not None:
            if exception["licence"] != stated or not exception["reason"].strip():
                yield f"{name}: states {stated!r}; its exception is for {exception['licence']!r}"
        elif not is_allowed(stated, rules):
            yield f"{name}: states {stated!r}, which is not allowed"


def licence_of(distribution: Distribution) -> str:
    """Return what a distribution states: its SPDX expression, its classifiers, or the first line of its licence field."""
    said = distribution.metadata
    for expression in said.get_all("License-Expression") or ():
        return str(expression)
    classifiers = [one for one in said.get_all("Classifier") or () if one.startswith(CLASSIFIER) and one not in UNSAID]
    if classifiers:
        return "; ".join(sorted(one.rpartition(" :: ")[2] for one in classifiers))
    lines = "".join(said.get_all("License") or ()).strip().splitlines()
    return lines[0] if lines else ""


def is_allowed(stated: str, rules: dict[str, Any]) -> bool:
    """Tell whether a licence is allowed: of alternatives (`OR`) one must be, of all else each part."""
    allowed = {*rules["allowed"], *rules["names"]}
    if stated in allowed:
        return True
    if "; " in stated:
        return all(part in allowed for part in stated.split("; "))
    if " OR " in stated and "(" not in stated:
        return any(is_allowed(part.strip(), rules) for part in stated.split(" OR "))
    parts = [part.strip() for part in WORDS.split(stated) if part.strip()]
    return bool(parts) and all(part in allowed for part in parts)


def main() -> int:
    """Print each complaint; return 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=HERE.parent / "uv.lock")
    parser.add_argument("--rules", type=Path, default=HERE / "audit.toml", help="index, licences and exceptions")
    parser.add_argument("--known-bad", type=Path, default=HERE / "known-bad.txt", help="left out where there is none")
    asked = parser.parse_args()
    packages = tomllib.loads(asked.lock.read_text(encoding="utf-8"))["package"]
    rules = tomllib.loads(asked.rules.read_text(encoding="utf-8"))
    complaints = [*origins(packages, rules["index"]), *licences(packages, rules)]
    if asked.known_bad.exists():
        complaints += known_bad(packages, asked.known_bad)
    for complaint in complaints:
        sys.stderr.write(f"{asked.lock.name}: {complaint}\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
