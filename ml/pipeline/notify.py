"""Tells people that something was refused, moved, or waits: three facts, a link, what to do; the same thing once in a while.

Acts on the world: reads verdicts, reports and the ledger; marks in the `reports` bucket what was told when.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

from ml.config import Settings
from ml.contract import JsonObject, Verdict
from ml.errors import ModelNotFound, PromotionConflict, TradewindError
from ml.files import canonical, parse_verdict, sha256
from ml.pipeline.message import Message, send, ways
from ml.registry.entry import MOVES
from ml.registry.ledger import Ledger
from ml.store import Bucket

CHANNEL = "production"
SHORT = 19  # characters of a digest that tell versions apart

Build: TypeAlias = Callable[[Settings, str, JsonObject], Message | None]

log = logging.getLogger(__name__)


def run(settings: Settings, use_case: str, event: str, request: JsonObject, now: datetime) -> bool:
    """Tell people of an event, unless they were told the same within `notify_hours`.

    Args:
        settings: A role that reads ledger and reports, and writes reports.
        use_case: Its name; of the event `maintain`, the folder of its reports.
        event: One of `EVENTS`.
        request: `run_id` and `as_of` of the run it happened in.
        now: UTC.

    Returns:
        Whether a message went out.

    Raises:
        ServiceUnavailable: It could not; the next time it is tried again.
    """
    message = EVENTS[event](settings, use_case, request) if ways(settings) else None
    if message is None:
        return False
    told = sha256(canonical([event, use_case, message.happened, message.matter or message.why]))
    reports, key = Bucket.open(settings, "reports"), f"{use_case}/notified/{told.removeprefix('sha256:')}.json"
    if not _claimed(reports, key, now, timedelta(hours=settings.notify_hours)):
        log.info("told already event=%s use_case=%s", event, use_case)
        return False
    try:
        send(settings, message)
    except TradewindError:
        reports.delete(key)
        raise
    return True


def _claimed(reports: Bucket, key: str, now: datetime, pause: timedelta) -> bool:
    """Mark a message as told; false where it was within the pause, by this process or another."""
    mark = canonical({"at": now.isoformat(), "id": uuid.uuid4().hex})  # equal bytes would count as written by us
    try:
        reports.create(key, mark)
    except PromotionConflict:
        before = datetime.fromisoformat(json.loads(reports.get(key))["at"])
        if now - before < pause:
            return False
        reports.put(key, mark, "application/json")
    return True


def _blocked(settings: Settings, use_case: str, request: JsonObject) -> Message | None:
    verdict = _verdict(settings, use_case, request, "validate")
    if verdict is None or verdict.accepted:
        return None
    return Message(
        title=f"{use_case}: data refused",
        happened=f"The data of {use_case} were refused; nothing is learned from them.",
        why=_reasons(verdict),
        live=_live(settings, use_case),
        link=_link(settings, f"decide/{use_case}/{request['run_id']}"),
        action="mend the data at their source, or waive the rule on that page.",
    )


def _data_ask(settings: Settings, use_case: str, request: JsonObject) -> Message | None:
    verdict = _verdict(settings, use_case, request, "validate")
    failed = [rule.sentence for rule in verdict.rules if not rule.passed] if verdict else []
    return Message(
        title=f"{use_case}: data wait for you",
        happened=f"A retraining of {use_case} waits for a data owner.",
        why=" ".join(failed),
        live=_live(settings, use_case),
        link=_link(settings, f"decide/{use_case}/{request['run_id']}"),
        action=f"accept, waive, release or reject on that page; silence for {settings.answer_hours:g} h rejects.",
    )


def _version_asks(settings: Settings, use_case: str, request: JsonObject) -> Message | None:
    verdict = _verdict(settings, use_case, request, "evaluate")
    return Message(
        title=f"{use_case}: a version waits for you",
        happened=f"A new version of {use_case} waits for approval.",
        why=verdict.summary if verdict else "The gate's report could not be read.",
        live=_live(settings, use_case),
        link=_link(settings, f"gate/{use_case}/{request['run_id']}"),
        action=f"approve or reject at Airflow's step `approve`; silence for {settings.answer_hours:g} h rejects.",
    )


def _refused(settings: Settings, use_case: str, request: JsonObject) -> Message | None:
    verdict = _verdict(settings, use_case, request, "evaluate")
    if verdict is None or verdict.accepted:
        return None
    return Message(
        title=f"{use_case}: candidate refused",
        happened=f"The gate refused the new version of {use_case}.",
        why=_reasons(verdict),
        live=_live(settings, use_case),
        link=_link(settings, f"gate/{use_case}/{request['run_id']}"),
        action="read the gate report; the next retraining tries again.",
    )


def _moved(settings: Settings, use_case: str, _: JsonObject) -> Message | None:
    moves = [entry for entry in Ledger.open(settings, use_case).entries if entry.action in MOVES]
    if not moves:
        return None
    entry, verb = moves[-1], {"promote": "promoted", "rollback": "rolled back"}[moves[-1].action]
    before = (entry.from_digest or "nothing")[:SHORT]
    return Message(
        title=f"{use_case}: {verb} on {entry.channel}",
        happened=f"{entry.who} {verb} {use_case} on {entry.channel} from {before} to {str(entry.to_digest)[:SHORT]}.",
        why=f"{entry.why} (ledger entry {entry.seq})",
        live=_live(settings, use_case),
        link=_link(settings, f"use-case/{use_case}"),
        action=f"nothing, if this is what you want; else {_link(settings, f'move/{use_case}')} takes it back.",
    )


def _drifted(settings: Settings, use_case: str, request: JsonObject) -> Message | None:
    place = f"{use_case}/monitor/{request['as_of']}/report"
    found = Bucket.open(settings, "reports").find(f"{place}.json")
    finding = json.loads(found)["finding"] if found else {"decision": "wait"}
    if finding["decision"] == "wait":
        return None
    is_drift = finding["decision"] == "retrain"
    return Message(
        title=f"{use_case}: {'drift' if is_drift else finding['decision']}",
        happened=f"Monitoring of {use_case} says: {finding['decision']}.",
        why=" ".join(finding["sentences"]),
        live=_live(settings, use_case),
        link=_link(settings, f"report/{place}.html"),
        action="a retraining has started; watch its gate." if is_drift else "mend what sends the requests.",
        matter=_live(settings, use_case),
    )


def _maintained(settings: Settings, place: str, request: JsonObject) -> Message | None:
    found = Bucket.open(settings, "reports").find(f"{place}/{request['as_of']}/report.json")
    told = json.loads(found) if found else {"faults": [], "warnings": []}
    if not told["faults"] and not told["warnings"]:
        return None
    failed = len(told["faults"])
    return Message(
        title=f"maintenance: {'failed' if failed else 'warnings'}",
        happened=f"Maintenance of {request['as_of']}: {failed} faults, {len(told['warnings'])} warnings.",
        why=" ".join((*told["faults"], *told["warnings"])),
        live="What is live did not change.",
        link=_link(settings, f"maintenance/{request['as_of']}"),
        action="follow the remedies in the report.",
    )


EVENTS: dict[str, Build] = {
    "block": _blocked,
    "data_ask": _data_ask,
    "refuse": _refused,
    "version_asks": _version_asks,
    "move": _moved,
    "drift": _drifted,
    "maintain": _maintained,
}
"""What people are told of, by name."""


def _verdict(settings: Settings, use_case: str, request: JsonObject, stage: str) -> Verdict | None:
    try:
        data = Bucket.open(settings, "reports").get(f"{use_case}/{request['run_id']}/{stage}/verdict.json")
    except ModelNotFound:
        return None
    return parse_verdict(json.loads(data))


def _reasons(verdict: Verdict) -> str:
    return " ".join(rule.sentence for rule in verdict.blocking()) or verdict.summary


def _live(settings: Settings, use_case: str) -> str:
    now = Ledger.open(settings, use_case).live(CHANNEL)
    return f"Live is {now.digest[:SHORT]} since {now.since[:16]} UTC." if now else "Nothing is live yet."


def _link(settings: Settings, page: str) -> str:
    return f"{settings.airflow_url.rstrip('/')}/tradewind/{page}"
