"""What demand forecasts and orders need of the shop's data, beyond what the contract already says."""

from __future__ import annotations

from great_expectations import expectations as gxe

from data_checks.check import Check

LONGEST_LEAD_WEEKS = 52
LARGEST_STOCK = 1_000_000  # pieces of one product in one group of stores


def _between(name: str, severity: str, owner: str, reason: str, **bounds: object) -> Check:
    table, column = name.split(".")[0], str(bounds.pop("column"))
    expectation = gxe.ExpectColumnValuesToBeBetween(column=column, **bounds)
    return Check(name=name, table=table, severity=severity, owner=owner, reason=reason, expectation=expectation)


CHECKS: tuple[Check, ...] = ()
