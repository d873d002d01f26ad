"""Answers one request of one use case: door, history, model, log; knows nothing of HTTP."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel

from ml.contract import CONVERSATION, REQUEST_ID, Chat, Explanation, JsonObject, Limits, UseCase
from ml.errors import ModelNotFound
from ml.files import canonical, sha256
from ml.serving.conversation import Conversations, new_name
from ml.serving.door import Door
from ml.serving.event_kind import kind_of
from ml.serving.follower import Follower
from ml.serving.limits import check
from ml.serving.own import OwnValues
from ml.serving.request_log import EVENT_SCHEMA, HANDOVER_SCHEMA, REQUEST_SCHEMA, Kind, RequestLog, Undo
from ml.serving.state import Event, StateStore
from ml.serving.stock import with_stock
from ml.serving.subject import Subjects, unit_of
from ml.serving.thing import PRODUCT_ID, named, without_unknown
from ml.serving.version import Served
from ml.shop_time import Zone, local, zone_of

EVENT_AHEAD = timedelta(days=1)  # clocks differ, but an event of next week is a mistake
BEGUN = "begun_by"  # what a conversation keeps beside the use case's own: the request it began with
EVENT_ID = "event_id"
DIGEST = re.compile(r"[0-9a-f]{32}")
ID_DIGITS = 32  # hexadecimal, of a hand-over's id


@dataclass(frozen=True, kw_only=True)
class Answered:
    """An answer and the version that gave it."""

    body: BaseModel
    version: str


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a server keeps, and whom it may ask."""

    store: StateStore
    log: RequestLog
    conversations: Conversations
    chat: Chat | None = None
    own: OwnValues | None = None
    """Opens what customers alone read back."""


