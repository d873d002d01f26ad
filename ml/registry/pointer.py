"""Channel pointers: a small projection of the ledger, for readers that want one object; never believed before it."""

from __future__ import annotations

from ml.contract import POINTER_SCHEMA, JsonObject
from ml.errors import IntegrityBroken
from ml.files import canonical, parse_object
from ml.registry.live import Live
from ml.store import Bucket

POINTER_BYTES = 64 * 1024


def pointer_key(use_case: str, channel: str) -> str:
    """Return the key of a channel's pointer in the `ledger` bucket."""
    return f"channels/{use_case}/{channel}.json"


def read_pointers(bucket: Bucket, use_case: str) -> dict[str, JsonObject]:
    """Return the pointers of a use case by channel.

    Raises:
        IntegrityBroken: One is no pointer of this schema.
    """
    prefix = f"channels/{use_case}/"
    names = [key.removeprefix(prefix).removesuffix(".json") for key in bucket.keys(prefix)]
    found = {name: bucket.find(pointer_key(use_case, name), POINTER_BYTES) for name in names}
    return {name: _parsed(data, name) for name, data in found.items() if data is not None}


def write_pointer(bucket: Bucket, live: Live) -> None:
    """Write the pointer of what is live on a channel."""
    bucket.put(pointer_key(live.use_case, live.channel), canonical(_projection(live)), "application/json")


def is_behind(pointer: JsonObject | None, live: Live | None) -> bool:
    """Tell whether a pointer is missing or behind the ledger, which must have been read after it.

    Raises:
        IntegrityBroken: It is ahead of the ledger or contradicts it: entries were removed or replaced.
    """
    if pointer is None:
        return live is not None
    if live is not None and pointer == _projection(live):
        return False
    if live is None or pointer["seq"] >= live.seq:
        raise IntegrityBroken(
            "a pointer that follows its ledger",
            f"{pointer.get('channel')} at entry {pointer['seq']}, the ledger at {live.seq if live else 'none'}",
            "The ledger was cut or altered: stop promoting and restore it from a copy.",
        )
    return True


def _projection(live: Live) -> JsonObject:
    return {
        "schema": POINTER_SCHEMA,
        "use_case": live.use_case,
        "channel": live.channel,
        "digest": live.digest,
        "seq": live.seq,
        "entry": live.entry,
    }


def _parsed(data: bytes, channel: str) -> JsonObject:
    action = "Delete it, then repair."
    pointer = parse_object(data, f"{POINTER_SCHEMA} as the pointer of {channel}", action, POINTER_BYTES)
    if pointer.get("schema") == POINTER_SCHEMA and type(pointer.get("seq")) is int:
        return pointer
    raise IntegrityBroken(f"{POINTER_SCHEMA} as the pointer of {channel}", "something else", action)
