"""The state store: snapshots are taken over without losing later events, and events count once."""

import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.serving.state import Event, Snapshot, StateStore

USE_CASE = "toy"


def observe(unit, history, event):
    """A history that lists what was bought; order matters, so a wrong order shows."""
    return {"bought": [*(history or {"bought": []})["bought"], event["product_id"]]}


def event(product, time, unit="a", event_id=None):
    return Event(units=(unit,), time=time, body={"product_id": product}, id=event_id)


def rows(**histories):
    return [(unit, json.dumps({"bought": bought})) for unit, bought in histories.items()]


@pytest.fixture
def store(tmp_path):
    opened = StateStore(tmp_path / "server" / "state.sqlite")
    yield opened
    opened.close()


def test_a_stranger_has_no_history(store):
    assert store.history(USE_CASE, "nobody") is None
    assert store.snapshot(USE_CASE) is None


def test_an_event_changes_what_is_known(store):
    assert store.record(USE_CASE, event("tea", "2026-01-02"), observe)
    assert store.record(USE_CASE, event("milk", "2026-01-03"), observe)
    assert store.history(USE_CASE, "a") == {"bought": ["tea", "milk"]}
    assert store.history("another use case", "a") is None


def test_an_event_sent_again_counts_once(store):
    assert store.record(USE_CASE, event("tea", "2026-01-02", event_id="1"), observe)
    assert not store.record(USE_CASE, event("tea", "2026-01-02", event_id="1"), observe)
    assert store.record(USE_CASE, event("tea", "2026-01-02", unit="b", event_id="1"), observe)
    assert store.history(USE_CASE, "a") == {"bought": ["tea"]}


def test_a_snapshot_keeps_later_events_and_forgets_those_it_covers(store):
    store.record(USE_CASE, event("late", "2026-01-09"), observe)
    store.record(USE_CASE, event("later", "2026-01-10"), observe)
    store.record(USE_CASE, event("covered", "2026-01-05"), observe)
    adopted = store.adopt(USE_CASE, Snapshot(mark="1", as_of="2026-01-05T23:59:59"), rows(a=["old"], b=["x"]), observe)
    assert adopted.units == 2
    assert store.history(USE_CASE, "a") == {"bought": ["old", "late", "later"]}
    assert store.history(USE_CASE, "b") == {"bought": ["x"]}
    assert not store.record(USE_CASE, event("covered too", "2026-01-05"), observe)
    store.adopt(USE_CASE, Snapshot(mark="2", as_of="2026-01-09T23:59:59"), rows(a=["newer"]), observe)
    assert store.history(USE_CASE, "a") == {"bought": ["newer", "later"]}
    assert store.history(USE_CASE, "b") is None


def test_what_a_newer_snapshot_covered_is_applied_again_when_an_operator_goes_back(store):
    store.record(USE_CASE, event("tea", "2026-01-04"), observe)
    store.record(USE_CASE, event("milk", "2026-01-08"), observe)
    for mark, day, held in (("2", 9, ["tea", "milk"]), ("1", 3, []), ("2", 9, ["tea", "milk"]), ("1", 5, ["tea"])):
        store.adopt(USE_CASE, Snapshot(mark=mark, as_of=f"2026-01-{day:02}T23:59:59"), rows(a=held), observe)
        assert store.history(USE_CASE, "a") == {"bought": ["tea", "milk"]}
    store.adopt(USE_CASE, Snapshot(mark="3", as_of="2026-03-01T23:59:59"), rows(a=["tea", "milk"]), observe)
    store.adopt(USE_CASE, Snapshot(mark="1", as_of="2026-01-05T23:59:59"), rows(a=["tea"]), observe)
    assert store.history(USE_CASE, "a") == {"bought": ["tea"]}  # covered for more than `EVENTS_STAY`


def test_a_restart_remembers(tmp_path):
    path = tmp_path / "state.sqlite"
    first = StateStore(path)
    first.adopt(USE_CASE, Snapshot(mark="1", as_of="2026-01-01"), rows(a=["old"]), observe)
    first.record(USE_CASE, event("tea", "2026-01-02"), observe)
    first.close()
    second = StateStore(path)
    assert second.history(USE_CASE, "a") == {"bought": ["old", "tea"]}
    assert second.snapshot(USE_CASE) == Snapshot(mark="1", as_of="2026-01-01", units=1)
    assert path.stat().st_mode & 0o077 == 0
    second.close()


def test_a_snapshot_that_breaks_off_changes_nothing(store):
    store.adopt(USE_CASE, Snapshot(mark="1", as_of="2026-01-01"), rows(a=["old"]), observe)

    def broken():
        yield from rows(a=["new"], b=["new"])
        raise OSError("the table ends here")

    with pytest.raises(OSError, match="ends here"):
        store.adopt(USE_CASE, Snapshot(mark="2", as_of="2026-02-01"), broken(), observe)
    assert store.snapshot(USE_CASE).mark == "1"
    assert store.history(USE_CASE, "a") == {"bought": ["old"]}


def test_events_from_many_threads_are_all_kept_while_a_snapshot_comes_in(store):
    def buy(number):
        for step in range(20):
            store.record(USE_CASE, event(f"{number}.{step}", "2026-03-01"), observe)

    threads = [threading.Thread(target=buy, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    store.adopt(
        USE_CASE,
        Snapshot(mark="1", as_of="2026-01-01"),
        ((f"u{i}", '{"bought": []}') for i in range(2000)),
        observe,
    )
    for thread in threads:
        thread.join()
    assert sorted(store.history(USE_CASE, "a")["bought"]) == sorted(f"{n}.{s}" for n in range(4) for s in range(20))


@settings(max_examples=25, deadline=None)
@given(days=st.lists(st.integers(1, 28), max_size=12), cut=st.integers(1, 28))
def test_every_event_is_either_covered_or_applied(tmp_path_factory, days, cut):
    store = StateStore(tmp_path_factory.mktemp("state") / "state.sqlite")
    for number, day in enumerate(days):
        store.record(USE_CASE, event(str(number), f"2026-01-{day:02}T12:00:00"), observe)
    store.adopt(USE_CASE, Snapshot(mark="1", as_of=f"2026-01-{cut:02}T23:59:59"), rows(a=[]), observe)
    later = sorted((day, number) for number, day in enumerate(days) if day > cut)
    assert store.history(USE_CASE, "a")["bought"] == [str(number) for _, number in later]
    store.close()


def test_an_event_changes_the_histories_of_all_it_names_or_of_none(store):
    both = Event(units=("a", "terminal_id=t1"), time="2026-01-02", body={"product_id": "tea"}, id="1")
    assert store.record(USE_CASE, both, observe)
    assert not store.record(USE_CASE, both, observe)
    assert store.history(USE_CASE, "a") == store.history(USE_CASE, "terminal_id=t1") == {"bought": ["tea"]}

    def refuse(unit, history, event):
        if unit != "a":
            raise ValueError("a terminal that cannot take it")
        return observe(unit, history, event)

    with pytest.raises(ValueError, match="cannot take it"):
        store.record(
            USE_CASE, Event(units=("a", "terminal_id=t1"), time="2026-01-03", body={"product_id": "x"}), refuse
        )
    assert store.history(USE_CASE, "a") == {"bought": ["tea"]}
