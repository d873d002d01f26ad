"""The tables of customer service: what customers wrote, what can be wanted, and the pages that answer."""

from __future__ import annotations

from dataclasses import replace

from ml.contract import Column, Table
from ml.shop import DELIVERIES, PRODUCTS, PURCHASES
from ml.use_cases.service.slot import ORDER_NUMBER

UTTERANCES = Table(
    name="utterances",
    columns=(
        Column(name="language", type="string", description="en or zh"),
        Column(name="intent", type="string", description="what is wanted, or out_of_scope"),
        Column(
            name="text",
            type="string",
            treatment="redact",
            keeps=ORDER_NUMBER.pattern,
            description="as the customer wrote it",
        ),
        Column(name="split", type="string", nullable=True, description="train, valid or test; or empty in every row"),
        Column(
            name="customer_id",
            type="string",
            nullable=True,
            treatment="pseudonym",
            description="who wrote it, so that an erasure reaches it; empty where that is not known",
        ),
    ),
)

INTENTS = Table(
    name="intents",
    key=("intent",),
    columns=(
        Column(name="intent", type="string"),
        Column(name="title_en", type="string", nullable=True, description="what people call it"),
        Column(name="title_zh", type="string", nullable=True),
        Column(name="description", type="string", nullable=True, description="where it begins and ends"),
        Column(name="slots", type="string", nullable=True, description="what must be known to act, separated by ;"),
        Column(name="tool", type="string", nullable=True, description="what acts or looks up"),
        Column(name="page", type="string", nullable=True, description="the page that answers"),
    ),
)

PAGES = Table(
    name="pages",
    key=("path",),
    columns=(
        Column(name="path", type="string", description="language/id.md"),
        Column(name="content", type="string", description="Markdown, as docs/service-corpus.md describes it"),
    ),
)

ORDERS = (replace(PURCHASES, optional=True), replace(PRODUCTS, optional=True), DELIVERIES)
"""What the assistant knows of customers' own orders; without them it answers from pages alone."""
