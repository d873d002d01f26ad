"""What every stage may know of the use case: its name and words, its parameters, the tables it reads."""

from __future__ import annotations

from functools import partial

from ml.contract import UseCase
from ml.shop import CHARGEBACKS, PAYMENTS
from ml.use_cases.fraud.params import FraudParams

TABLES = (PAYMENTS, CHARGEBACKS)

ABOUT = partial(
    UseCase,
    name="fraud",
    title="Payment fraud",
    description="Tells for each payment how likely it will be charged back, and whether to approve, review or decline it.",
    intended_use="To choose which payments people look at before goods leave the shop, and which are not accepted at all.",
    limits=(
        "Of a model that learnt from the default source: all fraud is simulated after five fixed scenarios among recorded "
        "grocery baskets; tills and channels are drawn. Figures show that the pipeline works, not how well it would find "
        "a thief.",
        "It scores payments. It is no evidence against a person, and not for decisions on credit, employment or accounts.",
        "A payment that is charged back only after the labels were taken counts as genuine, in training and in the figures.",
        "A new way of fraud is seen only after its first charge-backs, days later.",
        "Decisions hold for the costs and the review capacity in the parameters; other costs need another training.",
    ),
    params=FraudParams,
)
"""The record without what its stages and its server run."""
