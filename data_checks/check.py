"""One rule about one table, and what it found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from data_checks.message import Message
from ml.contract import JsonObject, Severity

Basis: TypeAlias = Literal["contract", "constant", "parameter", "learned"]
"""Where a threshold comes from: the tables' declaration, the rule's author, `params.yaml`, or accepted runs."""

Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
"""Which rows of a partition fail."""

EXAMPLES = 5  # failing rows shown of a rule
WORD = re.compile(r"\w+")


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
    reason: str | Message
    """What is wrong with a failing row or table, in words that the owner uses."""
    since: date
    """The day from which the rule counts."""
    basis: Basis = "constant"
    expectation: Any = None
    """A Great Expectations expectation, judged partition by partition."""
    rows: Callable[[pd.DataFrame], Mask] | None = None
    """Instead of it: failing rows of a partition, for rules that look beyond the partition. Columns that are encrypted where
    they are stored hold opaque words here and below, equal where the values are, but for those in `opens`."""
    opens: tuple[str, ...] = ()
    """Encrypted columns whose values the rule must see, be it `rows` or an expectation; no other is opened for it."""
    whole: Callable[[Path], Callable[[pd.DataFrame], Mask]] | None = None
    """Instead of both: looks at all rows (a folder with a folder of files a table) and returns `rows`."""

    @property
    def columns(self) -> set[str]:
        """The columns that its expectation is about, as far as it names any, and the words of its row condition."""
        told = self.expectation.dict() if self.expectation is not None else {}
        lists = (told.get(field) or () for field in ("column_list", "column_set"))
        single = (told.get(field) for field in ("column", "column_A", "column_B"))
        condition = WORD.findall(str(told.get("row_condition") or ""))
        return {name for name in (*single, *(name for names in lists for name in names), *condition) if name}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found in a table so far."""

    check: Check
    evaluated: int = 0
    failing: int = 0
    released: int = 0
    """Rows that differ and pass because a data owner released these very rows; they do not count as failing."""
    partitions: tuple[str, ...] = ()
    """Partitions in which it failed."""
    fault: str | None = None
    """Why it could not be judged; that counts as failed."""
    examples: tuple[JsonObject, ...] = ()
    """A few failing rows with all masked that may name somebody."""

    @property
    def passed(self) -> bool:
        """Nothing failed, and it could be judged."""
        return not self.partitions and self.fault is None

    def add(self, partition: str, judged: Judged, examples: Sequence[JsonObject] = ()) -> Finding:
        """Return the finding with one more partition."""
        return replace(
            self,
            evaluated=self.evaluated + judged.evaluated,
            failing=self.failing + int(judged.failing.sum()),
            released=self.released + judged.released,
            partitions=self.partitions if judged.passed else (*self.partitions, partition),
            fault=self.fault or judged.fault,
            examples=(*self.examples, *examples)[:EXAMPLES],
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What one check found in one partition."""

    passed: bool
    evaluated: int
    failing: Mask
    fault: str | None = None
    released: int = 0
    """Rows that differ and were released one by one."""
