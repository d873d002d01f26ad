"""Events are stored by the fields of their kind: nobody's name, address or number lies in what the server writes."""

import copy
import json
import sqlite3
from datetime import date

import pytest

from ml.monitoring.traffic import lines
from ml.privacy.pseudonym import pseudonym, read_key
from ml.serving.state import LAYOUT_VERSION
from ml.store import Bucket
from tests.served_shop import wait
from tests.test_request_fuzz import BOUGHT, GOOD, PAYMENT, STEP

pytestmark = pytest.mark.filterwarnings("ignore")

NAME, MAIL, PHONE, NUMBER = "Anna Kowalska", "anna.kowalska@example.com", "+44 20 7946 0958", "CID-77889911"
PLANTED = (NAME, MAIL, PHONE)
NOTICE = {
    "reported_at": "2026-07-02T10:00:00",
    "payment_at": PAYMENT["paid_at"],
    "was_odd": False,
    "payment_id": "p",
    "reason": "10.4",
}
PAID = {
    "terminal_id": "9-1",
    "amount": 2.0,
    "paid_at": PAYMENT["paid_at"],
    "payment_id": "p",
    "basket_id": "b",
    "store_id": "9",
}
PLACED = {**STEP, "step": "placed", "products": [{"product_id": "77", "name": "Kettle"}]}
EVENTS = [
    ("recommend", {**BOUGHT, "store_id": "9", "amount": 1.0, "discount": 0.0, "quantity": 1}),
    ("fraud", {**PAID, "product_id": "7", "channel": "till", "coupon_amount": 0.0, "n_items": 1}),
    ("fraud", {**NOTICE, "terminal_id": "9-1"}),
    ("service", PLACED),
    ("service", {"feedback": "helped", "conversation_id": "conversation-of-anna"}),
]
NAMES = ("customer_id", "event_id", "payment_id", "basket_id", "message_id")  # name somebody or something of theirs


def leaves(value, place=()):
    """Yield the place of every text and number of a body."""
    if isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*place, name))
    else:
        yield place


def planted(body, place, value):
    changed = copy.deepcopy(body)
    holder = changed
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = value
    return changed


def written(shop, home):
    """Return all that servers wrote: the disk, and the two buckets, names included."""
    files = [path for path in home.rglob("*") if path.is_file() and "versions" not in path.parts]
    found = {str(path.relative_to(home)): path.read_bytes() for path in files}
    for name in ("requests", "state"):
        bucket = Bucket.open(shop.promoter if name == "state" else shop.reader, name)
        found |= {f"{name}/{key}": bucket.get(key) for key in bucket.keys("") if not key.endswith(".parquet")}
    return found


def holders(shop, home, *values):
    found = written(shop, home).items()
    return {(place, value) for place, data in found for value in values if value.encode() in data or value in place}


def test_nothing_of_a_person_is_in_what_the_server_writes(whole_shop, tmp_path):
    """A planted name, e-mail address and phone number in every field of every kind of event and request, and in fields beside."""
    home = tmp_path / "home"
    with whole_shop.open(home) as client:
        sent = [(f"/v1/{name}/events", {"customer_id": "c", "event_id": "e", "event": event}) for name, event in EVENTS]
        for path, body in [*sent, *(one for one in GOOD if one[0].startswith("/v1/") and "out-of" not in one[0])]:
            for place in leaves(body):
                for value in PLANTED:
                    said = f"Please call {value}" if place == ("message",) else value
                    answered = client.post(path, json=planted(body, place, said))
                    assert answered.status_code in (200, 422), answered.text
                if place[-1] in NAMES:
                    assert client.post(path, json=planted(body, place, NUMBER)).status_code == 200
        for path, body in sent:
            refused = client.post(path, json={**body, "event": {**body["event"], "note": f"{NAME}, {MAIL}"}})
            assert refused.status_code == 422
            assert refused.json()["error"]["fields"][0]["field"].endswith("note")
        token = {"Tradewind-Unit": whole_shop.unit}
        assert client.get("/metrics").text.count(NUMBER) == 0
        assert client.post("/v1/recommend/predict", json={}, headers=token).status_code == 200
    assert holders(whole_shop, home, *PLANTED, NUMBER) == set()
    assert any(place.startswith("requests/events/") for place in written(whole_shop, home))


def test_ids_are_keyed_digests_and_an_event_that_is_sent_again_counts_once(whole_shop, tmp_path):
    home, event = tmp_path / "home", {**PAID, "terminal_id": "77-9"}
    body = {"customer_id": "emil", "event": event, "event_id": MAIL}
    digest = pseudonym(read_key(whole_shop.settings), "event_id", MAIL)
    with whole_shop.open(home) as client:
        assert client.post("/v1/fraud/events", json=body).json() == {"counted": True}
        assert client.post("/v1/fraud/events", json=body).json() == {"counted": False}
        assert client.post("/v1/service/events", json={"customer_id": "emil", "event": STEP}).json() == {
            "counted": True
        }
    unit = pseudonym(read_key(whole_shop.settings), "customer_id", "emil")
    lines = [line for line in logged(whole_shop, "fraud") if line["unit"] == unit]
    assert [(line["id"], line["event"]["terminal_id"]) for line in lines] == [(digest, "77-9")]
    (step,) = (line["event"] for line in logged(whole_shop, "service") if line["unit"] == unit)
    assert step == {
        **STEP,
        "order_number": pseudonym(read_key(whole_shop.settings), "order_number", STEP["order_number"]),
    }
    with sqlite3.connect(home / "server" / "state.sqlite") as kept:
        assert {row[0] for row in kept.execute("SELECT id FROM event WHERE use_case = 'fraud'")} == {digest}


