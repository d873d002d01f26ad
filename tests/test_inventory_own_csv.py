"""The worked CSV files of the manual are read as they stand there."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import ml
from ml.config import Settings
from ml.sources.opening import open_source
from ml.use_cases import load

MANUAL = Path(ml.__file__).parent.parent / "docs" / "inventory.md"
BLOCK = re.compile(r"`(\w+)\.csv`[^\n]*\n```csv\n(.*?)```", re.DOTALL)


def test_every_table_of_the_manual_is_read(tmp_path):
    written = dict(BLOCK.findall(MANUAL.read_text()))
    tables = load("inventory").data.tables
    assert set(written) == {table.name for table in tables}
    for name, text in written.items():
        (tmp_path / f"{name}.csv").write_text(text)
    source = open_source({"kind": "files", "location": str(tmp_path)}, Settings())
    frozen = source.freeze(tables, date(2026, 6, 30))
    assert str(frozen.last_day) == "2026-06-22"
    rows = {table.name: next(source.read(table, frozen.last_day)).to_pylist() for table in tables}
    assert {name: len(found) for name, found in rows.items()} == {
        name: text.count("\n") - 1 for name, text in written.items()
    }
    assert rows["supplier_terms"][0]["minimum_order"] is None
    assert rows["promotions"][0] == {
        "product_id": "1082185",
        "store_group": "larger",
        "week": rows["promotions"][0]["week"],
        "display": 0.5,
        "mailer": 1.0,
        "front_page": None,
    }