class Answerer:
    """Answers for one use case with whatever version is served at that moment; safe to use from many threads."""

    def __init__(self, use_case: UseCase, door: Door, follower: Follower, kept: Kept) -> None:
        self._use_case = use_case
        self._door = door
        self._follower = follower
        self._subjects = Subjects(use_case.service)
        self._store = kept.store
        self._log = kept.log
        self._conversations = kept.conversations
        self._chat = kept.chat
        self._own = kept.own
        self._strangers = secrets.token_bytes(32)

    def served(self) -> Served:
        """Return the version that answers now.

        Raises:
            ModelNotFound: Nothing was promoted yet, or it could not be loaded.
        """
        served = self._follower.served(self._use_case.name)
        if served is None:
            found = self._follower.problems(self._use_case.name).get("version")
            raise ModelNotFound(
                f"a version of {self._use_case.name} in production",
                f"one that could not be loaded ({found.kind})" if found else "none",
                "See /health and the server's log." if found else "Promote one first: `make run`.",
            )
        return served

    def limits(self) -> Limits:
        """Return what the served version asks of requests beside their schema; raise `ModelNotFound` where none is served."""
        limits = self._use_case.service.limits
        return limits(self.served().state) if limits else {}

    def unit(self, customer: str) -> str:
        """Return a customer's pseudonym."""
        return self._door.unit(customer)

    def predict(self, sent: BaseModel, unit: str | None, request_id: str) -> Answered:
        """Answer a request and log it.

        Args:
            sent: The request as the client sent it.
            unit: The customer's pseudonym, from a client that holds no other name, or as a token proves it.
            request_id: Joins the answer with its outcome.
        """
        began = time.perf_counter()
        served = self.served()
        request, history = self._admit(served, sent, unit)
        service = self._use_case.service
        if service.drawn is not None:
            history = {**(history or {}), REQUEST_ID: request_id}
        answer = service.answer(served.predictor, served.state, request, history)
        if service.rephrase and self._chat:
            answer = service.rephrase(request, answer, self._chat)
        begun = (history or {}).get(CONVERSATION, {}).get(BEGUN, request_id)
        answer = self._named(answer, begun)
        line = {
            "schema": REQUEST_SCHEMA,
            "use_case": self._use_case.name,
            "version": served.live.digest,
            "seq": served.live.seq,
            "request_id": request_id,
            "unit": self._unit(request),
            "features": service.features(request, answer, history),
            "answer": self._door.logged(answer.model_dump(mode="json"), history),
            "latency_ms": round((time.perf_counter() - began) * 1000, 3),
        }
        self._write("requests", line)
        self._remember(request, answer, history, begun)
        self._hand_over(request, answer, request_id)
        return Answered(body=answer, version=served.live.digest)

    def explain(self, sent: BaseModel, unit: str | None) -> tuple[list[Explanation], str]:
        """Explain the answer to a request, by the version that would give it now."""
        served = self.served()
        request, history = self._admit(served, sent, unit)
        return self._use_case.service.explain(served.predictor, served.state, request, history), served.live.digest

    def observe(self, customer: str, event: BaseModel, event_id: str | None) -> bool:
        """Take in what a customer did; tell whether it changed what is known of the customer.

        What an erased customer does is neither kept nor logged.
        It is counted, logged and answered, or none of these: the line is written before the change is final, and taken back
        where that fails. What was told before is not logged again.

        Raises:
            ValueError: The event's time lies ahead, or the use case cannot apply the event.
            StorageUnavailable: The log has no room.
        """
        unit, body = self._door.unit(customer), self._kept(self._door.event(event, self._zone()))
        body = without_unknown(body, self._is_known, self._door.digest)
        moment, name = self._moment(body), event_id and self._door.digest(EVENT_ID, event_id)
        if self._store.is_erased(self._use_case.name, unit):
            return False
        taken = Event(units=tuple(self._subjects.units(body.get, unit)), time=moment, body=body, id=name)
        line = {
            "schema": EVENT_SCHEMA,
            "unit": unit,
            "event": self._door.logged(body),
            **({"id": name} if name else {}),
        }
        try:
            return self._store.record(
                self._use_case.name, taken, self._subjects.observe, lambda: self._write("events", line, must=True)
            )
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise ValueError("the fields of an event, each with its type") from error

    def renewed(self, body: JsonObject, event_id: str | None) -> tuple[JsonObject, str | None]:
        """Return an event that was stored before events had schemas as it would be stored now."""
        kind = kind_of(self._use_case.service.events, body)
        fields = self._use_case.service.events[kind].model_fields if kind else body
        kept = {name: value for name, value in body.items() if name in fields}
        is_digest = event_id is None or DIGEST.fullmatch(event_id)
        return self._kept(kept), event_id if is_digest else self._door.digest(EVENT_ID, str(event_id))

    def _kept(self, body: JsonObject) -> JsonObject:
        """Return an event in which a conversation bears the name under which it is kept."""
        memory = self._use_case.service.memory
        named = memory and body.get(memory.field)
        if not memory or not named or DIGEST.fullmatch(named):
            return body
        return {**body, memory.field: self._door.digest(memory.field, named)}

    def _subject(self, field: str, value: Any) -> Any:
        """Return what a request names besides the customer as events name it."""
        return named(field, value, self._is_known, self._door.digest) if isinstance(value, str) else value

    def _is_known(self, field: str, thing: str) -> bool:
        """Tell whether a served version knows a product, or the histories anything else that an event names."""
        if field == PRODUCT_ID:
            return self._follower.has_product(field, thing)
        return self._store.history(self._use_case.name, unit_of(field, thing)) is not None

    def _zone(self) -> Zone:
        served = self._follower.served(self._use_case.name)
        return zone_of(served.state if served else {})

    def version(self) -> JsonObject:
        """Return what is live, since when, by whom, why, and on which state."""
        served = self.served()
        snapshot = self._store.snapshot(self._use_case.name)
        return {
            **asdict(served.live),
            "variant": served.facts.get("variant"),
            "as_of": served.record.get("as_of"),
            "figures": served.record.get("figures"),
            "verdict": served.record.get("gate"),
            "golden_requests": served.golden,
            "origin": served.origin,
            "loaded": served.loaded,
            "histories": snapshot and {"mark": snapshot.mark, "as_of": snapshot.as_of, "units": snapshot.units},
        }

    def _moment(self, event: JsonObject) -> str:
        now, zone = datetime.now(UTC), self._zone()
        arrived = local(now, UTC if zone == "as written" else zone)
        moment = self._door.time_of(event, arrived)
        if moment > self._door.time_of({}, arrived + EVENT_AHEAD):
            raise ValueError("a time that does not lie ahead")
        return moment

    def _admit(self, served: Served, sent: BaseModel, unit: str | None) -> tuple[BaseModel, JsonObject | None]:
        if self._use_case.service.limits is not None:
            check(sent, self._use_case.service.limits(served.state))
        zone = zone_of(served.state)
        request, known = self._door.admit(sent, unit, zone)
        if known is not None and self._store.is_erased(self._use_case.name, known):
            request, known = self._door.admit(sent, self._stranger(known), zone)
        units = self._subjects.units(lambda name: self._subject(name, getattr(request, name, None)), known)
        history = self._subjects.history(units, partial(self._store.history, self._use_case.name))
        if self._own is not None:
            signed_in = known if self._use_case.service.is_proved else None
            history = self._own.opened(self._use_case.name, signed_in, history)
        if self._use_case.service.heeds_stock:
            catalogue = self._use_case.service.catalogue
            history = with_stock(history, self._follower.stock.of(catalogue(served.state) if catalogue else ()))
        return self._recall(request, history)

    def _stranger(self, unit: str) -> str:
        """Return the pseudonym under which an erased customer is answered and logged: of a key that dies with this process."""
        return hmac.digest(self._strangers, unit.encode(), "sha256").hex()[: len(unit)]

    def _recall(self, request: BaseModel, history: JsonObject | None) -> tuple[BaseModel, JsonObject | None]:
        """Return the request with the name of its conversation, and the history with what the conversation keeps."""
        memory = self._use_case.service.memory
        if memory is None:
            return request, history
        name = getattr(request, memory.field) or new_name()
        kept = self._conversations.find(self._use_case.name, self._unit(request), self._door.digest(memory.field, name))
        told = {**(history or {}), CONVERSATION: kept} if kept is not None else history
        return request.model_copy(update={memory.field: name}), told

    def _remember(self, request: BaseModel, answer: BaseModel, history: JsonObject | None, begun: str) -> None:
        memory = self._use_case.service.memory
        if memory is not None:
            kept = {**memory.keep(history, request, answer), BEGUN: begun}
            name = self._door.digest(memory.field, getattr(request, memory.field))
            self._conversations.keep(self._use_case.name, self._unit(request), name, kept, memory.seconds)

    def _named(self, answer: BaseModel, begun: str) -> BaseModel:
        """Return the answer with an `id` of what a person has to see to that no other matter has.

        It follows from the conversation's first request and from all that is handed over. So a message that is sent again is one
        matter still, while a conversation that begins anew under its name, or is another customer's, has matters of its own.
        """
        queue, matter = self._use_case.service.queue, self._matter(answer)
        if queue is None or matter is None:
            return answer
        digest = sha256(canonical([begun, matter.model_dump(mode="json")])).removeprefix("sha256:")
        return answer.model_copy(update={queue: matter.model_copy(update={"id": digest[:ID_DIGITS]})})

    def _matter(self, answer: BaseModel) -> BaseModel | None:
        queue = self._use_case.service.queue
        return getattr(answer, queue) if queue else None

    def _hand_over(self, request: BaseModel, answer: BaseModel, request_id: str) -> None:
        """Put what a person has to see to into the queue."""
        matter = self._matter(answer)
        if matter is not None:
            line = {"schema": HANDOVER_SCHEMA, "request_id": request_id, "unit": self._unit(request)}
            self._write("handovers", {**line, "handover": matter.model_dump(mode="json")}, must=True)

    def _unit(self, request: BaseModel) -> Any:
        identity = self._use_case.service.identity
        return getattr(request, identity, None) if identity else None

    def _write(self, kind: Kind, line: JsonObject, *, must: bool = False) -> Undo:
        now = datetime.now(UTC)
        timed = {**line, "time": now.isoformat(timespec="milliseconds")}
        return self._log.append(kind, self._use_case.name, now, timed, must=must)
