"""What a data owner decides about a run's data: accept, reject, waive a rule, release rows; kept in the ledger, counted from there.

A decision names the digest of the verdict that the person saw, so it cannot be carried over to other data, and the request
that brought it, so it is carried out once. Waivers and releases of a rule count for every run that freezes its inputs before
they end; a release of rows counts for these very rows, until somebody ends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fnmatch import fnmatch
from typing import Literal, TypeAlias, get_args

from ml.config import Settings
from ml.contract import JsonObject, Rule, Verdict
from ml.errors import ConfigInvalid, DataRejected, GateFailed, IntegrityBroken, ModelNotFound, PromotionConflict
from ml.files import parse_verdict, sha256
from ml.packaging.signing import Signer
from ml.pipeline import frozen, handover, released
from ml.pipeline.approval import NOBODY
from ml.registry.entry import Entry, Move
from ml.registry.ledger import Ledger
from ml.store import Bucket

Kind: TypeAlias = Literal["accept", "reject", "waive", "release", "release_rows", "end"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DATED: tuple[Kind, ...] = ("waive", "release")
"""What counts for later runs too, until a day."""
STANDING: tuple[Kind, ...] = (*DATED, "release_rows")
"""What counts for later runs too; `end` ends it."""
RELEASES: tuple[Kind, ...] = ("release", "release_rows")
"""What a new run has to follow."""
WORDS: tuple[Kind, ...] = ("accept", "reject")
"""What is said of a run's data as a whole; the newest counts."""
ANSWERS: dict[Kind, str] = {
    "accept": "Accept",
    "waive": "Accept and waive the rule",
    "release_rows": "Release these rows",
    "release": "Release the rule's rows until the day",
    "reject": "Reject",
}
"""What a decision is called at the step of a run that waits."""
CHANNEL = "data"
LONGEST_DAYS = 90
REASON_LENGTH = 8  # characters; fewer tell a later reader nothing
AGAIN = "Nothing goes live; start a new run when the data are right."


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one person decided about the data of one run."""

    kind: Kind
    run_id: str
    """The run whose report was read, as it stands in keys."""
    verdict: str
    """Digest of that run's `verdict.json`."""
    request: str
    """Names this decision, once."""
    who: str
    why: str
    rule: str | None = None
    until: date | None = None
    """Last day on which a waiver or release counts."""
    rows: str = ""
    """Which of the rows that the rule set aside are released, by number: `1, 3-5`; empty means all of them."""


@dataclass(frozen=True, kw_only=True)
class Aside:
    """The rows that one rule set aside."""

    rows: int
    digest: str
    """Of their marks."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What `validate` said of a run's data."""

    digest: str
    """Of the bytes of `verdict.json`."""
    verdict: Verdict
    aside: Mapping[str, Aside] = field(default_factory=dict)
    """By rule; without those that set more rows aside than anybody looks at."""

    def failed(self) -> tuple[Rule, ...]:
        """Return the rules that do not hold."""
        return tuple(rule for rule in self.verdict.rules if not rule.passed)


def judged(settings: Settings, use_case: str, run_id: str) -> Judged:
    """Return a run's verdict about its data, as `validate` signed it: others may write the bucket it is read from.

    Raises:
        ModelNotFound: The run has none.
        IntegrityBroken: It is another than `validate` handed over.
    """
    made = handover.find(settings, use_case, run_id, "validate")
    seen = shown(settings, use_case, run_id)
    if made is None or made.judged != seen.digest:
        signed = made.judged if made else "none that `validate` signed"
        raise IntegrityBroken(f"the verdict {signed} about the data of {run_id}", seen.digest, "Start a new run.")
    return seen


def shown(settings: Settings, use_case: str, run_id: str) -> Judged:
    """Return what stands where a run's verdict about its data is read, whoever wrote it: to be looked at, not to act upon.

    Raises:
        ModelNotFound: There is none.
    """
    data = Bucket.open(settings, "reports").find(f"{use_case}/{run_id}/validate/verdict.json")
    if data is None:
        wanted = f"a verdict about the data of {use_case}'s run {run_id}"
        raise ModelNotFound(wanted, "none", "Correct the run, or wait: its data are not validated yet.")
    told = json.loads(data)
    aside = {rule: Aside(**one) for rule, one in told["details"].get("aside", {}).items()}
    return Judged(digest=sha256(data), verdict=parse_verdict(told), aside=aside)


