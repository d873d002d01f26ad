"""No client's mistake is a 500: every route, from its own OpenAPI schema, from hostile values, and from bytes that are none."""

import copy
import json
import string
from contextlib import ExitStack
from datetime import timedelta

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from ml.serving.customer import sign
from tests.served_shop import items
from tests.whole_shop import CUSTOMER

pytestmark = pytest.mark.filterwarnings("ignore")

FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
WEEKS, AHEAD = 36, 4  # of the version in `whole_shop`
SERIES = {
    "product_id": "1039",
    "time": "2026-06-29",
    **{name: [1.0] * WEEKS for name in ("history", "price", "display", "mailer", "front_page")},
    **{name: [0.0] * AHEAD for name in ("display_ahead", "mailer_ahead", "front_page_ahead")},
    "lead_time": 1,
    "pack_size": 4,
    "minimum_order": 0,
    "unit_cost": 1.5,
    "service_level": 0.9,
    "on_hand": 3,
}
PAYMENT = {
    "customer_id": "anna",
    "terminal_id": "9-1",
    "amount": 20.0,
    "paid_at": "2026-07-01T15:00:00+02:00",
    "channel": "till",
    "payment_id": "p-1",
}
CARD = {"count": 1, "cents": 5, "squares": 25, "usual_count": 1, "usual_cents": 5, "payments": [[9, 5, 0]], "known": []}
BOUGHT = {"product_id": "1039", "purchased_at": "2026-07-01T10:00:00", "basket_id": "b-1"}
STEP = {"order_number": "A1047-220", "step": "shipped", "at": "2026-07-01"}
RATED = {"age": 25, "gender": 1, "purchase_history": 10, "avg_rating": 3.5}
GOOD = [
    (
        "/v1/recommend/predict",
        {"customer_id": "anna", "history": [BOUGHT], "exclude": ["77"], "k": 3, "now": "2026-07-02T00:00Z"},
    ),
    ("/v1/recommend/explain", {"history": [BOUGHT, {**BOUGHT, "product_id": "1040"}]}),
    ("/v1/recommend/events", {"customer_id": "anna", "event": BOUGHT, "event_id": "e-1"}),
    ("/v1/fraud/predict", {**PAYMENT, "card": CARD, "terminal": {"payments": [[9]], "known": [[9, 8, 0]]}}),
    ("/v1/fraud/explain", PAYMENT),
    (
        "/v1/fraud/events",
        {"customer_id": "anna", "event": {"terminal_id": "9-1", "amount": 2.0, "paid_at": PAYMENT["paid_at"]}},
    ),
    ("/v1/inventory/predict", {"series": ["1039/larger"], "stock": {"1039/larger": {"on_hand": 1}}, "known": [SERIES]}),
    ("/v1/inventory/explain", {"known": [SERIES]}),
    (
        "/v1/service/predict",
        {"message": "Where is my order?", "language": "en", "today": "2026-07-01", "message_id": "m1"},
    ),
    ("/v1/service/explain", {"message": "怎么退货", "choice": "intent:returns"}),
    ("/v1/service/events", {"customer_id": "anna", "event": STEP}),
    ("/v1/rating/predict", RATED),
    ("/v1/rating/explain", RATED),
    ("/v1/out-of-stock", {"out_of_stock": ["fuzzed-1"]}),
]
HOSTILE = [
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "1" + "0" * 400,
        str(2**63),
        "-9223372036854775809",
        str(10**18),
        "1e18",
    ),
    *(
        "null",
        "true",
        "[]",
        "{}",
        '""',
        '" "',
        '"\\u0000"',
        '"\\ud800"',
        '"nan"',
        '"NaN"',
        '"1e400"',
        '"x"',
        "0",
        "-1",
        "1e-320",
    ),
    *(
        '"0001-01-01T00:00+14:00"',
        '"9999-12-31T23:59-12:00"',
        '"0001-01-01"',
        '"9999-12-31"',
        '"2026-02-30"',
        '"24:00"',
    ),
    *(
        '"2026-07-01T10:00:00+99:99"',
        '"' + "x" * 5000 + '"',
        '["' + "x" * 300 + '"]',
        "1234.0",
        "1234.5",
        '{"a": {"b": [1]}}',
    ),
    "[" * 30 + "]" * 30,
    '{"a":1,"a":2}',
    "[1,2,3,4,5,6,7,8]",
    "[" + ",".join(["0"] * 1000) + "]",
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ROUTES = sorted(
    {path for path, _ in GOOD} | {"/v1/out-of-stock/x", "/health", "/metrics", "/chat", "/customer", "/sign-in"}
)


