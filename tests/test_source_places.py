"""A run reads what the operator listed and nothing else, and the database's password goes to its own account alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Thread

import pytest

from ml.config import Settings, load_settings
from ml.errors import ConfigInvalid, SourceInvalid, TradewindError
from ml.pipeline.admission import admitted, configured, ensure_places
from ml.pipeline.freeze import RunRequest, freeze
from ml.shop import PURCHASES
from ml.sources.opening import open_source
from ml.use_cases import load
from tests.sample_shop import land, sample_tables

PASSWORD = "the-shops-own-password"
SHOP = "postgresql+psycopg2://reader@db.shop.example:5432/shop"
PROJECT = Path(__file__).parent.parent
PERSON = "anna.berg@example.org"


@contextmanager
def recorder():
    """Listen as somebody else's server: (port, what it received); it asks whoever connects for a clear-text password."""
    received = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                received.append(connection.recv(4096))
                connection.sendall(b"N" if received[-1][4:8] == b"\x04\xd2\x16\x2f" else b"R\0\0\0\x08\0\0\0\x03")
                received.append(connection.recv(4096))
                connection.sendall(b"R\0\0\0\x08\0\0\0\x03")
                received.append(connection.recv(4096))

    Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1], received
    server.close()


@pytest.fixture
def thief():
    with recorder() as found:
        yield found


def holding(**changes):
    return Settings(source_password=PASSWORD, source_locations=changes.pop("listed", {"shop": SHOP}), **changes)


def test_the_recorder_hears_a_password_that_is_sent(thief):
    """Without this the tests below could not fail."""
    port, received = thief
    location = f"postgresql+psycopg2://reader@127.0.0.1:{port}/shop"
    source = open_source({"kind": "sql", "location": location}, holding(listed={"shop": location}))
    with pytest.raises(TradewindError):
        list(source.read(PURCHASES, date(2026, 11, 20)))
    assert any(PASSWORD.encode() in data for data in received)


@pytest.mark.parametrize(
    "location",
    [
        "postgresql+psycopg2://reader@127.0.0.1:{port}/shop",
        "postgresql+psycopg2://reader@db.shop.example:5432/shop?host=127.0.0.1&port={port}",
        "postgresql+psycopg2://reader@127.0.0.1:{port},db.shop.example:5432/shop",
        "postgresql://reader@127.0.0.1:{port}/shop",
        "mysql+pymysql://reader@127.0.0.1:{port}/shop",
        "postgresql+psycopg2://admin@db.shop.example:5432/shop?service=x&hostaddr=127.0.0.1&port={port}",
    ],
)
def test_another_server_gets_neither_password_nor_connection(thief, location):
    port, received = thief
    with pytest.raises(ConfigInvalid) as caught:
        open_source({"kind": "sql", "location": location.format(port=port)}, holding())
    assert (received, PASSWORD in str(caught.value)) == ([], False)


def test_a_password_of_one_of_several_accounts_says_of_which():
    listed = {"shop": SHOP, "stock": "postgresql+psycopg2://reader@stock.shop.example:5432/stock"}
    with pytest.raises(ConfigInvalid, match="several accounts: shop, stock"):
        open_source({"kind": "sql", "location": "shop"}, holding(listed=listed))
    source = open_source({"kind": "sql", "location": "shop"}, holding(listed=listed, source_password_for="shop"))
    assert (source.engine.url.host, source.engine.url.password) == ("db.shop.example", PASSWORD)
    with pytest.raises(ConfigInvalid, match="a database that TRADEWIND_SOURCE_PASSWORD belongs to"):
        open_source({"kind": "sql", "location": "stock"}, holding(listed=listed, source_password_for="shop"))


# --- what a form may ask for --------------------------------------------------------------------


@pytest.fixture
def listing(tmp_path):
    """Settings that list a folder, a landing zone and a database."""
    zone = tmp_path / "zone"
    (zone / "tills").mkdir(parents=True)
    (tmp_path / "zone-of-others").mkdir()
    (zone / "out").symlink_to(tmp_path / "zone-of-others")
    return configured(Settings(source_locations={"zone": str(zone), "s3": "s3://shop/tills", "db": SHOP}))


@pytest.mark.parametrize(
    "asked",
    [
        "zone",
        "db",
        SHOP,
        "s3",
        "s3://shop/tills",
        "s3://shop/tills/2026",
        "{zone}",
        "{zone}/tills",
        "ml/use_cases/rating/example",
    ],
)
def test_a_listed_place_may_be_asked_for_by_name_and_by_address(listing, asked):
    location = asked.format(zone=listing.source_locations["zone"])
    found = admitted(listing, {"kind": "files", "location": location})
    assert found["location"] == listing.source_locations.get(location, location)


@pytest.mark.parametrize(
    "asked",
    [
        *("/etc", "{zone}/..", "{zone}-of-others", "{zone}/out", "~", ".", "ml", "file:///etc"),
        *("s3://shop", "s3://shop/tills-of-others", "s3://tradewind-keys", "sqlite:////etc/passwd"),
        *(SHOP.replace("reader", "admin"), SHOP.replace("5432", "5433"), f"{SHOP}?host=evil.example", f"{SHOP}2"),
    ],
)
def test_another_place_may_not_be_asked_for(listing, asked):
    with pytest.raises(
        ConfigInvalid, match=r"source\.location that the operator configured.*TRADEWIND_SOURCE_LOCATIONS"
    ):
        admitted(listing, {"kind": "files", "location": asked.format(zone=listing.source_locations["zone"])})


