"""What the bits of a model depend on beside its inputs and seed: processor, system and numeric libraries."""

from __future__ import annotations

import platform
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ml.contract import JsonObject
from ml.files import canonical, sha256

LIBRARIES = ("tensorflow-cpu", "tensorflow", "keras", "numpy", "scipy", "pandas", "ai-edge-litert", "lightgbm")
KERNELS = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve")
"""Starts of the processor flags by which numeric libraries choose their kernels."""
CPU_FACTS = Path("/proc/cpuinfo")


def describe() -> JsonObject:
    """Return the facts and, under `fingerprint`, their digest: equal digests of versions are promised where it is equal."""
    facts = {
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": "-".join(platform.libc_ver()),
        "kernels": _kernels(),
        "python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }
    return {**facts, "fingerprint": sha256(canonical(facts))}


def _kernels() -> list[str]:
    if not CPU_FACTS.exists():
        return [platform.processor()]
    lines = CPU_FACTS.read_text().splitlines()
    flags = next(
        (line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))), []
    )
    return sorted(flag for flag in flags if flag.startswith(KERNELS))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
