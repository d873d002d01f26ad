"""Applies what a table declares for each column: keep, pseudonym, generalise, redact, encrypt, own, drop."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from ml.contract import Table
from ml.privacy.identifier import count_identifiers
from ml.privacy.k_anonymity import Generalised, generalise
from ml.privacy.pseudonym import pseudonymise
from ml.privacy.redact import redact_column


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What holds for all tables of a run."""

    key: bytes
    """Pseudonym key."""
    k: int
    """Smallest group that may share its generalised attributes."""


@dataclass(frozen=True, kw_only=True)
class Treated:
    """A table without personal values, and what was done to it."""

    rows: pd.DataFrame
    generalised: Generalised | None
    """None where the table has no column to generalise."""
    sealed: pd.DataFrame | None
    """Pseudonyms with the encrypted columns, which `rows` does not have; none where the table has no such column."""
    found: dict[str, dict[str, int]]
    """Column to kind of direct identifier to distinct values that look like one, in columns kept as they are."""
    redacted: dict[str, dict[str, int]]
    """Column to type of personal data to spans that were replaced, in columns of free text."""


def treat(rows: pd.DataFrame, table: Table, policy: Policy) -> Treated:
    """Return the table after every column's treatment, in a total order that tells nothing of the one before.

    Args:
        rows: Its rows, at least the declared columns.
        table: Declares the treatments.
        policy: Key and k.
    """
    by_treatment = {
        kind: names_of(table, kind) for kind in ("keep", "pseudonym", "generalise", "redact", "encrypt", "own")
    }
    kept = rows[[name for names in by_treatment.values() for name in names]]
    identifiers, sealed = by_treatment["pseudonym"], by_treatment["encrypt"]
    renamed = kept.assign(**{name: pseudonymise(kept[name], policy.key, name) for name in identifiers})
    orders = {name: table.column(name).order for name in by_treatment["generalise"]}
    generalised = generalise(renamed, orders, policy.k, _sensitive(table)) if orders else None
    texts = {name: redact_column(renamed[name], table.column(name).keeps) for name in by_treatment["redact"]}
    rest = (generalised.rows if generalised else renamed).drop(columns=sealed)
    done = in_total_order(rest.assign(**{name: text for name, (text, _) in texts.items()}), table)
    return Treated(
        rows=done,
        generalised=generalised,
        sealed=in_total_order(renamed[[*identifiers, *sealed]], table) if sealed else None,
        found={name: hits for name in by_treatment["keep"] if (hits := count_identifiers(done[name]))},
        redacted={name: dict(sorted(counts.items())) for name, (_, counts) in texts.items()},
    )


def in_total_order(rows: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Sort by time where the table has one, then by every other column, in the table's own column order."""
    names = [column.name for column in table.columns if column.name in rows.columns]
    first = [table.time_column] if table.time_column in names else []
    order = [*first, *(name for name in names if name not in first)]
    return rows[names].sort_values(order, kind="stable", ignore_index=True)


def _sensitive(table: Table) -> list[str]:
    """Return the columns whose diversity the report tells; what is dropped or encrypted tells nobody anything."""
    return [
        column.name for column in table.columns if column.is_sensitive and column.treatment not in ("drop", "encrypt")
    ]


def names_of(table: Table, treatment: str) -> list[str]:
    """Return the columns with a treatment."""
    return [column.name for column in table.columns if column.treatment == treatment]
