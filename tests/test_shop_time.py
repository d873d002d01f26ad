"""A time with an offset is the same hour of the shop in training and in serving, in every zone and across daylight saving."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ml.errors import ConfigInvalid
from ml.files import read_json, write_json, write_parquet
from ml.pipeline import features
from ml.pipeline.context import StageContext
from ml.serving.customer import sign
from ml.serving.versions import RegistryVersions
from ml.shop import CHARGEBACKS, PAYMENTS, PURCHASES
from ml.shop_time import local, zone_of
from ml.sources.conform import conform
from ml.sources.mapping import parse_mapping
from ml.sources.opening import open_source
from ml.store import Bucket
from ml.use_cases import load
from ml.use_cases.fraud.tally import features_of
from tests.served_shop import wait
from tests.whole_shop import CUSTOMER

pytestmark = pytest.mark.filterwarnings("ignore")

ZONES = ("America/Los_Angeles", "Asia/Shanghai", "Europe/Berlin")  # eight hours behind, eight ahead, and one between
CHANGES = (datetime(2026, 3, 29, 1), datetime(2026, 10, 25, 1), datetime(2026, 3, 8, 10), datetime(2026, 11, 1, 9))
INSTANTS = st.builds(
    lambda at, minutes: at.replace(tzinfo=UTC) + timedelta(minutes=minutes),
    st.sampled_from(CHANGES),
    st.integers(-180, 180),
) | st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def ingested(times, zone):
    """Return the times as ingest hands them over."""
    n = len(times)
    raw = {"customer_id": ["a"] * n, "basket_id": ["b"] * n, "product_id": ["p"] * n, "quantity": ["1"] * n}
    table = pa.table({**raw, "amount": ["1"] * n, "purchased_at": times})
    mapped = parse_mapping({"time_zone": zone} if zone else None)
    return conform(table, PURCHASES, mapped.of(PURCHASES), "a test")["purchased_at"].to_pylist()


@settings(max_examples=100, deadline=None)
@given(zone=st.sampled_from(ZONES), instant=INSTANTS, one=OFFSETS, other=OFFSETS)
@example(zone="Asia/Shanghai", instant=datetime(2026, 7, 1, 2, 30, tzinfo=UTC), one=UTC, other=UTC)
def test_ingest_and_serving_tell_an_instant_alike(zone, instant, one, other):
    told = [instant.astimezone(one), instant.astimezone(other)]
    by_hand = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)
    assert ingested([moment.isoformat() for moment in told], zone) == [by_hand, by_hand]
    assert [local(moment, zone_of({"time_zone": zone})) for moment in told] == [by_hand, by_hand]


@settings(max_examples=50, deadline=None)
@given(instant=INSTANTS, offset=OFFSETS)
def test_without_a_zone_a_time_stands_as_it_is_written_in_both(instant, offset):
    moment = instant.astimezone(offset)
    assert ingested([moment.isoformat()], None) == [moment.replace(tzinfo=None, fold=0)]
    assert local(moment, zone_of({"time_zone": None})) == moment.replace(tzinfo=None, fold=0)
    assert local(moment.replace(tzinfo=None), zone_of({})) == moment.replace(tzinfo=None, fold=0)


def test_of_a_version_from_before_there_was_a_zone_times_are_told_in_utc():
    assert local(datetime.fromisoformat("2026-07-01T10:30:00+08:00"), zone_of({})) == datetime(2026, 7, 1, 2, 30)


def test_the_sources_zone_is_frozen_and_travels_in_the_fitted_state(tmp_path, object_store):
    line = "household_id,basket_id,product_id,quantity,amount,purchased_at\n"
    (tmp_path / "purchases.csv").write_text(line + "a,b,p,1,1.0,2026-07-01T02:30:00Z\n")
    columns = {"customer_id": "household_id"}
    mapping = {"time_zone": "Asia/Shanghai", "tables": {"purchases": {"columns": columns}}}
    source = open_source(
        {"kind": "files", "location": str(tmp_path), "mapping": mapping}, object_store.settings("ingest")
    )
    frozen = source.freeze([PURCHASES], datetime(2026, 7, 2).date())
    assert frozen.time_zone == "Asia/Shanghai"
    rating = load("rating")
    for table, rows in rating.data.sample(np.random.default_rng(5), 60).items():
        write_parquet(tmp_path / "data" / "rating" / "anonymise" / "tables" / table / "all.parquet", rows)
    inputs = {"source": {"time_zone": frozen.time_zone}}
    context = StageContext(
        use_case=rating, params=rating.params(), inputs=inputs, settings=object_store.settings("train"), root=tmp_path
    )
    features.run(context)
    assert read_json(context.data("features") / "state.json")["time_zone"] == "Asia/Shanghai"


def test_a_use_case_whose_tables_are_of_several_zones_is_refused():
    own = {
        "payments": {"time_zone": "Asia/Shanghai"},
        "chargebacks": {"columns": {"reported_at": {"from": "at", "time_zone": "UTC"}}},
    }
    mapping = parse_mapping({"tables": own})
    assert mapping.zone([PAYMENTS]) == "Asia/Shanghai"
    with pytest.raises(ConfigInvalid, match="one time_zone"):
        mapping.zone([PAYMENTS, CHARGEBACKS])


class Zoned(RegistryVersions):
    """The versions of a shop in a zone."""

    def __init__(self, settings, zone):
        super().__init__(settings)
        self._zone = zone

    def fetch(self, use_case, digest, folder):
        """Bring a version whose fitted state names the zone."""
        fetched = super().fetch(use_case, digest, folder)
        write_json(fetched / "state.json", {**read_json(fetched / "state.json"), "time_zone": self._zone})
        return fetched


@pytest.fixture(scope="module", params=ZONES)
def zone(request):
    return request.param


@pytest.fixture(scope="module")
def client(whole_shop, tmp_path_factory, zone):
    with serving(whole_shop, tmp_path_factory.mktemp("zoned"), zone) as client:
        yield client


@contextmanager
def serving(whole_shop, home, zone):
    settings = whole_shop.settings.model_copy(update={"home": home})
    with whole_shop.open(home, Zoned(settings, zone)) as client:
        yield client


def post(client, path, body, **headers):
    answered = client.post(path, json=body, headers=headers)
    assert answered.status_code == 200, answered.text
    return answered


def logged_features(shop, answered):
    """Return the features that were logged of an answer, once they are in the store."""
    name, bucket = answered.headers["Tradewind-Request-Id"], Bucket.open(shop.reader, "requests")

    def lines():
        every = (line for key in sorted(bucket.keys("requests/fraud/"))[-8:] for line in bucket.get(key).splitlines())
        return [found for found in map(json.loads, every) if found["request_id"] == name]

    wait(lambda: len(lines()) == 1, 30)
    return lines()[0]["features"]


def test_features_of_payments_in_serving_are_those_of_training(whole_shop, client, zone):
    """Four payments around the hour that Berlin's and Los Angeles's clocks repeat: events in one offset, the last in another."""
    card, place = f"card-{zone}", f"9-{zone.replace('/', '-')}"
    instants = [datetime(2026, 11, 1, 7, 30, tzinfo=UTC) + timedelta(hours=hours) for hours in (0, 1, 2)]
    rows = {
        "payment_id": ["1", "2", "3"],
        "customer_id": [card] * 3,
        "terminal_id": [place] * 3,
        "amount": ["10", "10", "12"],
        **{"coupon_amount": ["0"] * 3, "n_items": ["1"] * 3, "channel": ["till"] * 3},
        "paid_at": [instant.isoformat() for instant in instants],
    }
    payments = conform(pa.table(rows), PAYMENTS, parse_mapping({"time_zone": zone}).of(PAYMENTS), "a test").to_pandas()
    none = pd.DataFrame({"payment_id": [], "reported_at": pd.to_datetime([])})
    trained = features_of(payments, none, 7).iloc[-1]
    for instant in instants[:2]:
        event = {
            "terminal_id": place,
            "amount": 10.0,
            "paid_at": instant.astimezone(timezone(timedelta(hours=5.5))).isoformat(),
        }
        assert post(client, "/v1/fraud/events", {"customer_id": card, "event": event}).json() == {"counted": True}
    asked = {"customer_id": card, "terminal_id": place, "amount": 12.0, "channel": "till"}
    answered = post(client, "/v1/fraud/predict", {**asked, "paid_at": instants[2].isoformat()})
    by_hand = instants[2].astimezone(ZoneInfo(zone))
    assert answered.json()["paid_at"] == by_hand.replace(tzinfo=None).isoformat()
    served = logged_features(whole_shop, answered)
    assert served["hour"] == by_hand.hour
    same = ["amount", "card_count_1d", "card_count_7d", "terminal_count_7d", "terminal_known_30d"]
    assert [served[name] for name in same] == [trained[name] for name in same]
    assert served["card_count_1d"] == 3


def test_the_shops_morning_is_no_night(client, zone):
    """The same payment in the shop's own words and as an instant is one payment, whatever its offset."""
    for wall in ("2026-07-01T10:30:00", "2026-01-15T02:30:00", "2026-03-29T04:00:00"):
        instant = datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(zone))
        told = [
            wall,
            instant.isoformat(),
            instant.astimezone(UTC).isoformat(),
            instant.astimezone(timezone(timedelta(hours=8))).isoformat(),
        ]
        asked = [{"terminal_id": "9-1", "amount": 20.0, "channel": "till", "paid_at": one} for one in told]
        assert len({client.post("/v1/fraud/explain", json=one).text for one in asked}) == 1
        answers = [post(client, "/v1/fraud/predict", one).json() for one in asked]
        assert all(one == answers[0] for one in answers)
        assert answers[0]["paid_at"] == wall


