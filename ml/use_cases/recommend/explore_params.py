"""What can be set of exploration: how much of a list may be drawn, and the policy that was learned from earlier draws."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from ml.parameter import Section

FEATURES = (
    "challenger",
    "score",
    "bought",
    "log_count",
    "log_days",
    "log_popularity",
    "repeat_share",
    "log_history",
    "place",
)
"""Of a candidate. `score` is relative to the base list's own product; `log_history` and `place` are alike for all candidates
of a place: with them the chance of a purchase is described, the preference is not changed."""


class LearnedPolicy(Section):
    """What `tradewind bandit recommend` learned and accepted; it prints this section."""

    weights: dict[str, float]
    """Of each feature of a candidate, by name [log-odds]."""
    gain_low: float
    """Lower end of what it gains over the base list [rewards a drawn place]; not above 0, the base list is shown."""
    as_of: datetime
    """Newest moment of the answers it was learned from, on the data's clock."""


class RecommendExplore(Section):
    """How recommendations explore."""

    share: float = Field(0.0, ge=0, le=0.5)
    """Largest share of a list whose places may be drawn, the last ones [0..0.5]; 0 shows the base list, always."""
    chance: float = Field(0.1, gt=0, le=1)
    """Share of draws that fall on any candidate of a place alike [0..1]; the others show the preferred one."""
    challengers: int = Field(2, ge=1, le=5)
    """Candidates of a place besides the base list's own: the products that would come next."""
    max_age_days: int = Field(60, ge=1, le=365)
    """A learned policy older than this at the moment of a request is not used [days]."""
    policy: LearnedPolicy | None = None
    """The learned policy; none explores around the base list."""
