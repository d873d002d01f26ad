"""Runs one file-to-file stage in a run's workspace, with those parts of the use case that it uses and no others.

DVC calls this. What it and the stage import is what the stage depends on (`stage_code`), so nothing is imported here that
a stage does not need.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import yaml

from ml.config import load_settings
from ml.errors import ConfigInvalid
from ml.files import read_json
from ml.pipeline import FILE_STAGES
from ml.pipeline.context import StageContext, typed_params
from ml.use_cases import Part, load_parts

PARTS: dict[str, tuple[Part, ...]] = {
    **dict.fromkeys(("ingest", "validate", "anonymise"), ()),
    "features": ("data",),
    "train": ("model",),
    "compress": ("data", "model"),
    **dict.fromkeys(("evaluate", "explain", "package"), ("record",)),
}
"""The parts of a use case that each stage uses beside its name, words, parameters and tables."""


def run_file_stage(stage: str, use_case_name: str) -> None:
    """Run one file-to-file stage in the current folder, which is a run's workspace.

    Raises:
        ConfigInvalid: There is no such stage, or the folder is no workspace.
    """
    if stage not in FILE_STAGES:
        raise ConfigInvalid(f"one of the stages {', '.join(FILE_STAGES)}", repr(stage), "Correct the name.")
    root = Path.cwd()
    use_case = load_parts(use_case_name, PARTS[stage])
    if not (root / "params.yaml").exists():
        raise ConfigInvalid(f"a run's workspace in {root}", "no params.yaml", "Change to one: DVC calls this there.")
    section = yaml.safe_load((root / "params.yaml").read_text())[use_case_name]
    context = StageContext(
        use_case=use_case,
        params=typed_params(use_case, section),
        inputs=read_json(root / "inputs.json"),
        settings=load_settings(),
        root=root,
    )
    for folder in (context.data(stage), context.reports(stage)):
        folder.mkdir(parents=True, exist_ok=True)
    import_module(f"ml.pipeline.{stage}").run(context)