@pytest.mark.parametrize("mapping", ["/etc/passwd", "../mapping.yaml", "~/.aws/config", "s3://other/mapping.yaml"])
def test_a_mapping_elsewhere_may_not_be_asked_for(listing, mapping):
    with pytest.raises(ConfigInvalid, match=r"source\.mapping"):
        admitted(listing, {"mapping": mapping})


def test_the_operators_own_mapping_may_lie_anywhere(listing):
    ensure_places(listing, {"kind": "files", "location": "zone", "mapping": "/srv/mappings/tills.yaml"})
    with pytest.raises(ConfigInvalid, match="TRADEWIND_SOURCE_LOCATIONS"):
        ensure_places(listing, {"kind": "several", "parts": [{"kind": "files", "location": "/etc"}]})


@pytest.mark.parametrize("kind", ["files", "sql"])
def test_our_own_home_is_no_source(tmp_path, kind):
    home = tmp_path / "home"
    (home / "airflow").mkdir(parents=True)
    (home / "airflow" / "purchases.csv").write_text("customer_id\n1\n")
    location = str(home / "airflow") if kind == "files" else f"sqlite:///{home}/airflow/airflow.db"
    with pytest.raises(ConfigInvalid, match="outside TRADEWIND_HOME"):
        open_source({"kind": kind, "location": location}, Settings(home=home))


def test_our_own_home_is_not_found_below_a_source(tmp_path, rng):
    land(tmp_path / "zone", sample_tables(rng))
    home = tmp_path / "zone" / "purchases" / "2026-11-02" / "home"
    home.mkdir()
    (home / "secret.csv").write_text("a\n1\n")
    source = open_source({"kind": "files", "location": str(tmp_path / "zone")}, Settings(home=home))
    assert all("secret" not in name for name in source.place.entries())
    (tmp_path / "zone" / "purchases" / "2026-11-02" / "link.csv").symlink_to(home / "secret.csv")
    with pytest.raises((ConfigInvalid, SourceInvalid)):
        source.place.entries()


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', "{'a': 'b'}"])
def test_a_faulty_list_of_places_is_refused_without_its_content(monkeypatch, text):
    monkeypatch.setenv("TRADEWIND_SOURCE_LOCATIONS", text)
    with pytest.raises(ConfigInvalid, match="TRADEWIND_SOURCE_LOCATIONS"):
        load_settings()


def test_a_run_is_not_frozen_on_another_server(keeper, thief, name):
    port, received = thief
    settings = keeper.model_copy(
        update={"source_password": holding().source_password, "source_locations": {"shop": SHOP}}
    )
    source = {"kind": "sql", "location": f"postgresql+psycopg2://reader@127.0.0.1:{port}/shop"}
    with pytest.raises(ConfigInvalid, match="TRADEWIND_SOURCE_LOCATIONS"):
        freeze(settings, load("rating"), RunRequest(run_id=name, as_of=date(2026, 11, 20), source=source))
    assert received == []


# --- what a task prints -------------------------------------------------------------------------


@pytest.fixture
def task(object_store, tmp_path):
    """Run `task ingest rating` as Airflow does: (source, listed places) -> (exit code, all that it printed)."""

    def run(source, listed, run_id):
        settings = object_store.settings("ingest", home=tmp_path / "home")
        held = {
            f"TRADEWIND_{name.upper()}": getattr(value, "get_secret_value", lambda value=value: str(value))()
            for name, value in settings
            if value not in (None, {}, "")
        }
        held |= {"TRADEWIND_SOURCE_LOCATIONS": json.dumps(listed), "TRADEWIND_SOURCE_PASSWORD": PASSWORD}
        request = {"run_id": run_id, "as_of": "2026-11-20", "source": source}
        command = [sys.executable, "-m", "ml", "task", "ingest", "rating", "--request", json.dumps(request)]
        done = subprocess.run(
            command, env={**os.environ, **held}, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_task_refuses_another_server_without_a_word_of_it(task, thief, name):
    port, received = thief
    code, printed = task(
        {"kind": "sql", "location": f"postgresql+psycopg2://x@127.0.0.1:{port}/s"}, {"shop": SHOP}, name
    )
    assert (code, received, "Traceback" in printed, PASSWORD in printed) == (2, [], False, False), printed
    assert "TRADEWIND_SOURCE_LOCATIONS" in printed


def test_a_shifted_row_names_nobody_in_what_a_task_prints(task, tmp_path, name):
    rows = (PROJECT / "ml" / "use_cases" / "rating" / "example" / "ratings.csv").read_text().splitlines()
    fields = rows[2].split(",")
    rows[2] = ",".join([fields[0], PERSON, *fields[1:-1]])
    (tmp_path / "zone").mkdir()
    (tmp_path / "zone" / "ratings.csv").write_text("\n".join(rows))
    code, printed = task({"kind": "files", "location": "landed"}, {"landed": str(tmp_path / "zone")}, name)
    assert (code == 0, PERSON in printed, "anna" in printed, "Traceback" in printed) == (False, False, False, False), (
        printed
    )
    assert "line 3" in printed
