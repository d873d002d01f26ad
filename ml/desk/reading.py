"""What one gate report says of one contender, over all test rows and in parts of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ml.contract import JsonObject


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A contender of a gate report."""

    metrics: JsonObject
    """The report's `metrics.json`."""
    kind: str
    name: str

    @property
    def key(self) -> str:
        """Return its name in the report's parts."""
        return f"{self.kind}:{self.name}"

    @property
    def figures(self) -> JsonObject:
        """Return its figure of each metric over all test rows."""
        same = (one for one in self.metrics["contenders"] if (one["kind"], one["name"]) == (self.kind, self.name))
        return next((dict(one["figures"]) for one in same), {})

    def gains(self, other: Reading) -> dict[str, JsonObject]:
        """Return how much better it is than another contender of the same report, by metric: `gain` and `relative`."""
        found = (one for one in self.metrics.get("differences", ()) if self._is_between(one, other))
        return {one["metric"]: one for one in found if other.kind == one["kind"]}

    def part_gain(self, part: JsonObject, other: Reading) -> JsonObject | None:
        """Return how much better it is in a part in the primary metric; none where the report does not say."""
        return next((one["gain"] for one in part.get("gains", ()) if self._is_between(one, other)), None)

    def _is_between(self, one: JsonObject, other: Reading) -> bool:
        return other.metrics is self.metrics and (one["of"], one["against"]) == (self.name, other.name)

    def parts(self) -> Iterator[tuple[JsonObject, JsonObject | None]]:
        """Yield each part of the test rows with its primary figure there; a part that is the whole says nothing."""
        for part in self.metrics.get("slices", ()):
            if part["rows"] < self.metrics["test"]["rows"]:
                yield part, part["figures"].get(self.key, {}).get(self.metrics["primary"])
