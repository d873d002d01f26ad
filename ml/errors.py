"""Every situation Tradewind refuses or fails in, each with what to do next.

TradewindError
├── ConfigInvalid        a setting or parameter is missing, unknown or out of range
├── SourceInvalid        the shop's data lacks a table or column, or has a wrong type
├── DataRejected         a blocking data rule failed
├── GateFailed           the evaluation gate refused the candidate
├── ModelNotFound        no such version, or nothing live on a channel
├── IntegrityBroken      a digest, signature or hash chain does not hold
├── PromotionConflict    someone else moved the channel first
├── StorageUnavailable   the object store did not answer (a retry can help)
├── ServiceUnavailable   a part of the stack is down or its port is taken (a retry can help)
└── StageFailed          a pipeline stage ended badly
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

MESSAGE_LIMIT = 2000  # characters; a message stays readable however large the data


class TradewindError(Exception):
    """Root of the tree: expected, received, what to do next, and facts as attributes.

    Args:
        expected: What should have been the case.
        received: What was found instead; never a raw personal value.
        action: What the reader can do next.
        facts: Machine-readable details, kept in `facts`.
    """

    exit_code = 1
    can_retry = False

    def __init__(self, expected: str, received: str, action: str, **facts: object) -> None:
        self.expected = expected
        self.received = received
        self.action = action
        self.facts = facts
        super().__init__(self._render())

    def _render(self) -> str:
        text = f"Expected {self.expected}. Received {self.received}. {self.action}"
        return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


class ConfigInvalid(TradewindError):
    """A setting or parameter is missing, unknown or out of range."""

    exit_code = 2


class SourceInvalid(TradewindError):
    """The shop's data lacks a table or column, or has a wrong type."""

    exit_code = 3


class DataRejected(TradewindError):
    """A blocking data rule failed; nothing downstream runs."""

    exit_code = 4


class GateFailed(TradewindError):
    """The evaluation gate refused the candidate; production stays as it was."""

    exit_code = 5


class ModelNotFound(TradewindError):
    """No such version, or nothing live on a channel."""

    exit_code = 6


class IntegrityBroken(TradewindError):
    """A digest, signature or hash chain does not hold."""

    exit_code = 7


class PromotionConflict(TradewindError):
    """Someone else moved the channel first."""

    exit_code = 8


class StorageUnavailable(TradewindError):
    """The object store did not answer."""

    exit_code = 9
    can_retry = True


class ServiceUnavailable(TradewindError):
    """A part of the stack is down or its port is taken."""

    exit_code = 10
    can_retry = True


class StageFailed(TradewindError):
    """A pipeline stage ended badly; a retry can help where it was killed."""

    exit_code = 11
    can_retry = True


def outline(error: BaseException) -> str:
    """Return kinds and places of an unexpected error and of what led to it, without messages: they may quote a shop's rows."""
    return "\n".join(line for one in _chain(error) for line in _lines(one))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield what led to an error, the first cause first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _chain(before)
    yield error


def _lines(error: BaseException) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    yield f"{type(error).__module__}.{type(error).__qualname__}"
