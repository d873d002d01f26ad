"""Gives encrypted values back to operations, and keeps in the ledger who looked at what, and why."""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import dataclass
from pathlib import Path

from ml.config import Settings, require_secret
from ml.contract import Table, UseCase
from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import table_files
from ml.pipeline.workspace import bring, version_workspace
from ml.privacy.key_ring import KeyRing
from ml.privacy.redact import redact
from ml.privacy.seal import Opener
from ml.registry import ledger
from ml.registry.entry import Move

PRODUCTION = "production"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What somebody wants to know."""

    table: str
    column: str
    """One that is declared `encrypt`."""
    unit: str
    """Pseudonym of a customer, or of another identifier of the table."""
    who: str
    why: str


def decrypt(settings: Settings, use_case: UseCase, question: Question) -> list[str]:
    """Return a column's values in the rows of a pseudonym, from the data of the run that is live; each value once.

    Args:
        settings: Role `custodian`, with master and signing key.
        use_case: The record.
        question: What to look for; it is in the ledger before any value is returned.

    Raises:
        ConfigInvalid: There is no such column, or it is not declared `encrypt`.
        ModelNotFound: Nothing is live, or no row bears the pseudonym.
        IntegrityBroken: The customer was erased.
    """
    table = _declared(use_case, question)
    live = ledger.live(settings, use_case.name, PRODUCTION)
    if live is None or live.run_id is None:
        raise ModelNotFound(f"a run of {use_case.name} that is live", "none", "Retrain first: `make run`.")
    why = f"{question.table}.{question.column} of {_reference(settings, question.unit)}: {redact(question.why).text}"
    ledger.tell(
        settings,
        use_case.name,
        Move(channel="privacy", action="decrypt", digest=None, who=question.who, why=why, run_id=live.run_id),
    )
    with version_workspace(settings, use_case.name, live, "decrypt") as root:
        place = f"data/{use_case.name}/anonymise/sealed"
        bring(settings, root, place)
        cells = _cells(root / place / table.name, table, question)
    if not cells:
        raise ModelNotFound(
            f"rows of {question.unit} in {table.name}", "none", "Take the pseudonym from a log or list."
        )
    opener = Opener(lambda: KeyRing.open(settings, use_case.name))
    return [opener.value(f"{table.name}.{question.column}", cell) for cell in cells]


def _reference(settings: Settings, unit: str) -> str:
    """Return what stands for a pseudonym in the ledger [32 hexadecimal digits]: HMAC-SHA256(master key, pseudonym), cut.

    The ledger keeps its entries for ever and many may read it; the holder of the master key can tell whom one is about.
    """
    key = bytes.fromhex(require_secret(settings.master_key, "master_key"))
    return hmac.digest(key, f"tradewind decrypt {unit}".encode(), hashlib.sha256).hex()[:32]


def _declared(use_case: UseCase, question: Question) -> Table:
    known = {f"{table.name}.{column.name}": table for table in use_case.data.tables for column in table.columns}
    place = f"{question.table}.{question.column}"
    encrypted = [name for name, table in known.items() if table.column(name.partition(".")[2]).treatment == "encrypt"]
    if place not in encrypted:
        raise ConfigInvalid(
            f"one of the encrypted columns {', '.join(encrypted) or '(there is none)'}", place, "Name one."
        )
    return known[place]


def _cells(folder: Path, table: Table, question: Question) -> list[bytes]:
    """Return the distinct cells of the rows of a pseudonym."""
    import pandas as pd

    named = [column.name for column in table.columns if column.treatment == "pseudonym"]
    rows = pd.concat(map(pd.read_parquet, table_files(folder)))
    of_unit = rows[(rows[named] == question.unit).any(axis=1)]
    return [bytes(cell) for cell in of_unit[question.column].dropna().unique()]
