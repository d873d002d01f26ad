"""From one answer back to everything behind it: version, gate report, data version, validation report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from ml.config import Settings
from ml.contract import JsonObject
from ml.errors import IntegrityBroken, ModelNotFound
from ml.files import parse_object
from ml.packaging.signing import Verifier
from ml.registry.entry import Entry, opened
from ml.registry.erasure import of_version
from ml.registry.fetch import fetch_record
from ml.registry.ledger import Ledger, entry_key
from ml.serving.request_id import moment, replica
from ml.serving.request_log import file_time
from ml.store import Bucket

LOOK_BACK = timedelta(
    minutes=5
)  # a file is open for seconds, longer only while the store is slow to take the one before
LOOK_AHEAD = timedelta(minutes=2)  # from a request's arrival until its line; an answer takes milliseconds


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What is behind one answer."""

    request_id: str
    use_case: str
    time: str
    """When it was answered, UTC."""
    version: str
    entry: Entry
    """The ledger entry by which the version answered."""
    gate: JsonObject
    """Digest, summary and rules of the gate report."""
    data: JsonObject
    """Run, as-of date, source digest, and the DVC hash of each output."""
    validation: JsonObject | None
    """Verdict of the data checks of that run, and where its report is; none where it was not kept."""
    erased: tuple[str, ...]
    """When customers whom the version was trained on were erased since, UTC."""
    line: JsonObject
    """The logged answer itself; it knows pseudonyms only."""

    def to_json(self) -> JsonObject:
        """Return it as one JSON object."""
        return asdict(self)


def trace(settings: Settings, use_cases: Iterable[str], request_id: str) -> Trace:
    """Find the line of a request and follow it to its evidence.

    Args:
        settings: A role that may read `requests`, `models`, `ledger` and `reports`.
        use_cases: Where to look.
        request_id: As the header `Tradewind-Request-Id` of the answer has it.

    Raises:
        ConfigInvalid: It is no request id.
        ModelNotFound: No line has it: it is not in the store yet, is gone, or was no prediction.
        IntegrityBroken: A signature or digest behind it does not hold.
    """
    line = _line(Bucket.open(settings, "requests"), use_cases, request_id)
    use_case, version = line["use_case"], line["version"]
    entry = _entry(settings, use_case, line)
    record = fetch_record(settings, use_case, version, entry.run_id).payload
    return Trace(
        request_id=request_id,
        use_case=use_case,
        time=line["time"],
        version=version,
        entry=entry,
        gate=record["gate"],
        data={name: record[name] for name in ("run_id", "as_of", "source")} | {"outputs": record["data"]},
        validation=_validation(settings, use_case, record["run_id"]),
        erased=tuple(erasure.when for erasure in of_version(settings, Ledger.open(settings, use_case), version)),
        line=line,
    )


def _line(bucket: Bucket, use_cases: Iterable[str], request_id: str) -> JsonObject:
    came, process = moment(request_id), replica(request_id)
    for use_case in use_cases:
        for key in _files(bucket, use_case, came, process):
            for text in bucket.get(key).splitlines():
                line = parse_object(text, f"a line of {key}", "Find out who wrote it.")
                if line.get("request_id") == request_id:
                    return line
    raise ModelNotFound(
        f"a logged answer {request_id} of {came.isoformat(timespec='milliseconds')}",
        "none",
        "A line takes some seconds to the store. Explanations, events and refused requests have none.",
    )


def _files(bucket: Bucket, use_case: str, came: datetime, process: str) -> Iterator[str]:
    """Yield the log files of a process that may hold a request, the likeliest first.

    A file bears the time of its first line, so the newest that began before the request is the first guess; a line that
    was long under way lies in one that began later.
    """
    found = list(_between(bucket, use_case, came - LOOK_BACK, came + LOOK_AHEAD, process))
    before = [key for key in found if file_time(key) <= came]
    yield from before[:-3:-1]
    yield from found[len(before) :]


def _between(bucket: Bucket, use_case: str, start: datetime, end: datetime, process: str) -> Iterator[str]:
    days = dict.fromkeys((start.date(), end.date()))
    for day in days:
        prefix = f"requests/{use_case}/{day.isoformat()}/"
        for key in bucket.keys(prefix, after=f"{prefix}{int(start.timestamp() * 1000)}"):
            if file_time(key) > end:
                break
            if f"-{process}-" in key.removeprefix(prefix):
                yield key


def _entry(settings: Settings, use_case: str, line: JsonObject) -> Entry:
    data = Bucket.open(settings, "ledger").get(entry_key(use_case, line["seq"]))
    entry = opened(data, Verifier.open(settings))
    if (entry.use_case, entry.seq, entry.to_digest) != (use_case, line["seq"], line["version"]):
        raise IntegrityBroken(
            f"ledger entry {line['seq']} of {use_case} to name {line['version']}",
            str(entry.to_digest),
            "Verify the ledger: tradewind verify --ledger.",
        )
    return entry


def _validation(settings: Settings, use_case: str, run_id: str) -> JsonObject | None:
    place = f"{use_case}/{run_id}/validate"
    data = Bucket.open(settings, "reports").find(f"{place}/verdict.json")
    if data is None:
        return None
    verdict = parse_object(data, f"the verdict of {run_id}", "Find out who wrote it.")
    kept = {name: verdict[name] for name in ("accepted", "summary")}
    return {**kept, "rules": len(verdict["rules"]), "report": f"/tradewind/report/{place}/docs/index.html"}