def decide(settings: Settings, use_case: str, decision: Decision, today: date) -> Entry:
    """Keep a decision in the ledger; one whose request stands there already is returned, not repeated.

    Args:
        settings: Those of role `promote`, with the signing key.
        use_case: Its name.
        decision: What was decided.
        today: UTC; a waiver ends on it or later.

    Raises:
        GateFailed: Nobody of that name decides about data.
        ConfigInvalid: A reason, rule or day is missing or none that counts.
        IntegrityBroken: The run's verdict is another one than the person saw.
        PromotionConflict: The request was carried out before, with another decision.
    """
    _ensure_may_decide(settings, decision)
    seen = judged(settings, use_case, decision.run_id)
    if seen.digest != decision.verdict:
        raise IntegrityBroken(
            f"a decision about verdict {seen.digest}", f"one about {decision.verdict}", "Open the report again."
        )
    _ensure_whole(decision, seen, today)
    told = {**_told(decision), **_rows(settings, use_case, decision, seen)}
    view, signer = Ledger.open(settings, use_case), Signer.open(settings)
    _ensure_ends_something(view, decision, today)
    entry = view.answered(decision.request) or view.note(signer, _move(decision, told))
    if (entry.decision, entry.who, entry.run_id) != (told, decision.who, decision.run_id):
        raise PromotionConflict("a request that is new", f"one that is entry {entry.seq}", "Open the report again.")
    view.project(signer)
    return entry


def in_force(entries: Iterable[Entry], today: date) -> list[JsonObject]:
    """Return the waivers and releases that count on a day, in the order of the ledger; of each rule the newest word counts.

    Rows of a rule that were released at several times count all.
    """
    newest: dict[tuple[str, str, str], Entry] = {}
    for entry in entries:
        told = entry.decision or {}
        if told.get("kind") in STANDING:
            newest.pop(_about(told), None)
            newest[_about(told)] = entry
        elif told.get("kind") == "end":
            newest = {about: one for about, one in newest.items() if about[1] != told["rule"]}
    return [_frozen(entry) for entry in newest.values() if _counts(entry, today)]


def asking(settings: Settings, use_case: str, run_id: str) -> tuple[Rule, ...]:
    """Return the rules of a run that hold it until a data owner accepts: those failing ones that `checks.approve` names.

    A rule that is waived asks nobody; one that refuses has ended the run already.
    """
    params = frozen.section(settings, use_case, run_id)
    patterns = (params.get("checks") or {}).get("approve", ())
    decisions = frozen.inputs(settings, use_case, run_id)["decisions"]
    waived = {item["rule"] for item in decisions if item["kind"] == "waive"}
    if not patterns:
        return ()
    failed = judged(settings, use_case, run_id).failed()
    return tuple(
        rule for rule in failed if rule.name not in waived and any(fnmatch(rule.name, one) for one in patterns)
    )


def pending(settings: Settings, use_case: str, run_id: str) -> JsonObject:
    """Return what the step that asks a data owner needs to know of a run.

    Returns:
        `rules` that hold the run, by `name` and `sentence`; where there are any, `verdict`, the digest that an answer names,
        and `answer`, a person's word that settled it already (`who`, `kind`, `entry`, `why`), none so far.
    """
    rules = asking(settings, use_case, run_id)
    if not rules:
        return {"verdict": None, "rules": [], "answer": None}
    word = settled(settings, use_case, run_id)
    told = word and {"who": word.who, "kind": (word.decision or {})["kind"], "entry": word.seq, "why": word.why}
    return {
        "verdict": judged(settings, use_case, run_id).digest,
        "rules": [{"name": rule.name, "sentence": rule.sentence} for rule in rules],
        "answer": told,
    }


def ensure_fit(settings: Settings, use_case: str, run_id: str) -> None:
    """Refuse what was learned from data that a person rejected, or was asked about and did not accept.

    Raises:
        DataRejected: So it is.
    """
    about = verdicts(Ledger.open(settings, use_case).entries, run_id)
    newest = (about[-1].decision or {}) if about else {}
    if newest.get("kind") == "reject":
        raise DataRejected("data that nobody rejected", f"data that {about[-1].who} rejected: {about[-1].why}", AGAIN)
    if not (asked := asking(settings, use_case, run_id)):
        return
    if newest.get("verdict") != judged(settings, use_case, run_id).digest:
        names = ", ".join(rule.name for rule in asked)
        raise DataRejected(f"a data owner's word on {names}", "none", AGAIN)


