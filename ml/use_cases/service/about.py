"""What every stage may know of the use case: its name and words, its parameters, the tables it reads."""

from __future__ import annotations

from functools import partial

from ml.contract import UseCase
from ml.use_cases.service.params import ServiceParams
from ml.use_cases.service.table import INTENTS, ORDERS, PAGES, UTTERANCES

TABLES = (UTTERANCES, INTENTS, PAGES, *ORDERS)

ABOUT = partial(
    UseCase,
    name="service",
    title="Customer service",
    description="Recognises what a customer who writes wants, in English or Chinese, or that it is none of the shop's matters.",
    intended_use="To answer from the shop's own pages and tools what it recognises surely, and to ask or hand over the rest.",
    limits=(
        "Of a model that learnt from the shipped corpus: few authors wrote it, and the test utterances come from the same "
        "hands as the training ones. Figures show that intents are told apart, not how it does on a shop's own customers.",
        "Chinese words begin where their dictionary translations are; Chinese has its own figure and is weaker than English.",
        "It reads one message at a time, at most its first 64 tokens.",
        "It recognises; it decides on no refund, complaint or account.",
    ),
    params=ServiceParams,
)
"""The record without what its stages and its server run."""
