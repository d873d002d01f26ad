"""One rule about one table, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ml.contract import JsonObject, Severity

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
"""Which rows of a partition fail."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule: who cares, how much, and why."""

    name: str
    """`<table>.<what holds>`."""
    table: str
    severity: Severity
    """`block` refuses the run, `quarantine` sets the failing rows aside, `warn` only tells."""
    owner: str
    """Who can mend the data."""
    reason: str
    """What is wrong with a failing row or table, in words that the owner uses."""
    expectation: Any = None
    """A Great Expectations expectation, judged partition by partition."""
    rows: Callable[[pd.DataFrame], Mask] | None = None
    """Instead of it: failing rows of a partition, for rules that look beyond the partition."""
    whole: Callable[[Path], Callable[[pd.DataFrame], Mask]] | None = None
    """Instead of both: looks at all rows (a folder with a folder of files a table) and returns `rows`."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found in a table so far."""

    check: Check
    evaluated: int = 0
    failing: int = 0
    partitions: tuple[str, ...] = ()
    """Partitions in which it failed."""
    fault: str | None = None
    """Why it could not be judged; that counts as failed."""

    @property
    def passed(self) -> bool:
        """Nothing failed, and it could be judged."""
        return not self.partitions and self.fault is None

    def record(self) -> JsonObject:
        """Return what a report shows: counts and words, no value of any row."""
        own = {"evaluated": self.evaluated, "failing": self.failing, "partitions": list(self.partitions)}
        described = {name: getattr(self.check, name) for name in ("name", "severity", "owner", "reason")}
        return {**described, **own, "passed": self.passed, "fault": self.fault}

    def add(self, partition: str, judged: Judged) -> Finding:
        """Return the finding with one more partition."""
        return replace(
            self,
            evaluated=self.evaluated + judged.evaluated,
            failing=self.failing + int(judged.failing.sum()),
            partitions=self.partitions if judged.passed else (*self.partitions, partition),
            fault=self.fault or judged.fault,
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one check found in one partition."""

    passed: bool
    evaluated: int
    failing: Mask
    fault: str | None = None
