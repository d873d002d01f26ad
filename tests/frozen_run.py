"""What tests leave of a run without running it: signed frozen files, and verdicts as `validate` hands them over."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ml.files import sha256
from ml.pipeline import frozen, handover
from ml.pipeline.workspace import single
from ml.store import Bucket
from tests.conftest import ObjectStore


def freeze_run(store: ObjectStore, use_case: Any, run: str, inputs: Any, params: Any) -> frozen.Frozen:
    """Freeze a run on inputs and on the parameters of its use case; what it was frozen on before is forgotten."""
    keeper = store.settings("ingest")
    Bucket.open(keeper, "runs").delete(frozen.run_key(use_case, run, frozen.STATEMENT))
    files = {
        frozen.INPUTS: json.dumps(inputs).encode(),
        frozen.PARAMS: yaml.safe_dump({use_case: params}).encode(),
        frozen.STAGES_FILE: single(use_case),
    }
    return frozen.keep(keeper, use_case, run, files)


def publish_verdict(store: ObjectStore, use_case: Any, run: str, verdict: bytes) -> str:
    """Leave the bytes of a verdict about a run's data where people read it, and sign for it; return its digest."""
    keeper, digest = store.settings("ingest"), sha256(verdict)
    Bucket.open(keeper, "reports").put(f"{use_case}/{run}/validate/verdict.json", verdict)
    handover.leave(keeper, (use_case, run, "validate"), {"cmd": "python -m ml stage validate"}, digest)
    return digest
