"""The same expression over a stage's tables gives the same rows on DuckDB and on Spark."""

from __future__ import annotations

import importlib.util
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest

from ml.errors import IntegrityBroken
from ml.pipeline import ingest
from ml.sources.engine import open_tables
from tests.sample_shop import frozen_context, land, sample_tables


@pytest.fixture
def folder(tmp_path, rng, keeper):
    land(tmp_path / "zone", sample_tables(rng))
    context = frozen_context(tmp_path / "run", {"kind": "files", "location": str(tmp_path / "zone")}, keeper)
    ingest.run(context)
    return context.data("ingest") / "tables"


def units_by_name(tables):
    joined = tables["purchases"].join(tables["products"], "product_id")
    return joined.group_by("name").aggregate(units=joined.quantity.sum()).order_by("name")


def test_all_files_of_a_table_are_one_table(folder):
    tables = open_tables(folder)
    counts = {name: table.count().execute() for name, table in tables.items()}
    assert counts == {name: len(rows) for name, rows in sample_tables(np.random.default_rng(1)).items()}


def test_only_the_tables_asked_for_are_opened(folder):
    assert set(open_tables(folder, only=("products",))) == {"products"}


def test_a_folder_without_tables_is_an_error(tmp_path):
    with pytest.raises(IntegrityBroken, match="tables in"):
        open_tables(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_spark_gives_the_rows_that_duckdb_gives(folder):
    if shutil.which("java") is None or importlib.util.find_spec("pyspark") is None:
        pytest.skip("needs java and pyspark")
    expected = units_by_name(open_tables(folder)).execute()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        SparkSession.builder.master("local[1]").config("spark.sql.shuffle.partitions", "1").getOrCreate()
        found = units_by_name(open_tables(folder, engine="spark")).execute()
        SparkSession.getActiveSession().stop()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