@pytest.fixture(scope="module")
def client(whole_shop, tmp_path_factory):
    with whole_shop.open(tmp_path_factory.mktemp("fuzzed")) as client:
        yield client
        client.put("/v1/out-of-stock", json={"out_of_stock": []})


@pytest.fixture(scope="module")
def stranger(client):
    with httpx.Client(base_url=client.base_url, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def document(client):
    return client.get("/openapi.json").json()


def finite(text):
    """Read JSON as the standard has it: a NaN or an infinity is none."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))


def fine(response):
    """Assert what holds for every answer there is: it is no fault of the server, and one of the shape that is promised."""
    told = f"{response.request.method} {response.request.url} {response.request.content[:300]} {response.text[:300]}"
    assert response.status_code < 500, told
    if response.status_code == 422:
        problem = finite(response.text)["error"]
        assert problem["fields"], told
        assert all(field["field"] and field["expected"] for field in problem["fields"])
    return response


def places(value, place=()):
    """Yield the place of every value in a body, the body itself first."""
    yield place
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in list(named)[:3]:
        yield from places(item, (*place, name))


def with_text(body, place, text):
    """Return the body as JSON, with a text of any kind in one place."""
    if not place:
        return text
    mark, changed = "\u2603", copy.deepcopy(body)
    holder = changed
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = mark
    return json.dumps(changed).replace(json.dumps(mark), text)


def send(client, path, text):
    method = "PUT" if path == "/v1/out-of-stock" else "POST"
    return client.request(method, path, content=text, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_route_stands_what_its_own_schema_yields(client, stranger, document, mode):
    """Answers fit their schema, too; anonymous ones are refused wherever a token is asked for."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=str(client.base_url))
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or operation.path != "/metrics":  # of which nothing can be wrong
            assert sent(operation, mode, client, stranger) - {401}, operation.label


def sent(operation, mode, client, stranger):
    """Return the statuses with which generated requests were answered."""
    seen = set()

    @settings(FUZZ, max_examples=8)
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case):
        for sender in (client, stranger):
            asked = {**case.as_transport_kwargs(base_url=str(client.base_url)), "timeout": 30}
            asked["headers"] = {**asked["headers"], **sender.headers}
            answered = requests.request(**asked)
            is_open = operation.path == "/health"
            assert answered.status_code < 500 or (is_open and answered.status_code == 503), case
            assert sender is client or is_open or answered.status_code == 401, case
            if sender is client and answered.status_code in (200, 422):
                operation.validate_response(schemathesis.Response.from_requests(answered, verify=False))
            seen.add(answered.status_code)

    check()
    return seen


@pytest.mark.parametrize(("path", "body"), GOOD, ids=[path for path, _ in GOOD])
def test_the_requests_that_are_changed_below_are_good_ones(client, path, body):
    assert send(client, path, json.dumps(body)).status_code == 200


@pytest.mark.parametrize(("path", "body"), GOOD, ids=[path for path, _ in GOOD])
def test_no_value_in_any_place_is_a_fault_of_the_server(client, path, body):
    @settings(FUZZ, max_examples=60)
    @given(place=st.sampled_from(list(places(body))), text=st.sampled_from(HOSTILE))
    def changed(place, text):
        fine(send(client, path, with_text(body, place, text)))

    changed()


FORECAST = st.fixed_dictionaries(
    {
        "past": st.integers(0, 60),
        "ahead": st.integers(0, 8),
        "name": st.sampled_from(["history", "price", "display", "mailer", "front_page"]),
        "plan": st.sampled_from(["display_ahead", "mailer_ahead", "front_page_ahead"]),
        "sold": st.floats(-1e7, 1e7),
        "price": st.floats(-20, 20),
    }
)
TERMS = st.fixed_dictionaries(
    {
        "lead_time": st.integers(0, 10),
        "on_hand": st.none() | st.integers(0, 10_000_000),
        "pack_size": st.integers(1, 10_000_000),
        "minimum_order": st.integers(0, 10_000_000),
        "service_level": st.floats(0, 1, exclude_min=True, exclude_max=True),
    }
)


