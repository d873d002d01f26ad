"""A small project whose DVC stages are shell commands: what runs a run's stages on the real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from ml.config import Settings
from ml.contract import VERDICT_SCHEMA
from ml.pipeline import frozen
from ml.pipeline.handover import lock_of
from ml.pipeline.workspace import bring, run_stage, single, workspace
from tests.conftest import ObjectStore

VERDICT = {
    "schema": VERDICT_SCHEMA,
    "stage": "validate",
    "accepted": True,
    "rules": [],
    "summary": "fine",
    "chosen": None,
    "details": {},
}
REFUSAL = {
    **VERDICT,
    "accepted": False,
    "rules": [
        {
            "name": "fresh",
            "observed": 9,
            "limit": 7,
            "passed": False,
            "severity": "block",
            "sentence": "The newest row is 9 days old.",
            "interval": None,
        }
    ],
}


def stages(validate_text: str, ingest_command: str = "cat inputs.json > data/shop/ingest/rows") -> bytes:
    """Real DVC stages made of shell commands."""
    document = {
        "vars": [{"use_cases": ["shop"]}],
        "stages": {
            "ingest": {
                "foreach": "${use_cases}",
                "do": {
                    "cmd": f"mkdir -p data/${{item}}/ingest && {ingest_command}",
                    "params": [{"inputs.json": ["source"]}],
                    "outs": [{"data/${item}/ingest": {"remote": "raw"}}],
                },
            },
            "validate": {
                "foreach": "${use_cases}",
                "do": {
                    "cmd": "mkdir -p data/${item}/validate reports/${item}/validate && cp data/${item}/ingest/rows "
                    "data/${item}/validate/ && echo seen > reports/${item}/validate/page.html && "
                    f"echo '{validate_text}' > data/${{item}}/validate/verdict.json",
                    "deps": ["data/${item}/ingest"],
                    "outs": [{"data/${item}/validate": {"remote": "raw"}}, "reports/${item}/validate"],
                },
            },
            "features": {
                "foreach": "${use_cases}",
                "do": {
                    "cmd": "mkdir -p data/${item}/features && cp reports/${item}/validate/page.html data/${item}/features/",
                    "deps": ["reports/${item}/validate"],
                    "outs": ["data/${item}/features"],
                },
            },
        },
    }
    return yaml.safe_dump(document).encode()


class Project:
    """A frozen run of use case `shop`, in a project with the stages given."""

    def __init__(self, store: ObjectStore, folder: Path, run_id: str, dvc_yaml: Any) -> None:
        self.store, self.run_id, self.folder = store, run_id, folder / f"project-{run_id}"
        self._home = folder / "home"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "dvc.yaml").write_bytes(dvc_yaml)
        inputs = json.dumps({"source": {"digest": run_id}}).encode()
        self.files = {"inputs.json": inputs, "params.yaml": b"shop: {}\n", "dvc.yaml": single("shop", self.folder)}
        frozen.keep(store.settings("ingest"), "shop", run_id, self.files)

    def run(self, stage: str, settings: Settings | None = None) -> None:
        """Run one stage, as role `ingest` unless other settings are given."""
        held = settings or self.store.settings("ingest", home=self._home)
        run_stage(held, "shop", self.run_id, stage, self.folder)

    def open(self, settings: Settings) -> Any:
        """Give a workspace of the run."""
        return workspace(settings, "shop", self.run_id, "look", self.folder)

    def read(self, settings: Settings, path: Any) -> bytes:
        """Bring one file of a stage and return its bytes."""
        with self.open(settings) as root:
            bring(settings, root, path)
            return bytes((root / path).read_bytes())

    def locked(self) -> dict[str, Any]:
        """Return what the stages handed over, as `dvc.lock` names them."""
        stages = ("ingest", "validate", "features")
        lock: dict[str, Any] = lock_of(self.store.settings("promote"), "shop", self.run_id, stages)["stages"]
        return lock
