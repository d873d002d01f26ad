"""What the first start of a newer version does once with the store of an older one: signs what that left unsigned."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from ml.config import Settings
from ml.errors import StorageUnavailable, TradewindError
from ml.files import write_json
from ml.pipeline.adopt import adopt_histories, adopt_marks
from ml.use_cases import NAMES

MARKER = "adopted.json"
SCHEMA = "tradewind/adopted/1"
WHO = "local:upgrade"

log = logging.getLogger(__name__)


def note_new(home: Path) -> None:
    """Note that a home without secrets holds nothing of an older version: then nothing is ever taken over there."""
    if not (home / "secrets.json").exists():
        write_json(home / MARKER, {"schema": SCHEMA})


def carry_over(home: Path, custodian: Settings, tell: Callable[[str], None], use_cases: Iterable[str] = NAMES) -> None:
    """Sign unsigned marks of erasures and histories at the first start of this version, before anybody reads them.

    The home remembers that it was done: whoever may write the store cannot have it done again.

    Args:
        home: Folder of the stack.
        custodian: Role `custodian`, with the signing key; the store answers.
        tell: Receives a sentence about whatever was found.
        use_cases: Names of those looked at.
    """
    if (home / MARKER).exists():
        return
    for use_case in use_cases:
        try:
            found = (adopt_marks(custodian, use_case, WHO), adopt_histories(custodian, use_case, WHO))
        except StorageUnavailable:
            raise
        except TradewindError as error:
            tell(f"warning: {use_case}: unsigned state was not adopted: {error} Then run `tradewind adopt`.")
            continue
        for one in found:
            for problem in one.problems:
                tell(f"warning: {use_case}: {problem}")
        if found[0].marks or found[1].histories:
            tell(f"{use_case}: signed what an earlier version left unsigned; the ledger says what")
    write_json(home / MARKER, {"schema": SCHEMA})
