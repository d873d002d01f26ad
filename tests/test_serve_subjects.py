"""A request may name more than a customer: what else it names has a history of its own."""

from dataclasses import replace

from pydantic import BaseModel

from ml.serving.subject import Subjects, is_customer, unit_of
from tests.toy_use_case import TOY

SERVICE = replace(
    TOY.service,
    observe=lambda history, event: {"paid": [*(history or {"paid": []})["paid"], event["amount"]]},
    related={"terminal_id": lambda history, event: {"count": (history or {"count": 0})["count"] + 1}},
)
SUBJECTS = Subjects(SERVICE)


def test_units_are_the_customer_first_then_what_else_is_named():
    assert SUBJECTS.units({"terminal_id": "7-2", "amount": 3}.get, "ab12") == ["ab12", "terminal_id=7-2"]
    assert SUBJECTS.units({"terminal_id": None}.get, None) == []
    assert [is_customer(unit) for unit in ("ab12", unit_of("terminal_id", "7-2"))] == [True, False]


def test_each_history_changes_by_its_own_rule():
    assert SUBJECTS.observe("ab12", {"paid": [1]}, {"amount": 2}) == {"paid": [1, 2]}
    assert SUBJECTS.observe("terminal_id=7-2", None, {"amount": 2}) == {"count": 1}


def test_what_is_known_stands_together_the_customers_own_on_top():
    known = {"ab12": {"paid": [1]}, "terminal_id=7-2": {"count": 4}}
    assert SUBJECTS.history(["ab12", "terminal_id=7-2"], known.get) == {"paid": [1], "terminal_id": {"count": 4}}
    assert SUBJECTS.history(["stranger", "terminal_id=7-2"], known.get) == {"terminal_id": {"count": 4}}
    assert SUBJECTS.history(["stranger"], known.get) is None


class Several(BaseModel):
    terminal_id: list[str] | None = None


def test_a_field_that_is_a_list_names_several():
    subjects = Subjects(replace(SERVICE, request=Several))
    units = subjects.units({"terminal_id": ["7-2", "8-1", "9-9"]}.get, None)
    assert units == ["terminal_id=7-2", "terminal_id=8-1", "terminal_id=9-9"]
    known = {"terminal_id=7-2": {"count": 4}, "terminal_id=8-1": {"count": 1}}
    assert subjects.history(units, known.get) == {"terminal_id": {"7-2": {"count": 4}, "8-1": {"count": 1}}}
