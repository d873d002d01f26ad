"""Names of requests that lead to their line in the log: when it came, and which process answered.

UUID version 7 (RFC 9562): 48 bits of milliseconds since 1970, then bits of chance; the fourth group, of 14 free bits,
is the same for all requests of one process.
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import UTC, datetime

from ml.errors import ConfigInvalid

FORM = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")


class RequestIds:
    """Makes the ids of one process."""

    def __init__(self) -> None:
        self.replica = f"{0x8000 | secrets.randbits(14):04x}"
        """Four hexadecimal digits that tell this process from others; they name its log files too."""

    def new(self) -> str:
        """Return an id of 32 hexadecimal digits."""
        milliseconds = time.time_ns() // 1_000_000
        return f"{milliseconds:012x}7{secrets.randbits(12):03x}{self.replica}{secrets.randbits(48):012x}"


def moment(request_id: str) -> datetime:
    """Return when a request came, UTC; raise `ConfigInvalid` if it is no id of ours."""
    if not FORM.fullmatch(request_id):
        raise ConfigInvalid(
            "a request id of 32 hexadecimal digits, as the header Tradewind-Request-Id has it",
            repr(request_id)[:60],
            "Copy it whole; ids from before version 7 cannot be traced.",
        )
    return datetime.fromtimestamp(int(request_id[:12], 16) / 1000, UTC)


def replica(request_id: str) -> str:
    """Return the four digits of the process that answered."""
    return request_id[16:20]