@settings(FUZZ, max_examples=80)
@given(asked=FORECAST, terms=TERMS, is_right=st.booleans())
def check_forecasts(client, asked, terms, is_right):
    """What fits is answered with finite numbers, what does not names its field; there is nothing between."""
    past, ahead = (WEEKS, AHEAD) if is_right else (asked["past"], asked["ahead"])
    known = {
        **{**SERIES, **terms, "history": [asked["sold"]] * WEEKS, "price": [asked["price"]] * WEEKS},
        **{asked["name"]: [0.5] * past, asked["plan"]: [0.5] * ahead},
    }
    answered = fine(client.post("/v1/inventory/predict", json={"known": [SERIES, known]}))
    fits = past == WEEKS and ahead == AHEAD and terms["lead_time"] <= AHEAD - 1
    assert answered.status_code == (200 if fits else 422), answered.text
    if fits:
        _, line = finite(answered.text)["lines"]
        assert (line["order_quantity"] is None) == (terms["on_hand"] is None)
        assert line["expected_demand"] >= 0
    else:
        wrong = {field["field"] for field in answered.json()["error"]["fields"]}
        assert wrong <= {f"known.1.{one}" for one in (asked["name"], asked["plan"], "lead_time")}


def test_forecasts_are_answered_or_name_what_does_not_fit(client):
    check_forecasts(client)


def test_the_lengths_that_a_version_needs_stand_in_the_openapi_document(document):
    told = document["components"]["schemas"]["KnownSeries"]["properties"]
    assert (told["history"]["minItems"], told["history"]["maxItems"]) == (WEEKS, WEEKS)
    assert (told["front_page_ahead"]["minItems"], told["front_page_ahead"]["maxItems"]) == (AHEAD, AHEAD)
    assert told["lead_time"]["maximum"] == AHEAD - 1
    Draft202012Validator.check_schema(document["components"]["schemas"]["KnownSeries"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("lead_time", 10**6), ("minimum_order", 10**18), ("pack_size", 2**62), ("on_hand", 10**18), ("history", [1] * 35)],
)
def test_unbounded_horizons_and_quantities_are_refused_by_name(client, field, value):
    for verb in ("predict", "explain"):
        answered = fine(client.post(f"/v1/inventory/{verb}", json={"known": [{**SERIES, field: value}]}))
        assert answered.status_code == 422
        assert [one["field"] for one in answered.json()["error"]["fields"]] == [f"known.0.{field}"]


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ('{"customer_id": "a", "k": NaN}', "k", "a finite number"),
        ('{"history": [{"product_id": "1", "quantity": -Infinity}]}', "history.0.quantity", "a finite number"),
        ('{"k": 1e999}', "k", "a finite number"),
        ('{"k": 18446744073709551616}', "k", "a whole number of 64 bits"),
        ('{"k": 1, "k": 2}', "k", "one value of this name"),
        ('{"customer_id": "\\ud800"}', "customer_id", "text of whole characters"),
        ("[" * 100_000, "body", "at most 16 levels"),
        ('{"a":' * 40_000, "body", "at most 16 levels"),
        (b'{"customer_id": "\xff"}', "body", "text in UTF-8"),
        ("", "body", "Field required"),
        ("{", "body", "JSON; at character 1"),
        ("1", "body", "valid dictionary"),
    ],
)
def test_bodies_that_no_field_can_hold_are_refused_where_they_are_wrong(client, text, field, expected):
    answered = fine(send(client, "/v1/recommend/predict", text))
    assert answered.status_code == 422
    (fault,) = answered.json()["error"]["fields"]
    assert fault["field"] == field
    assert expected in fault["expected"]


@pytest.mark.parametrize("form", ['"anna-7"', '" anna-7 "', '"\\tanna-7\\n"'])
def test_space_around_an_identifier_makes_no_stranger(client, form):
    event = {"product_id": "1039", "purchased_at": "2026-07-01T10:00:00"}
    assert client.post("/v1/recommend/events", json={"customer_id": "anna-7", "event": event}).status_code == 200
    known, strange = ask(client, '"anna-7"'), ask(client, '"nobody"')
    assert not known["fallback"]
    assert ask(client, form) == known
    assert strange["fallback"]


@pytest.mark.parametrize("form", ["4711", "4711.0", '"4711"', '" 4711"', "4.711e3"])
def test_a_number_is_the_identifier_of_its_digits(client, form):
    event = {"product_id": 1039.0, "purchased_at": "2026-07-01T10:00:00"}
    assert client.post("/v1/recommend/events", json={"customer_id": "4711", "event": event}).status_code == 200
    assert not ask(client, form)["fallback"]


