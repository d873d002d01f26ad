"""Hands the new histories to the model server, waits until it serves the promoted version, and asks it one question.

Acts on the world; reads the run's `histories.parquet`, writes the `state` bucket.
"""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import httpx
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from ml.config import Settings, require_secret
from ml.contract import JsonObject, UseCase
from ml.errors import IntegrityBroken, ModelNotFound, ServiceUnavailable
from ml.files import read_json
from ml.packaging.record import Run
from ml.pipeline.approval import CHANNEL, newest_word
from ml.registry.fetch import fetch_record, fetch_version
from ml.registry.ledger import Ledger
from ml.serving import snapshot
from ml.serving.batch import write_listing
from ml.serving.subject import is_customer

WAIT_SECONDS = 90.0  # a version is loaded in seconds; the server may just be starting
LOOK_SECONDS = 0.25
TIMEOUT_S = 30.0
UNIT_HEADER = "Tradewind-Unit"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ServedAnswer:
    """One real answer of the version that was promoted."""

    use_case: str
    digest: str
    seq: int
    since: str
    unit: str | None
    """Pseudonym of the customer asked for; none where the use case knows no customers."""
    request: JsonObject
    answer: JsonObject
    seconds_to_live: float
    """From the publication of the histories until the server answered with the version [s]."""
    latency_ms: float
    """Of the answer, over HTTP [ms]."""
    table: str | None
    """Key in the `state` bucket of the table of all units; none where the use case makes none."""


def is_due(settings: Settings, use_case: str, run_id: str, digest: str) -> bool:
    """Tell whether a run's histories belong to the version that is live: by the ledger, not by how its other tasks ended."""
    view = Ledger.open(settings, use_case)
    live, word = view.live(CHANNEL), newest_word(view.entries, run_id)
    is_rejected = word is not None and word.action == "reject"
    is_live = live is not None and live.digest == digest
    if is_rejected or not is_live:
        log.info("nothing to serve use_case=%s digest=%s live=%s rejected=%s", use_case, digest, is_live, is_rejected)
    return is_live and not is_rejected


def is_approved(settings: Settings, use_case: str, run_id: str) -> bool:
    """Tell whether a person approved the run's version, with a reason: then its histories may be older than those published."""
    word = newest_word(Ledger.open(settings, use_case).entries, run_id)
    return word is not None and word.action == "approve"


def run(
    settings: Settings, use_case: UseCase, digest: str, histories: Path, as_of: date, *, may_go_back: bool = False
) -> JsonObject:
    """Publish the histories, wait for the server and return a `ServedAnswer` as JSON.

    Args:
        settings: Role `promote`, with the server's token.
        use_case: The record.
        digest: The version that was promoted.
        histories: The features stage's `histories.parquet`.
        as_of: Last day the histories cover, on the data's own clock.
        may_go_back: Whether a person wants them although those of a later day are published.

    Raises:
        GateFailed: They are older than those published, and nobody wants to go back.
        ServiceUnavailable: The server did not serve the version in time, or did not answer.
    """
    began = time.monotonic()
    published = snapshot.publish(settings, use_case.name, histories, as_of, may_go_back=may_go_back)
    token = require_secret(settings.server_token, "server_token")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=settings.server_url, headers=headers, timeout=TIMEOUT_S) as http:
        live = _await(http, use_case.name, digest, published.mark)
        waited = time.monotonic() - began
        unit = _some_unit(use_case, histories)
        request = _question(settings, use_case, digest)
        answer, latency_ms = _ask(http, use_case.name, request, unit)
    table = write_listing(settings, use_case).key if use_case.service.listing else None
    log.info("served use_case=%s digest=%s seconds=%.1f latency_ms=%.1f", use_case.name, digest, waited, latency_ms)
    told = ServedAnswer(
        use_case=use_case.name,
        digest=digest,
        seq=live["seq"],
        since=live["since"],
        unit=unit,
        request=request,
        answer=answer,
        seconds_to_live=round(waited, 3),
        latency_ms=round(latency_ms, 3),
        table=table,
    )
    return asdict(told)


def ensure_promoted(settings: Settings, digest: str, run: Run) -> None:
    """Refuse histories other than those of the run that were signed when its version was promoted.

    Raises:
        IntegrityBroken: The version's record for this run names others, or there is none for this run.
    """
    place = f"data/{run.use_case}/features"
    record = fetch_record(settings, run.use_case, digest, run.run_id).payload
    signed = record["data"].get(place) if record["run_id"] == run.run_id else None
    found = run.outputs().get(place)
    if signed is None or found != signed:
        raise IntegrityBroken(
            f"{place} of run {run.run_id} as it was promoted: {signed}", str(found), "Start a new run, and promote it."
        )


def _await(http: httpx.Client, use_case: str, digest: str, mark: str) -> JsonObject:
    """Return what the server says of the version, as soon as it serves it on the published histories."""

    def is_other(live: JsonObject) -> bool:
        return live.get("digest") != digest or (live.get("histories") or {}).get("mark") != mark

    try:
        return Retrying(
            retry=retry_if_result(is_other), stop=stop_after_delay(WAIT_SECONDS), wait=wait_fixed(LOOK_SECONDS)
        )(_version, http, use_case)
    except RetryError as error:
        seen = error.last_attempt.result()
        raise ServiceUnavailable(
            f"the model server at {http.base_url} to serve {digest} within {WAIT_SECONDS:.0f} s",
            seen.get("digest") or seen.get("problem") or "no version",
            "Look at its /health and its log; is it up, with the right token and public key?",
        ) from error


def _version(http: httpx.Client, use_case: str) -> JsonObject:
    try:
        response = http.get(f"/v1/{use_case}/version")
        if response.status_code == 200:
            found: JsonObject = response.json()
            return found
    except httpx.HTTPError as error:
        return {"problem": type(error).__name__}
    return {"problem": f"HTTP {response.status_code} {response.text[:200]}"}


def _some_unit(use_case: UseCase, histories: Path) -> str | None:
    """Return the first customer of the histories; none where the use case knows no customers."""
    if use_case.service.identity is None:
        return None
    return next((unit for unit, _ in snapshot.read(histories.read_bytes()) if is_customer(unit)), None)


def _question(settings: Settings, use_case: UseCase, digest: str) -> JsonObject:
    """Return the smallest request the use case takes: the fields it requires, as in the first golden request."""
    with tempfile.TemporaryDirectory() as scratch:
        golden = read_json(fetch_version(settings, use_case.name, digest, Path(scratch)) / "golden.json")
    if not golden.get("cases"):
        raise ModelNotFound(f"golden requests in {digest}", "none", "Package the version again.")
    example: JsonObject = golden["cases"][0]["request"]
    needed = {name for name, field in use_case.service.request.model_fields.items() if field.is_required()}
    known = use_case.service.identity is not None
    return {name: value for name, value in example.items() if name in needed or not known}


def _ask(http: httpx.Client, use_case: str, request: JsonObject, unit: str | None) -> tuple[JsonObject, float]:
    began = time.perf_counter()
    try:
        response = http.post(
            f"/v1/{use_case}/predict", json=request, headers={UNIT_HEADER: unit} if unit is not None else {}
        )
    except httpx.HTTPError as error:
        raise ServiceUnavailable("an answer of the model server", type(error).__name__, "Look at its log.") from error
    if response.status_code != 200:
        raise ServiceUnavailable(
            "an answer of the model server", f"HTTP {response.status_code} {response.text[:300]}", "Look at its log."
        )
    return response.json(), (time.perf_counter() - began) * 1000
