"""People see how many rows each rule set aside and what of them names nobody; a name, a key or a text never."""

import pandas as pd

from data_checks.extract import ROWS, extract
from ml.contract import Column, Table
from ml.files import write_parquet

ORDERS = Table(
    name="orders",
    columns=(
        Column(name="order_id", type="int64"),
        Column(name="customer", type="string", treatment="pseudonym"),
        Column(name="note", type="string", treatment="redact"),
        Column(name="quantity", type="int64"),
    ),
    key=("order_id",),
)


def test_counts_are_whole_rows_are_some_and_only_plain_numbers_are_shown(tmp_path):
    both = ["orders.whole; orders.small"] + ["orders.small"] * ROWS
    rows = pd.DataFrame(
        {
            "order_id": range(9_000_001, 9_000_002 + ROWS),
            "customer": "ada@shop.example",
            "note": "call 0170 1234567",
            "quantity": range(ROWS + 1),
            "_rule": both,
            "_reason": "too many",
        }
    )
    write_parquet(tmp_path / "orders.parquet", rows)
    found = extract(tmp_path, [ORDERS, Table(name="empty", columns=())])
    small, whole = found["rules"]
    assert (small["rule"], small["count"], len(small["rows"])) == ("orders.small", ROWS + 1, ROWS)
    assert (whole["rule"], whole["count"], whole["rows"]) == ("orders.whole", 1, [[0]])
    assert (whole["shown"], whole["hidden"]) == (["quantity"], ["customer", "note", "order_id"])
    told = str(found)
    assert not any(secret in told for secret in ("ada@", "0170", "9000001"))


def test_a_number_that_is_not_finite_is_told_in_words(tmp_path):
    table = Table(name="sales", columns=(Column(name="price", type="float64"),))
    rows = pd.DataFrame({"price": [float("inf"), 2.5], "_rule": "sales.price_finite", "_reason": "no number"})
    write_parquet(tmp_path / "sales.parquet", rows)
    assert extract(tmp_path, [table])["rules"][0]["rows"] == [["inf"], [2.5]]
