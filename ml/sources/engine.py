"""Opens a stage's tables as Ibis expressions: DuckDB on one machine, Spark on a cluster, the same code on both."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import table_files

if TYPE_CHECKING:
    import ibis

Engine: TypeAlias = Literal["duckdb", "spark"]


def open_tables(folder: Path, engine: Engine = "duckdb", only: Iterable[str] | None = None) -> dict[str, ibis.Table]:
    """Open every table below a stage's `tables` folder.

    Args:
        folder: Holds one folder of Parquet files a table.
        engine: `duckdb` runs in memory on one thread, so that float sums repeat bit by bit; `spark` uses the
            session that is there, or a local one.
        only: Names of the tables wanted; none means all.

    Returns:
        Expressions by table name; nothing is read before one is executed.

    Raises:
        IntegrityBroken: There is no table.
        ConfigInvalid: The engine's library is not installed.
    """
    wanted = None if only is None else set(only)
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and (wanted is None or path.name in wanted))
    filled = [path for path in folders if table_files(path)]
    if not filled:
        raise IntegrityBroken(f"tables in {folder}", "none", "Run the stage before this one.")
    connection = _duckdb() if engine == "duckdb" else _spark()
    return {path.name: connection.read_parquet(f"{path}/*.parquet", table_name=path.name) for path in filled}


def _duckdb() -> Any:
    import ibis

    return ibis.duckdb.connect(threads=1)


def _spark() -> Any:
    try:
        import ibis
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigInvalid("pyspark", "none", "Install Tradewind's extra `spark`.") from error
    logging.getLogger("py4j").setLevel(logging.WARNING)  # it tells of every connection, even after streams are closed
    builder = SparkSession.builder.config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
    return ibis.pyspark.connect(builder.getOrCreate())
