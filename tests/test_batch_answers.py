"""Batch answers are the server's answers, for every known customer."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import ConfigInvalid, ModelNotFound
from ml.files import sha256
from ml.serving import batch
from ml.store import Bucket
from tests.served_shop import PERSON, VOCABULARY, Item, Shop, expected


@pytest.fixture
def shop(object_store, tmp_path, request):
    return Shop(object_store, tmp_path, f"toy-{sha256(request.node.nodeid.encode())[7:15]}")


def test_batch_gives_every_customer_the_answer_the_server_gives(shop):
    digest, weights = shop.promote()
    known = {f"person-{i}": [VOCABULARY[i % 6], VOCABULARY[(i * i) % 6]] for i in range(150)}
    shop.histories(**known)
    done = batch.batch(shop.settings, shop.record, 4)
    assert (done.digest, done.units, done.rows) == (digest, 150, 600)
    table = pq.read_table(pa.BufferReader(Bucket.open(shop.settings, "state").get(done.key))).to_pylist()
    assert [row["rank"] for row in table[:5]] == [1, 2, 3, 4, 1]
    assert [row["unit"] for row in table] == sorted(shop.unit(person) for person in known for _ in range(4))
    for person, bought in known.items():
        rows = [(row["product_id"], row["score"]) for row in table if row["unit"] == shop.unit(person)]
        assert rows == expected(weights, bought, 4)


def test_batch_needs_lists_a_version_and_histories(shop):
    with pytest.raises(ConfigInvalid, match="takes"):
        batch.batch(shop.settings, shop.record, 99)
    with pytest.raises(ModelNotFound, match="histories"):
        batch.batch(shop.settings, shop.record, 3)
    shop.histories(**{PERSON: []})
    with pytest.raises(ModelNotFound, match="production"):
        batch.batch(shop.settings, shop.record, 3)
    scalar = replace(shop.record, service=replace(shop.record.service, response=Item))
    with pytest.raises(ConfigInvalid, match="list of k items"):
        batch.batch(shop.settings, scalar, 3)
