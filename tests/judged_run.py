"""What the gate leaves of a run that tests lay out by hand: golden answers, the list of what was judged, the judge's signature."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from ml.config import Settings
from ml.files import read_verdict
from ml.packaging.judgement import ENVELOPE
from ml.pipeline.context import StageContext
from ml.pipeline.judge import list_judged, sign
from ml.stack.secret import load_or_generate


def judged(context: StageContext) -> None:
    """List what a verdict is about, as `evaluate` does, and sign it, as its task does."""
    list_judged(context, read_verdict(context.data("evaluate") / "verdict.json"))
    signed(context.settings, context.use_case.name, context.inputs["run_id"], context.root)


def signed(held: Settings, name: str, run_id: str, root: Path) -> None:
    """Sign what was judged in a workspace with the key of the store or stack whose folder the settings name."""
    key = load_or_generate(held.home / "secrets.json")["judge_key"]
    judge = held.model_copy(update={"judge_key": SecretStr(key)})
    (root / ENVELOPE).write_bytes(sign(judge, name, run_id, root))
