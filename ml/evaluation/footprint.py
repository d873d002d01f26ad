"""Measures what an exported variant takes in a fresh process: time for one request, and memory.

As a program it is that process: it opens the variant, answers, and prints both as JSON.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import ml
from ml.contract import Arrays, Predictor
from ml.evaluation.evidence import Footprint

PROJECT = Path(ml.__file__).parent.parent
TRIES = 3  # of each request; the fastest counts, since a busy machine only ever adds time
SECONDS = 600

log = logging.getLogger(__name__)


def measure_footprint(
    open_variant: Callable[[Path], Predictor], folder: Path, requests: Sequence[Arrays]
) -> Footprint | None:
    """Return what a variant takes; none where the process did not end well, which is missing evidence.

    Args:
        open_variant: How a use case opens it; a fresh process finds it by its name.
        folder: Folder of the exported variant.
        requests: Inputs of one row each.
    """
    with tempfile.TemporaryDirectory() as scratch:
        asked = Path(scratch) / "requests.npz"
        named: dict[str, Any] = {f"{at}/{k}": v for at, one in enumerate(requests) for k, v in one.items()}
        np.savez(asked, **named)
        how = f"{open_variant.__module__}:{open_variant.__qualname__}"
        command = [sys.executable, "-m", "ml.evaluation.footprint", how, str(folder.absolute()), str(asked)]
        try:
            done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            log.warning("footprint not measured folder=%s error=%s", folder.name, type(error).__name__)
            return None
    return Footprint(**json.loads(done.stdout.splitlines()[-1]))


def main(how: str, folder: str, asked: str) -> None:
    """Open, answer every request, and print the figures."""
    module, _, name = how.partition(":")
    predict = getattr(import_module(module), name)(Path(folder))
    times = [min(_milliseconds(predict, one) for _ in range(TRIES)) for one in _requests(Path(asked))]
    found = {"latency_ms": float(np.percentile(times, 95)), "memory_bytes": _peak_memory()}
    sys.stdout.write(f"{json.dumps(found)}\n")


def _requests(path: Path) -> list[dict[str, np.ndarray]]:
    requests: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path) as stored:
        for key in stored.files:
            at, _, name = key.partition("/")
            requests.setdefault(at, {})[name] = stored[key]
    return list(requests.values())


def _milliseconds(predict: Predictor, inputs: Arrays) -> float:
    began = time.perf_counter()
    predict(inputs)
    return (time.perf_counter() - began) * 1000


def _peak_memory() -> int:
    """Return this process's largest resident memory [bytes].

    Linux hands the parent's peak down through fork and exec in `ru_maxrss`; `VmHWM` begins anew.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS tells bytes


if __name__ == "__main__":
    main(*sys.argv[1:])
