"""Nobody without the token, nothing malformed and nothing personal gets past the server's door."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ml.errors import ConfigInvalid
from ml.files import sha256
from ml.privacy.pseudonym import pseudonym
from ml.serving.app import create_app
from ml.serving.door import Door
from ml.serving.guard import BODY_LIMIT_BYTES
from ml.use_cases import load
from tests.served_shop import PERSON, Shop, answer


@pytest.fixture
def shop(object_store, tmp_path, request):
    return Shop(object_store, tmp_path, f"toy-{sha256(request.node.nodeid.encode())[7:15]}")


def test_nothing_but_health_answers_without_the_token(shop):
    wrong = ("", shop.token, f"Basic {shop.token}", "Bearer wrong", f"Bearer {shop.token}x")
    with shop.open() as client:
        for path in ("/metrics", "/openapi.json", "/docs", "/", f"/v1/{shop.name}/version", "/v1/nothing/version"):
            for given in wrong:
                refused = client.get(path, headers={"Authorization": given})
                assert refused.status_code == 401, (path, given)
                assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert client.post(f"/v1/{shop.name}/predict", json={}, headers={"Authorization": ""}).status_code == 401
        assert client.get("/health", headers={"Authorization": ""}).status_code == 200


def test_bad_requests_say_which_field_and_repeat_no_value(shop):
    shop.promote()
    with shop.serving() as client:
        long = shop.predict(client, customer_id="secret-" * 10, k=99, unknown=1)
        assert long.status_code == 422
        faults = {fault["field"]: fault for fault in long.json()["error"]["fields"]}
        assert faults["customer_id"]["received"] == "a text of 70 characters"
        assert "less than or equal to 5" in faults["k"]["expected"]
        assert set(faults) == {"customer_id", "k", "unknown"}
        assert "secret-" not in long.text
        assert client.post(f"/v1/{shop.name}/predict", content=b"{not json").status_code == 422
        assert client.post(f"/v1/{shop.name}/predict", json=[]).status_code == 422
        assert client.get(f"/v1/{shop.name}/predict").status_code == 405
        bad_unit = client.post(f"/v1/{shop.name}/predict", json={}, headers={"Tradewind-Unit": PERSON})
        assert bad_unit.status_code == 422
        assert PERSON not in bad_unit.text


def test_unknown_paths_are_404(shop):
    with shop.open() as client:
        for path in ("/v1/nothing/predict", "/v1/nothing/version", "/v2", f"/v1/{shop.name}/nothing"):
            found = client.get(path)
            assert found.status_code == 404, path
            assert set(found.json()["error"]) == {"expected", "received", "action"}


def test_bad_events_are_refused_and_change_nothing(shop):
    ahead = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    bad = (
        {"product_id": "p1", "purchased_at": "yesterday"},
        {"purchased_at": "2018-01-01"},
        {"product_id": "p1", "purchased_at": ahead},
    )
    with shop.open() as client:
        for event in bad:
            refused = client.post(f"/v1/{shop.name}/events", json={"customer_id": PERSON, "event": event})
            assert refused.status_code == 422
            assert refused.json()["error"]["fields"][0]["field"].startswith("event")
        assert client.post(f"/v1/{shop.name}/events", json={"event": {"product_id": "p1"}}).status_code == 422
    assert shop.logged("events") == []


def test_names_inside_a_request_are_hidden_at_any_depth(shop):
    record = load("recommend")
    bought = {"product_id": "7", "purchased_at": "2018-01-02T10:00:00", "basket_id": "basket-0815"}
    sent = record.service.request.model_validate({"customer_id": PERSON, "history": [bought]})
    admitted, unit = Door(shop.settings, record).admit(sent, None, UTC)
    assert unit == admitted.customer_id == shop.unit(PERSON)
    assert admitted.history[0].product_id == "7"
    assert admitted.history[0].basket_id == pseudonym(shop.key, "basket_id", "basket-0815")
    assert admitted.model_fields_set == {"customer_id", "history"}


def test_a_body_beyond_the_limit_is_refused(shop):
    shop.promote()
    with shop.serving() as client:
        assert shop.predict(client, history=["x" * BODY_LIMIT_BYTES]).status_code == 413

        def chunks():
            yield b'{"history": ["'
            for _ in range(BODY_LIMIT_BYTES // 1024 + 1):
                yield b"x" * 1024
            yield b'"]}'

        assert client.post(f"/v1/{shop.name}/predict", content=chunks()).status_code == 413
        assert shop.predict(client, history=["x" * 1000]).status_code == 200


def test_an_unforeseen_error_shows_no_trace_and_no_value(shop, caplog):
    def broken(predictor, state, request, history):
        if request.basket_id is not None:
            raise RuntimeError(f"cannot answer {PERSON}")
        return answer(predictor, state, request, history)

    shop.promote()
    service = replace(shop.record.service, answer=broken)
    with shop.serving(service=service) as client:
        failed = shop.predict(client, basket_id="1")
    assert failed.status_code == 500
    assert failed.headers["Tradewind-Request-Id"] in failed.json()["error"]["received"]
    assert "Traceback" not in failed.text
    assert "RuntimeError" in caplog.text
    assert PERSON not in failed.text + caplog.text


def test_openapi_shows_each_use_cases_own_request(shop):
    with shop.open() as client:
        schema = client.get("/openapi.json").json()
    body = schema["paths"][f"/v1/{shop.name}/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fields = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]["properties"]
    assert set(fields) == {"customer_id", "history", "basket_id", "k"}
    assert "HTTPBearer" in schema["components"]["securitySchemes"]


def test_a_server_without_its_secrets_does_not_start(shop):
    for name in ("server_token", "pseudonym_key"):
        with pytest.raises(ConfigInvalid, match=name.upper()):
            create_app(shop.settings.model_copy(update={name: None}), {shop.name: shop.record})
