"""What tables are held against, and what a rule about a whole table saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from data_checks.check import Basis
from data_checks.message import Message
from data_checks.profile import History
from data_checks.shift import Shift
from ml.contract import Severity
from ml.parameter import ChecksParams


@dataclass(frozen=True, kw_only=True)
class Standard:
    """What the tables are held against."""

    params: ChecksParams
    as_of: date
    history: History = field(default_factory=History)
    waived: Mapping[str, str] = field(default_factory=dict)
    """Rules that a data owner waived for this run, with the reason given."""
    shifts: Mapping[tuple[str, str], Shift] = field(default_factory=dict)
    """By table and column, how it moved."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a standing rule saw."""

    what: str
    """Part of the rule's name after the table."""
    observed: float | str | None
    limit: float | str | None
    passed: bool
    message: Message
    basis: Basis = "constant"
    weight: float = 0.0
    """How bad it is among findings of the same severity."""
    severity: Severity | None = None
    """Where it differs from the rule's."""
