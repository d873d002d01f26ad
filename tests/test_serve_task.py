"""The serve task ends when the server answers with the promoted version."""

import json

import pandas as pd
import pytest

from ml.errors import ServiceUnavailable
from ml.files import sha256, write_parquet
from ml.pipeline import serve as serve_task
from ml.serving.app import create_app
from tests.served_shop import AS_OF, PERSON, Shop, expected, listening


@pytest.fixture
def shop(object_store, tmp_path, request):
    return Shop(object_store, tmp_path, f"toy-{sha256(request.node.nodeid.encode())[7:15]}")


def test_the_serve_task_returns_a_real_answer_of_the_promoted_version(shop):
    digest, weights = shop.promote()
    histories = shop.folder / "histories.parquet"
    row = {"unit": [shop.unit(PERSON)], "history": [json.dumps({"bought": ["p2", "p2"]})]}
    write_parquet(histories, pd.DataFrame(row))
    with listening(create_app(shop.settings, {shop.name: shop.record})) as url:
        held = shop.promoter.model_copy(update={"server_url": url})
        told = serve_task.run(held, shop.record, digest, histories, AS_OF)
    assert (told["digest"], told["seq"], told["unit"]) == (digest, 1, shop.unit(PERSON))
    found = [(item["product_id"], item["score"]) for item in told["answer"]["items"]]
    assert found == expected(weights, ["p2", "p2"], 3)
    assert json.loads(json.dumps(told)) == told


def test_the_serve_task_says_why_the_server_does_not_serve(shop, monkeypatch):
    digest, _ = shop.promote()
    shop.histories(**{PERSON: []})
    monkeypatch.setattr(serve_task, "WAIT_SECONDS", 0.5)
    held = shop.promoter.model_copy(update={"server_url": "http://127.0.0.1:9"})
    with pytest.raises(ServiceUnavailable, match="ConnectError"):
        serve_task.run(held, shop.record, digest, shop.folder / "histories.parquet", AS_OF)
    with listening(create_app(shop.settings, {shop.name: shop.record})) as url:
        held = held.model_copy(update={"server_url": url})
        with pytest.raises(ServiceUnavailable, match=digest):
            serve_task.run(held, shop.record, sha256(b"another"), shop.folder / "histories.parquet", AS_OF)
