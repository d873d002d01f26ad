"""What a data owner sees before deciding about a run's data: the rules that failed, what was decided, what is in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ml.config import Settings
from ml.contract import JsonObject, Rule
from ml.desk.data_report import REPORT, URGENCY
from ml.desk.document import checked, read_report
from ml.desk.waiting import REVIEW, Waiting, waiting
from ml.errors import ModelNotFound
from ml.pipeline.decision import Judged, Kind, asking, in_force, shown
from ml.registry.entry import Entry
from ml.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class DecidePage:
    """The data of one run, and what can be decided about them."""

    use_case: str
    run: str
    judged: Judged
    failed: tuple[Rule, ...]
    """Those that refuse first."""
    messages: dict[str, JsonObject]
    """By rule: its sentence in translatable words, where the data report has it."""
    asked: frozenset[str]
    """Names of the rules that hold the run until somebody decides."""
    step: Waiting | None
    """The step that waits for a data owner, if one does."""
    decided: tuple[Entry, ...]
    """What was decided about this run, newest first."""
    standing: list[JsonObject]
    """Waivers and releases in force, with `days_left`."""

    @property
    def matter(self) -> str:
        """What a form is made for: this verdict, and whether a step waits."""
        return f"decide {self.use_case} {self.run} {self.judged.digest} {self.step is not None}"

    def offers(self, rule: Rule) -> tuple[Kind, ...]:
        """Return what can be decided about one rule: nothing where it only tells."""
        waive: tuple[Kind, ...] = ("waive",) if rule.severity == "block" or rule.name in self.asked else ()
        if rule.severity != "quarantine":
            return waive
        return (*waive, "release_rows", "release") if rule.name in self.judged.aside else (*waive, "release")


def decide_page(settings: Settings, use_case: str, run: str) -> DecidePage:
    """Return what is known about the data of one run.

    Raises:
        ModelNotFound: The run has no verdict about its data.
    """
    checked((use_case, run))
    found, entries = shown(settings, use_case, run), Ledger.open(settings, use_case).entries
    steps = [one for one in waiting([use_case]) if one.storage_id == run and one.task == REVIEW]
    return DecidePage(
        use_case=use_case,
        run=run,
        judged=found,
        failed=tuple(sorted(found.failed(), key=lambda rule: URGENCY.index(rule.severity))),
        messages=_messages(settings, use_case, run),
        asked=frozenset(rule.name for rule in asking(settings, use_case, run)) if steps else frozenset(),
        step=steps[0] if steps else None,
        decided=tuple(entry for entry in reversed(entries) if entry.action == "decide" and entry.run_id == run),
        standing=standing(entries, datetime.now(UTC).date()),
    )


def _messages(settings: Settings, use_case: str, run: str) -> dict[str, JsonObject]:
    try:
        found = read_report(settings, use_case, run, REPORT)
    except ModelNotFound:
        return {}
    return {rule["name"]: rule["message"] for rule in found["rules"]}


def standing(entries: Iterable[Entry], today: date) -> list[JsonObject]:
    """Return the waivers and releases in force, with the days that are left [days]: 0 on the last, none where it has no end."""
    return [{**one, "days_left": _days_left(one["until"], today)} for one in in_force(entries, today)]


def _days_left(until: str | None, today: date) -> int | None:
    return None if until is None else (date.fromisoformat(until) - today).days


def is_undecided(settings: Settings, use_case: str, run: str, entries: Iterable[Entry]) -> bool:
    """Tell whether a run's data were refused and nobody has said a word about it."""
    try:
        is_accepted = shown(settings, use_case, run).verdict.accepted
    except ModelNotFound:
        return False
    return not is_accepted and not any(entry.run_id == run for entry in entries if entry.decision)
