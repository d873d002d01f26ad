"""A shop may call its things as it likes: what ingest takes, events take; a name nobody knows is not stored as it was sent."""

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ml.field import identifier
from ml.privacy.pseudonym import pseudonym, read_key
from tests.served_shop import PERSON, Shop, wait

KNOWN = ["Rot/Grün 4", "Tee 250 g", "黑茶", "anna@example.com", "a.b/c", "+49 30 123456"]
CODES = ["a b/4 c", "P-1", "77/4.b", "a_b", "0017", "1234.5"]
STRANGE = ["Anna Kowalska", "bea@example.com", "+44 20 7946 0958", "Größe", "黑 茶", "ein neues Ding 9"]


@pytest.fixture(scope="module")
def shop(object_store, tmp_path_factory):
    """A shop whose version knows products with spaces, slashes and letters beyond ASCII."""
    shop = Shop(object_store, tmp_path_factory.mktemp("things"), "toy-things")
    shop.promote()
    shop.histories(**{PERSON: []})
    return shop


@pytest.fixture(scope="module")
def client(shop):
    known = replace(shop.record.service, catalogue=lambda _: KNOWN)
    with shop.serving(service=known) as client:
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"])
        yield client


def bought(shop):
    """Return the products that the server keeps of the events it took."""
    with sqlite3.connect(shop.settings.home / "server" / "state.sqlite") as kept:
        return [row[0] for row in kept.execute("SELECT json_extract(event, '$.product_id') FROM event ORDER BY number")]


@pytest.mark.parametrize("product", [*KNOWN, *CODES])
def test_a_known_product_or_a_code_is_kept_as_it_was_sent(shop, client, product):
    assert shop.buy(client, product).json() == {"counted": True}
    assert bought(shop)[-1] == product


@pytest.mark.parametrize("product", STRANGE)
def test_an_unknown_name_counts_under_its_digest(shop, client, product):
    assert shop.buy(client, product).json() == {"counted": True}
    assert bought(shop)[-1] == pseudonym(read_key(shop.settings), "product_id", product)
    wait(lambda: shop.logged("events"))
    assert product.encode() not in shop.seen()


@given(st.text(min_size=1, max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_ingest_takes_as_an_identifier_an_event_takes(shop, client, text):
    try:
        wanted = identifier(text)
    except ValueError:
        wanted = None
    assume(wanted is None or text.isprintable())
    answered = shop.buy(client, text)
    assert answered.status_code == (422 if wanted is None else 200), answered.text
    if wanted is not None:
        assert bought(shop)[-1] in (wanted, pseudonym(read_key(shop.settings), "product_id", wanted))
