"""The page of one customer: four applications that were trained, packaged and promoted answer for the customer a token proves."""

import json
import re
from contextlib import contextmanager
from datetime import timedelta
from html import unescape

import pytest

from ml.files import read_json, write_json
from ml.serving.customer import sign
from ml.serving.versions import RegistryVersions
from ml.store import Bucket
from tests.form_browser import Browser
from tests.served_shop import wait
from tests.whole_shop import AS_OF, CUSTOMER, ORDER

pytestmark = pytest.mark.filterwarnings("ignore")

PAYMENT = {"amount": "480", "n_items": "2", "terminal_id": "1-web", "channel": "online"}
USUAL = {"amount": "20", "n_items": "2", "terminal_id": "1-1", "channel": "till"}
NOW = f"{AS_OF}T23:59:59.999999"  # the last moment that histories cover
MANY = 100  # groups of stores beside those of the sample: times six products more than one request may ask for


@pytest.fixture(scope="module")
def shop(whole_shop):
    return whole_shop


@pytest.fixture(scope="module")
def client(shop):
    with shop.open(shop.folder / "home") as client:
        yield client


@pytest.fixture
def browser(shop, client):
    with signed_in(shop, client) as made:
        yield made


@contextmanager
def signed_in(shop, client):
    """Give a browser in which the customer has signed in and sees the page."""
    made = Browser(str(client.base_url))
    made.send("/sign-in", token=shop.token, next="/customer")
    made.send("/sign-in/customer", token=sign(shop.keys.private, CUSTOMER, timedelta(minutes=5)), next="/customer")
    yield made
    made.http.close()


def panel(page, name):
    """Return what a person reads in one panel."""
    (section,) = re.findall(rf'<section class="panel" aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", section)))


def rows(page, name):
    """Return the cells of a panel's table, row by row."""
    (section,) = re.findall(rf'<section class="panel" aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    cells = [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    text = [[re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", cell))).strip() for cell in row] for row in cells]
    return [row for row in text if row]


def ask(client, use_case, **body):
    answered = client.post(f"/v1/{use_case}/predict", json=body)
    assert answered.status_code == 200, answered.text
    return answered.json()


def test_products_are_recommended_that_the_customer_buys(shop, client, browser):
    """The names and reasons are those of the customer's own history, not of a stranger's."""
    known = ask(client, "recommend", customer_id=CUSTOMER, k=6)
    strange = ask(client, "recommend", customer_id="a stranger", k=6)
    shown = [name for name, _ in rows(browser.page, "recommend")]
    assert shown == [f"{item['name']} {item['category'].capitalize()}" for item in known["items"]]
    assert shown != [f"{item['name']} {item['category'].capitalize()}" for item in strange["items"]]
    assert len(shown) == 6
    assert re.fullmatch(r"\w+ \(\w+\) .+", shown[0])
    assert "Nothing is known of this customer" not in browser.page


def test_their_stock_is_forecast_in_numbers(client, browser):
    items = ask(client, "recommend", customer_id=CUSTOMER, k=6)["items"]
    series = [f"{item['product_id']}/{group}" for item in items for group in ("larger", "smaller")]
    lines = ask(client, "inventory", series=series)["lines"]
    assert len(lines) >= 4
    assert {line["name"] for line in lines} <= {item["name"] for item in items}
    assert rows(browser.page, "stock") == [
        [f"{line['name']} Stores: {line['store_group']}", spread(line["quantiles"]), str(line["order_quantity"])]
        for line in lines
    ]


def spread(quantiles):
    low, middle, high = (f"{quantiles[level][0]:.0f}" for level in ("0.1", "0.5", "0.9"))
    return f"{middle} ({low}–{high})"


def test_a_payment_is_scored_with_what_is_known_of_the_customers_card(client, browser):
    chances = [scored(client, browser, payment) for payment in (PAYMENT, USUAL)]
    assert chances[0] > 2 * chances[1] > 0
    strange = ask(client, "fraud", customer_id="a stranger", paid_at=NOW, **USUAL)
    assert strange["p_fraud"] != pytest.approx(chances[1], rel=0.01)


def scored(client, browser, payment):
    """Return the chance of a charge-back, once the page has been seen to show it, the decision and the reasons."""
    known = ask(client, "fraud", customer_id=CUSTOMER, paid_at=NOW, **payment)
    told = panel(browser.send("/customer", ask="payment", **payment).text, "payment")
    assert f"{known['decision'].capitalize()} · chance of a charge-back {100 * known['p_fraud']:.2f} %" in told
    assert all(reason["text"] in told for reason in known["reasons"])
    return known["p_fraud"]


def test_the_assistant_answers_from_the_customers_order(browser):
    told = panel(browser.send("/customer", ask="message", message=f"Where is my order {ORDER}?").text, "message-title")
    assert ORDER in told
    assert "Kettle" in told
    assert "order status" in told.lower()


def test_all_four_were_asked_for_the_same_customer(shop, browser):
    """What one visit asks is logged under its id, with the pseudonym of whom it was asked for; forecasts name nobody."""
    visits = [
        browser.send("/customer", ask="payment", **PAYMENT),
        browser.send("/customer", ask="message", message="Has my order been shipped yet?", **PAYMENT),
    ]
    ids = {visit.headers["Tradewind-Request-Id"] for visit in visits}
    asked = {"recommend": shop.unit, "inventory": None, "fraud": shop.unit, "service": shop.unit}
    wait(lambda: len(logged(shop, ids)) >= 6)
    assert logged(shop, ids) == sorted([*asked.items(), ("recommend", shop.unit), ("inventory", None)], key=str)


def logged(shop, ids):
    """Return (use case, pseudonym) of what was logged under one of the ids."""
    bucket = Bucket.open(shop.reader, "requests")
    lines = [json.loads(line) for key in bucket.keys("requests/") for line in bucket.get(key).splitlines()]
    return sorted([(line["use_case"], line["unit"]) for line in lines if line["request_id"] in ids], key=str)


class ManyGroups(RegistryVersions):
    """The versions of a shop with more groups of stores than can be asked for at once."""

    def fetch(self, use_case, digest, folder):
        """Bring a version, with further groups in the state of forecasts."""
        fetched = super().fetch(use_case, digest, folder)
        if use_case == "inventory":
            state = read_json(fetched / "state.json")
            state["hierarchy"]["levels"]["store_group"]["names"] += [f"store {n:03d}" for n in range(MANY)]
            write_json(fetched / "state.json", state)
        return fetched


def test_a_shop_with_more_groups_of_stores_than_one_request_may_name_sees_the_first(shop, browser):
    few = rows(browser.page, "stock")
    settings = shop.settings.model_copy(update={"home": shop.folder / "many"})
    with shop.open(settings.home, ManyGroups(settings)) as client, signed_in(shop, client) as many:
        shown = many.open("/customer")
    assert shown.status_code == 200
    assert rows(shown.text, "stock") == few
    assert f"Groups of stores that were asked for: 83 / {MANY + 2}" in panel(shown.text, "stock")
    assert "Groups of stores" not in panel(browser.page, "stock")
