"""What every stage receives: the use case, its parameters, the run's frozen inputs and its folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.parameter import UseCaseParams, parse
from ml.pipeline.place import profile_path, rows_path


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """Handed to a stage's `run`; paths are inside the run's workspace."""

    use_case: UseCase
    params: UseCaseParams
    inputs: JsonObject
    """The run's frozen `inputs.json`: a stage reads the fields it declares in `dvc.yaml`, no others."""
    settings: Settings
    root: Path

    def data(self, stage: str) -> Path:
        """Return the folder with a stage's hashed output."""
        return self.root / "data" / self.use_case.name / stage

    def reports(self, stage: str) -> Path:
        """Return the folder with what people read of a stage; no stage reads it."""
        return self.root / "reports" / self.use_case.name / stage

    def profile(self, digest: str) -> Path:
        """Return the file of an accepted data profile that the run's inputs name."""
        return self.root / profile_path(digest)

    def released(self, digest: str) -> Path:
        """Return the file with the marks of released rows that the run's inputs name."""
        return self.root / rows_path(digest)


def typed_params(use_case: UseCase, section: Mapping[str, Any]) -> UseCaseParams:
    """Return the typed parameters of a use case; the source's section is checked by the source itself."""
    own = {name: value for name, value in section.items() if name != "source"}
    return parse(use_case.params, own, use_case.name)