def logged(shop, use_case):
    bucket = Bucket.open(shop.reader, "requests")
    keys = list(bucket.keys(f"events/{use_case}/"))
    return [json.loads(line) for key in keys for line in bucket.get(key).splitlines()]


def test_a_till_with_spaces_in_its_name_is_the_same_till_in_events_and_payments(whole_shop, tmp_path):
    """Its charge-backs count in later payments there, though its name is nowhere in what the server keeps."""
    till, coded, other = "Kasse Süd 4", "K-4", "Kasse Nord 9"
    home, notice = tmp_path / "home", {"reported_at": "2026-07-02T10:00:00", "payment_at": "2026-07-01T10:00:00"}
    payment = {"amount": 20.0, "paid_at": "2026-07-20T10:00:00", "channel": "till"}
    with whole_shop.open(home) as client:
        for name in (till, coded):
            paid = {"amount": 20.0, "paid_at": "2026-07-01T10:00:00", "terminal_id": name}
            for event in (paid, {**notice, "was_odd": True, "terminal_id": name}):
                body = {"customer_id": f"who pays at {name}", "event": event}
                assert client.post("/v1/fraud/events", json=body).json() == {"counted": True}
        spaced, plain, elsewhere = (
            client.post("/v1/fraud/predict", json={**payment, "terminal_id": one}).json()["score"]
            for one in (till, coded, other)
        )
    assert spaced == plain != elsewhere
    assert not [path for path in (home / "server").glob("state.sqlite*") if till.encode() in path.read_bytes()]


def test_events_that_were_stored_as_sent_are_written_again_and_still_count_once(whole_shop, tmp_path):
    home = tmp_path / "home"
    unit = pseudonym(read_key(whole_shop.settings), "customer_id", "olga")
    body = {"terminal_id": "5-5", "amount": 2.0, "paid_at": "2026-07-05T10:00:00", "note": f"{NAME} {PHONE}"}
    with whole_shop.open(home):
        pass  # lays the file out
    with sqlite3.connect(home / "server" / "state.sqlite") as kept:
        row = ("fraud", unit, "2026-07-05T10:00:00.000000", MAIL, json.dumps(body))
        kept.execute("INSERT INTO event (use_case, unit, time, id, event) VALUES (?, ?, ?, ?, ?)", row)
        kept.execute("PRAGMA user_version = 0")
    with whole_shop.open(home) as client:
        again = {"customer_id": "olga", "event": {name: body[name] for name in ("amount", "paid_at")}, "event_id": MAIL}
        assert client.post("/v1/fraud/events", json=again).json() == {"counted": False}
        held = [path.read_bytes() for path in (home / "server").glob("state.sqlite*")]
        assert not [value for value in (NAME, MAIL, PHONE) for data in held if value.encode() in data]
    with sqlite3.connect(home / "server" / "state.sqlite") as kept:
        assert kept.execute("PRAGMA user_version").fetchone() == (LAYOUT_VERSION,)


def test_an_event_that_cannot_be_logged_is_not_counted_and_not_answered_as_if_it_were(whole_shop, tmp_path):
    """The disk takes no line: a file lies where the folder of the log should be."""
    home, who = tmp_path / "home", "frieda"
    unit = pseudonym(read_key(whole_shop.settings), "customer_id", who)
    body = {
        "customer_id": who,
        "event": {"product_id": "1039", "purchased_at": "2026-07-05T10:00:00"},
        "event_id": "once",
    }
    blocked = home / "server" / "spool" / "events"
    with whole_shop.open(home) as client:
        blocked.write_text("no folder")
        for _ in range(2):
            refused = client.post("/v1/recommend/events", json=body)
            assert refused.status_code == 503
            assert "Try again" in refused.json()["error"]["action"]
        assert client.post("/v1/recommend/predict", json={"customer_id": who}).json()["fallback"]
        blocked.unlink()
        assert client.post("/v1/recommend/events", json=body).json() == {"counted": True}
        assert not client.post("/v1/recommend/predict", json={"customer_id": who}).json()["fallback"]
        wait(lambda: [line for line in logged(whole_shop, "recommend") if line["unit"] == unit], 30)
    assert len([line for line in logged(whole_shop, "recommend") if line["unit"] == unit]) == 1


def test_an_event_that_was_written_twice_is_monitored_once(whole_shop):
    """A server was killed between line and change, and the sender sent again: both lines bear one id."""
    line = {"schema": "tradewind/event/1", "unit": "u", "event": {"product_id": "1"}, "time": "2026-01-02T00:00:00"}
    data = b"".join(
        json.dumps({**line, **more}).encode() + b"\n" for more in ({"id": "a"}, {"id": "a"}, {"id": "b"}, {}, {})
    )
    Bucket.open(whole_shop.settings, "requests").put("events/recommend/2026-01-02/1.jsonl", data)
    found = lines(Bucket.open(whole_shop.reader, "requests"), "events", "recommend", date(2026, 1, 2), 1)
    assert [one.get("id") for one in found] == ["a", "b", None, None]
