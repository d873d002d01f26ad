"""What a comparison is: data under a fixed protocol, peers that are measured in the same run, and bars to reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Figures: TypeAlias = "dict[str, float]"
Peer: TypeAlias = "Callable[[Any, int], Figures]"
"""(what `load` returned, seed) -> figures on the test rows; trains and tunes on what the protocol lets it see."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What one figure has to reach."""

    figure: str
    limit: float
    side: Literal["at least", "at most"]
    is_relative: bool = False
    """The limit is a multiple of the best baseline's figure."""

    def is_reached(self, value: float, best: float = 1.0) -> bool:
        """Tell whether a value reaches it; `best` is the best baseline's, where the limit is relative."""
        limit = self.limit * best if self.is_relative else self.limit
        return value >= limit if self.side == "at least" else value <= limit


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One table: peers on the same rows."""

    name: str
    """Short, without spaces: its results are kept under it."""
    title: str
    protocol: str
    """How training, validation and test rows are told apart, and where the protocol comes from."""
    peers: Mapping[str, Peer]
    ours: str
    """Name of the peer that ships."""
    data: str | None = None
    """File below the data folder, unless a path is given instead; none where peers make up their own."""
    load: Callable[[Path], Any] | None = None
    """(the file) -> what the peers receive, which is none without it; raises `SourceInvalid` where columns are missing."""
    use_case: str = ""
    """Whose code it runs: where that changes, it is measured again."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Every peer is measured once a seed; the table shows the mean and its 95 % interval over seeds."""
    fixed: frozenset[str] = field(default_factory=frozenset)
    """Peers in which nothing is drawn: measured once."""
    baselines: frozenset[str] = field(default_factory=frozenset)
    """Peers of which the best is what relative bars are held against."""
    bars: tuple[Bar, ...] = ()
    """What `ours` has to reach."""
    picture: Callable[[Any], str] | None = None
    """(what `load` returned) -> an SVG that stands with the table in the document."""