def settled(settings: Settings, use_case: str, run_id: str) -> Entry | None:
    """Return a person's newest word that ends a run's waiting: accepted, rejected, rows released for another; none so far."""
    seen = judged(settings, use_case, run_id).digest
    about = [one for one in Ledger.open(settings, use_case).entries if one.run_id == run_id and one.who != NOBODY]
    ends = [one for one in about if (one.decision or {}).get("kind") in (*WORDS, *RELEASES)]
    return ends[-1] if ends and (ends[-1].decision or {}).get("verdict") == seen else None


def verdicts(entries: Iterable[Entry], run_id: str) -> list[Entry]:
    """Return the entries that accept or reject a run's data, oldest first."""
    return [one for one in entries if one.run_id == run_id and (one.decision or {}).get("kind") in WORDS]


def rejected(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the runs whose data a person rejected: no threshold is learned from them."""
    newest = {one.run_id: kind for one in entries if (kind := (one.decision or {}).get("kind")) in WORDS}
    return frozenset(run for run, kind in newest.items() if kind == "reject" and run is not None)


def _ensure_may_decide(settings: Settings, decision: Decision) -> None:
    owners, silence = settings.data_owner_names(), (decision.kind, decision.who) == ("reject", NOBODY)
    if owners and decision.who not in owners and not silence:
        expected = f"a decision by one of {', '.join(sorted(owners))}"
        raise GateFailed(expected, f"one by {decision.who}", "Ask a data owner.")


def _ensure_whole(decision: Decision, seen: Judged, today: date) -> None:
    if len(decision.why.strip()) < REASON_LENGTH:
        raise _faulty(f"a reason of {REASON_LENGTH} characters or more", repr(decision.why))
    if decision.kind == "release_rows" and decision.rule not in seen.aside:
        raise _faulty(
            f"a rule that set rows aside in this run: {', '.join(seen.aside) or 'none did'}", str(decision.rule)
        )
    if decision.kind not in DATED:
        return
    names = [rule.name for rule in seen.failed()]
    if decision.rule not in names:
        raise _faulty(f"a rule that failed in this run: {', '.join(names) or 'none did'}", str(decision.rule))
    last = today + timedelta(days=LONGEST_DAYS)
    if decision.until is None or not today <= decision.until <= last:
        raise _faulty(f"a last day from {today} to {last}", str(decision.until))


def _ensure_ends_something(view: Ledger, decision: Decision, today: date) -> None:
    known = {one["rule"] for one in in_force(view.entries, today)}
    if decision.kind == "end" and decision.rule not in known and view.answered(decision.request) is None:
        raise _faulty(f"a rule with a waiver or release in force: {', '.join(known) or 'none has'}", str(decision.rule))


def _faulty(expected: str, received: str) -> ConfigInvalid:
    return ConfigInvalid(expected, received, "Correct the decision; nothing was kept.")


def _rows(settings: Settings, use_case: str, decision: Decision, seen: Judged) -> dict[str, str | int | None]:
    """Keep the marks of the rows that a decision releases, and return how many they are and their digest."""
    if decision.kind != "release_rows" or decision.rule is None:
        return {}
    digest, reports = seen.aside[decision.rule].digest, Bucket.open(settings, "reports")
    known = released.set_aside(reports, use_case, decision.run_id, decision.rule, digest)
    marks = released.chosen(known, decision.rows)
    return {"rows": released.keep(Bucket.open(settings, "runs"), use_case, marks), "count": len(marks)}


def _move(decision: Decision, told: Mapping[str, str | int | None]) -> Move:
    return Move(
        channel=CHANNEL,
        action="decide",
        digest=None,
        who=decision.who,
        why=decision.why,
        run_id=decision.run_id,
        decision=told,
        request=decision.request,
    )


def _told(decision: Decision) -> dict[str, str | int | None]:
    until = decision.until.isoformat() if decision.until else None
    return {"kind": decision.kind, "verdict": decision.verdict, "rule": decision.rule, "until": until}


def _about(told: Mapping[str, str | int | None]) -> tuple[str, str, str]:
    return str(told["kind"]), str(told["rule"]), str(told.get("rows"))


def _counts(entry: Entry, today: date) -> bool:
    until = (entry.decision or {})["until"]
    return until is None or date.fromisoformat(str(until)) >= today


def _frozen(entry: Entry) -> JsonObject:
    told = entry.decision or {}
    return {
        "stage": "validate",
        "kind": told["kind"],
        "rule": told["rule"],
        "reason": entry.why,
        "by": entry.who,
        "until": told["until"],
        "entry": entry.seq,
        **{name: told[name] for name in ("rows", "count") if name in told},
    }
