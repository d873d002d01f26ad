"""The model server on a disk that fills up: clear refusals, nothing acknowledged is lost, and it goes on by itself."""

import os
import sqlite3
import subprocess
from itertools import repeat

import pytest

from ml.cli.main import call
from ml.errors import StorageUnavailable
from ml.serving.app import create_app
from ml.space import full_disk
from tests.served_shop import PERSON, Shop, wait

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def shop(object_store, tmp_path):
    """A promoted shop whose server has a disk of 4 MiB of its own."""
    shop = Shop(object_store, tmp_path, "toy-full-disk")
    shop.settings.home.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", str(shop.settings.home)]
    if os.getuid() != 0 or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system, and not in every container")
    shop.promote()
    shop.histories(**{PERSON: []})
    yield shop
    subprocess.run(["umount", "-l", str(shop.settings.home)], check=True)


def fill(shop):
    path = shop.settings.home / "filler"
    for size in (65536, 512, 1):
        with path.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            list(map(file.write, repeat(bytes(size))))
    return path


def buy(shop, client, number):
    return shop.buy(client, f"p{number % 6}", person=f"person-{number}", event_id=f"e{number}")


def test_nothing_acknowledged_is_lost_and_the_server_goes_on_when_there_is_room(shop):
    with shop.serving() as client:
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"])
        acknowledged = [number for number in range(40) if buy(shop, client, number).status_code == 200]
        assert len(acknowledged) == 40
        filler = fill(shop)
        answers = {number: buy(shop, client, number).status_code for number in range(40, 80)}
        assert set(answers.values()) <= {200, 503}
        assert 503 in answers.values()
        acknowledged += [number for number, status in answers.items() if status == 200]
        refused = shop.predict(client, customer_id=PERSON)
        assert refused.status_code in (200, 503)
        assert client.get("/health").status_code == 200
        assert client.put("/v1/out-of-stock/p5").status_code == 204  # the store has room
        assert "p5" in client.get("/v1/out-of-stock").json()["out_of_stock"]
        digest, _ = shop.promote(seed=2)
        filler.unlink()
        wait(lambda: shop.is_live(client, digest), 60)
        assert shop.predict(client, customer_id=PERSON).status_code == 200
        missed = [number for number, status in answers.items() if status == 503]
        assert {buy(shop, client, number).json()["counted"] for number in missed} == {True}
        assert {buy(shop, client, number).json()["counted"] for number in acknowledged} == {False}
        wait(lambda: "p5" in (shop.settings.home / "server" / "out_of_stock.json").read_text())
        assert client.delete("/v1/out-of-stock/p5").status_code == 204
    logged = [line["id"] for line in shop.logged("events") if line.get("id")]
    assert len(set(logged)) == 80
    assert len(logged) == len(set(logged))


def test_a_start_on_a_full_disk_says_so_and_the_next_one_finds_everything(shop):
    with shop.serving() as client:
        wait(lambda: client.get(f"/v1/{shop.name}/version").json()["histories"])
        assert buy(shop, client, 1).json() == {"counted": True}
    (shop.settings.home / "server" / "versions").mkdir(exist_ok=True)
    filler = fill(shop)
    with pytest.raises((OSError, sqlite3.Error)) as failed:
        create_app(shop.settings, {shop.name: shop.record})
    assert full_disk(failed.value).can_retry  # as the command tells it
    filler.unlink()
    with shop.serving() as client:
        assert buy(shop, client, 1).json() == {"counted": False}


def test_a_command_on_a_full_disk_says_so_without_a_stack_trace(shop, capfd, monkeypatch):
    monkeypatch.setenv("TRADEWIND_HOME", str(shop.settings.home / "stack"))
    fill(shop)
    assert call(["up"]) == StorageUnavailable.exit_code
    told = capfd.readouterr()
    assert "StorageUnavailable" in told.err
    assert "Free space" in told.err
    assert "Traceback" not in told.err