@pytest.mark.parametrize(
    "form", ["true", "1234.5", "NaN", '"NaN"', '"null"', '" "', "1e300", "[]", '"a\\u0000b"', '"\\u200b"']
)
def test_what_is_no_identifier_is_refused_by_name(client, form):
    answered = fine(send(client, "/v1/recommend/predict", f'{{"customer_id": {form}}}'))
    assert answered.status_code == 422
    assert [one["field"] for one in answered.json()["error"]["fields"]] == ["customer_id"]


def ask(client, form):
    answered = send(client, "/v1/recommend/predict", f'{{"customer_id": {form}, "k": 3}}')
    assert items(answered)
    return {name: value for name, value in answered.json().items() if name != "explored"}


ANYTHING = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"]),
        "url": st.sampled_from(ROUTES),
        "content": st.binary(max_size=60) | st.sampled_from([b"{}", b"--x\r\n", b"a=%ff&b=%ed%a0%80", b"[" * 9999]),
    }
)
QUERIES = ["", "?ready=%ff", "?next=//evil", "?next=%00", "?" + "&" * 500, "?ready=all&ready=x"]
KINDS = ["application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "", "a/b;c"]
HEADERS = ["Tradewind-Unit", "Tradewind-Customer", "Cookie", "Origin", "Authorization", "Accept-Language"]
VALUES = [
    b"\xff\xfe",
    b"[::1",
    b"Bearer",
    b"Bearer \xe9.\xe9",
    b"tradewind_session=\xff.x.y; =;",
    b"http://[bad",
    b"x" * 4000,
]


@settings(FUZZ, max_examples=80)
@given(
    asked=ANYTHING,
    query=st.sampled_from(QUERIES),
    kind=st.sampled_from(KINDS),
    header=st.dictionaries(st.sampled_from(HEADERS), st.sampled_from(VALUES), max_size=2),
)
def check_anything(clients, asked, query, kind, header):
    for client in clients:
        headers = {"Content-Type": kind, **header}
        answered = client.request(**{**asked, "url": asked["url"] + query}, headers=headers)
        assert answered.status_code < 500 or asked["url"] == "/health", (asked, query, headers)


def test_methods_headers_queries_and_bytes_of_any_kind_are_answered(client, stranger):
    check_anything([client, stranger])


NAMES = [
    "message",
    "option",
    "conversation_id",
    "message_id",
    "turns",
    "ask",
    "amount",
    "n_items",
    "terminal_id",
    "token",
    "next",
]
TURN = {
    "said": "x" * 2000,
    "answer": {
        **{
            "conversation_id": "-",
            "kind": "ask",
            "text": "",
            "own": "",
            "language": "en",
            "intent": None,
            "confidence": 0,
        },
        **{"candidates": [], "options": [{"label": "y" * 5000, "choice": "z" * 500}]},
    },
}


@settings(FUZZ, max_examples=60)
@given(
    path=st.sampled_from(["/chat", "/customer", "/sign-in", "/sign-in/out", "/sign-in/customer", "/sign-in/language"]),
    fields=st.dictionaries(
        st.sampled_from(NAMES),
        st.sampled_from(
            [
                "",
                " ",
                "NaN",
                "inf",
                "-1",
                "1e400",
                "payment",
                "message",
                "0",
                "\ufffd\x00",
                "x" * 3000,
                "[1]",
                "[" * 9999,
            ]
        )
        | st.text(string.printable, max_size=20),
        max_size=5,
    ),
)
def check_forms(clients, path, fields):
    for client in clients:
        fine(client.post(path, data=fields))


def test_pages_stand_forms_that_none_of_them_made(whole_shop, client, stranger):
    with ExitStack() as stack:
        signed = stack.enter_context(httpx.Client(base_url=client.base_url, timeout=30))
        origin = {"Origin": str(client.base_url).rstrip("/")}
        assert signed.post("/sign-in", data={"token": whole_shop.token}, headers=origin).status_code == 303
        named = sign(whole_shop.keys.private, CUSTOMER, timedelta(minutes=5))
        assert signed.post("/sign-in/customer", data={"token": named}, headers=origin).status_code == 303
        signed.headers.update(origin)
        forged = {"turns": json.dumps([TURN]), "option": "0", "message_id": "m"}
        assert fine(signed.post("/chat", data=forged)).status_code == 422
        assert fine(signed.post("/chat", content=b"message=hi&message_id=%ff", headers=FORM)).status_code == 422
        check_forms([signed, client, stranger])