def test_a_purchase_is_the_same_one_however_its_time_is_told(client, zone):
    wall = [f"2026-11-{day:02d}T{hour}:15:00" for day, hour in ((1, "00"), (1, "23"), (8, "12"))]
    as_instant = [
        datetime.fromisoformat(one).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).isoformat() for one in wall
    ]
    answers = []
    for who, times in ((f"wall-{zone}", wall), (f"instant-{zone}", as_instant)):
        for product, time in zip(("1039", "1040", "1035"), times, strict=True):
            post(
                client,
                "/v1/recommend/events",
                {"customer_id": who, "event": {"product_id": product, "purchased_at": time}},
            )
        history = [{"product_id": "1039", "purchased_at": time} for time in times]
        told = [post(client, "/v1/recommend/predict", {"customer_id": who, "k": 5}).json()["as_of"]]
        told += [post(client, "/v1/recommend/explain", {"customer_id": who, "k": 5}).json()]
        told += [post(client, "/v1/recommend/predict", {"history": history, "now": times[-1], "k": 5}).json()]
        answers.append(told)
    assert answers[0] == answers[1]
    assert answers[0][0] == wall[-1]


def test_a_step_of_an_order_is_on_the_shops_day(whole_shop, client, zone):
    """An hour before midnight of Los Angeles in summer is the next morning in Berlin, and the next afternoon in China."""
    number = f"A104{ZONES.index(zone)}-221"
    said = {"order_number": number, "step": "shipped", "at": "2026-07-01T22:30:00-08:00"}
    post(client, "/v1/service/events", {"customer_id": CUSTOMER, "event": said})
    token = sign(whole_shop.keys.private, CUSTOMER, timedelta(minutes=5))
    asked = {"message": f"Where is my order {number}?", "language": "en", "today": "2026-07-03"}
    told = post(client, "/v1/service/predict", asked, **{"Tradewind-Customer": token}).json()["own"]
    assert ("1 July 2026" in told, "2 July 2026" in told) == (zone == ZONES[0], zone != ZONES[0])


@pytest.mark.parametrize(("zone", "hour"), [("Asia/Shanghai", 0), ("America/Los_Angeles", 9)])
def test_a_week_of_sales_begins_on_the_shops_monday(zone, hour):
    """Forecasts are asked for by date; the weeks behind them are those of the times that ingest tells."""
    (moment,) = ingested(["2026-06-28T16:00:00Z"], zone)
    assert (moment.hour, moment.weekday()) == (hour, 0 if zone == "Asia/Shanghai" else 6)
