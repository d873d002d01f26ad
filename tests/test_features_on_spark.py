"""The same expressions give the same examples on DuckDB and on Spark."""

from __future__ import annotations

import importlib.util
import shutil

import pandas as pd
import pytest

from ml.use_cases.recommend.examples import build
from tests.recommend_shop import PARAMS, expressions, small_shop


@pytest.mark.skipif(
    shutil.which("java") is None or importlib.util.find_spec("pyspark") is None, reason="needs java and pyspark"
)
@pytest.mark.filterwarnings("ignore")
def test_spark_builds_what_duckdb_builds():
    from pyspark.sql import SparkSession

    shop = small_shop(12)
    session = SparkSession.builder.master("local[1]").config("spark.sql.shuffle.partitions", "1").getOrCreate()
    try:
        found = build(expressions(shop.tables, "spark"), PARAMS)
    finally:
        session.stop()
    assert found.state == shop.state
    for name, frame in shop.built.splits.items():
        pd.testing.assert_frame_equal(found.splits[name], frame, check_dtype=False)
    pd.testing.assert_frame_equal(found.histories, shop.built.histories, check_dtype=False)
