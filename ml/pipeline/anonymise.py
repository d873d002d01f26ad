"""Takes the personal values out: pseudonyms for identifiers, generalised attributes, redacted texts, dropped columns.

Reads `validate/tables`, which it opens in memory, and the pseudonym key; writes the same tables without personal values,
`privacy.json`, and a report; beside them, in `sealed/`, the encrypted columns that operations need back, which no stage
reads. What customers alone read back stays encrypted; the model server is given the key of each, in the bucket
`serving-keys`. From here on no stage can reach a raw identifier.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from ml.contract import SUBJECT, JsonObject, Table
from ml.errors import ConfigInvalid
from ml.files import table_files, write_bytes, write_json, write_parquet
from ml.pipeline.context import StageContext
from ml.privacy.cipher import TOKEN_BYTES
from ml.privacy.k_anonymity import Generalised
from ml.privacy.key_ring import KeyRing
from ml.privacy.pseudonym import fingerprint, pseudonym, read_key
from ml.privacy.report import render
from ml.privacy.seal import Opener
from ml.privacy.share import Shares
from ml.privacy.treatment import Policy, Treated, names_of, treat
from ml.registry.erasure_mark import settled

PRIVACY_SCHEMA = "tradewind/privacy/1"
LOSS_DIGITS = 6  # so that the last bit of a sum cannot change the file

log = logging.getLogger(__name__)


def run(context: StageContext) -> None:
    """Anonymise every table of the use case.

    Raises:
        ConfigInvalid: The key is missing, or is not the one the run was frozen with.
    """
    policy = Policy(key=_key(context), k=context.params.anonymise.k)
    opener = Opener(lambda: KeyRing.open(context.settings, context.use_case.name))
    out = context.data("anonymise")
    for folder in (out / "tables", out / "sealed"):
        shutil.rmtree(folder, ignore_errors=True)
    facts = {table.name: _anonymise(context, table, policy, opener) for table in context.use_case.data.tables}
    _share(context, policy.key, opener)
    report = {
        "schema": PRIVACY_SCHEMA,
        "use_case": context.use_case.name,
        "k_asked": policy.k,
        "pseudonym_key": fingerprint(policy.key),
        "tables": facts,
    }
    for folder in (out, context.reports("anonymise")):  # people who may not read the data read what was found in them
        write_json(folder / "privacy.json", report)
    write_bytes(context.reports("anonymise") / "privacy.html", render(context.use_case.title, report).encode())


def _key(context: StageContext) -> bytes:
    key = read_key(context.settings)
    frozen = context.inputs["pseudonym_key"]
    if fingerprint(key) != frozen:
        raise ConfigInvalid(
            f"the pseudonym key with fingerprint {frozen}",
            f"one with {fingerprint(key)}",
            "Give the key the run was frozen with, or start a new run.",
        )
    return key


def _anonymise(context: StageContext, table: Table, policy: Policy, opener: Opener) -> JsonObject:
    files = table_files(context.data("validate") / "tables" / table.name)
    if any(column.treatment == "generalise" for column in table.columns):
        parts = {"all.parquet": files}  # groups are counted over all rows
    else:
        parts = {file.name: [file] for file in files}
    done = []
    for name, part in parts.items():
        treated = treat(_opened(part, table, opener), table, policy)
        write_parquet(context.data("anonymise") / "tables" / table.name / name, treated.rows)
        if treated.sealed is not None:
            write_parquet(context.data("anonymise") / "sealed" / table.name / name, treated.sealed)
        done.append(treated)
    facts = _facts(table, done)
    log.info("table anonymised table=%s rows=%d", table.name, facts["rows"])
    _warn(table, facts["found"])
    return facts


def _opened(files: Sequence[Path], table: Table, opener: Opener) -> pd.DataFrame:
    """Return the rows with their values; what stays encrypted stays so."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])
    for name in names_of(table, "own"):
        rows = rows.set_column(rows.column_names.index(name), name, opener.own(table, name, rows[name]))
    frame: pd.DataFrame = opener.open(table, rows, but=names_of(table, "encrypt")).to_pandas()
    return frame


def _share(context: StageContext, pseudonym_key: bytes, opener: Opener) -> None:
    """Give the server the keys of the customers who have something that they alone read back."""
    tables = context.use_case.data.tables
    tokens = {
        cell[:TOKEN_BYTES]
        for table in tables
        for name in names_of(table, "own")
        for cell in _distinct(context, table, name)
    }
    if not tokens:
        return
    cells = {
        cell: f"{table.name}.{table.subject}"
        for table in tables
        if table.subject is not None
        for cell in _distinct(context, table, table.subject)
        if cell[:TOKEN_BYTES] in tokens
    }
    keys = {
        pseudonym(pseudonym_key, SUBJECT, opener.value(place, cell)): opener.key(cell).serving
        for cell, place in cells.items()
    }
    shares, use_case = Shares.open(context.settings), context.use_case.name
    settled(context.settings, use_case, lambda erased: shares.give(use_case, keys, erased))


def _distinct(context: StageContext, table: Table, name: str) -> Iterator[bytes]:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for file in table_files(context.data("validate") / "tables" / table.name):
        yield from pc.unique(pq.read_table(file, columns=[name], partitioning=None)[name]).drop_null().to_pylist()


def _facts(table: Table, done: Sequence[Treated]) -> JsonObject:
    return {
        "rows": sum(len(treated.rows) for treated in done),
        "columns": {column.name: column.treatment for column in table.columns},
        "generalised": _groups(done[0].generalised) if done and done[0].generalised else None,
        "found": _summed([treated.found for treated in done]),
        "redacted": _summed([treated.redacted for treated in done]),
    }


def _groups(found: Generalised) -> JsonObject:
    return {
        "k": found.k,
        "groups": found.groups,
        "suppressed": found.suppressed,
        "loss": round(found.loss, LOSS_DIGITS),
        "diversity": {name: worst.to_json() for name, worst in found.diversity.items()},
        "labels": {name: dict(labels) for name, labels in found.labels.items()},
    }


def _summed(parts: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Return counts per column and kind, summed over the table's files."""
    total: dict[str, Counter[str]] = {}
    for part in parts:
        for column, hits in part.items():
            total.setdefault(column, Counter()).update(hits)
    return {column: dict(hits) for column, hits in total.items()}


def _warn(table: Table, found: Mapping[str, Mapping[str, int]]) -> None:
    for column, hits in found.items():
        for kind, count in hits.items():
            log.warning(
                "identifiers suspected in a kept column: drop or pseudonymise it table=%s column=%s kind=%s values=%d",
                *(table.name, column, kind, count),
            )
