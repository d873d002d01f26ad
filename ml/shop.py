"""The shop's tables that every application shares: what a source maps its own columns onto."""

from __future__ import annotations

from ml.contract import Column, Table

AGE_GROUPS = ("19-24", "25-34", "35-44", "45-54", "55-64", "65+")
INCOME_GROUPS = (
    "Under 15K",
    "15-24K",
    "25-34K",
    "35-49K",
    "50-74K",
    "75-99K",
    "100-124K",
    "125-149K",
    "150-174K",
    "175-199K",
    "200-249K",
    "250K+",
)
HOUSEHOLD_SIZES = ("1", "2", "3", "4", "5+")
KIDS_COUNTS = ("0", "1", "2", "3+")
CHANNELS = ("till", "self_checkout", "online")

PRODUCTS = Table(
    name="products",
    key=("product_id",),
    columns=(
        Column(name="product_id", type="string", description="the shop's article number"),
        Column(name="name", type="string", nullable=True, description="what people read"),
        Column(name="department", type="string", nullable=True),
        Column(name="category", type="string", nullable=True),
        Column(name="brand", type="string", nullable=True),
        Column(name="package_size", type="string", nullable=True),
    ),
)

CUSTOMERS = Table(
    name="customers",
    key=("customer_id",),
    optional=True,
    columns=(
        Column(name="customer_id", type="string", treatment="pseudonym", description="a household or an account"),
        Column(name="age_group", type="string", nullable=True, treatment="generalise", order=AGE_GROUPS),
        Column(name="income_group", type="string", nullable=True, treatment="generalise", order=INCOME_GROUPS),
        Column(name="household_size", type="string", nullable=True, treatment="generalise", order=HOUSEHOLD_SIZES),
        Column(name="kids_count", type="string", nullable=True, treatment="generalise", order=KIDS_COUNTS),
        Column(name="home_ownership", type="string", nullable=True, treatment="drop"),
        Column(name="marital_status", type="string", nullable=True, treatment="drop"),
    ),
)

PURCHASES = Table(
    name="purchases",
    key=("basket_id", "product_id"),
    time_column="purchased_at",
    references={"product_id": ("products", "product_id")},
    columns=(
        Column(name="customer_id", type="string", treatment="pseudonym"),
        Column(name="basket_id", type="string", treatment="pseudonym", description="one visit to the till"),
        Column(name="product_id", type="string"),
        Column(name="store_id", type="string", nullable=True),
        Column(name="quantity", type="int64", description="[pieces]"),
        Column(name="amount", type="float64", description="paid for the line [currency of the shop]"),
        Column(name="discount", type="float64", nullable=True, description="given on the line [currency of the shop]"),
        Column(name="purchased_at", type="timestamp", description="local time of the shop"),
    ),
)

DELIVERY_STEPS = ("promised", "shipped", "delivered", "returned", "refunded", "cancelled")
DELIVERIES = Table(
    name="deliveries",
    key=("basket_id",),
    references={"basket_id": ("purchases", "basket_id")},
    optional=True,
    owner="basket_id",
    columns=(
        Column(name="basket_id", type="string", treatment="pseudonym", description="the order, as purchases name it"),
        Column(name="order_number", type="string", treatment="own", description="what the customer is told"),
        *(
            Column(name=f"{step}_at", type="timestamp", nullable=True, description="none where it did not happen")
            for step in DELIVERY_STEPS
        ),
    ),
)

PAYMENTS = Table(
    name="payments",
    key=("payment_id",),
    time_column="paid_at",
    columns=(
        Column(name="payment_id", type="string", treatment="pseudonym"),
        Column(name="customer_id", type="string", treatment="pseudonym", description="whose card or account paid"),
        Column(name="basket_id", type="string", nullable=True, treatment="pseudonym", description="what was paid for"),
        Column(name="terminal_id", type="string", description="store and till, or the web shop's entrance"),
        Column(name="store_id", type="string", nullable=True),
        Column(
            name="product_id",
            type="string",
            nullable=True,
            description="the article, where the order is for a single one; no article list need know it",
        ),
        Column(name="amount", type="float64", description="paid, after coupons [currency of the shop]"),
        Column(name="coupon_amount", type="float64", description="value of the coupons [currency of the shop]"),
        Column(name="n_items", type="int64", description="[pieces]"),
        Column(name="channel", type="string", description="till, self_checkout or online"),
        Column(name="paid_at", type="timestamp", description="local time of the shop"),
    ),
)

CHARGEBACKS = Table(
    name="chargebacks",
    key=("payment_id",),
    time_column="reported_at",
    references={"payment_id": ("payments", "payment_id")},
    owner="payment_id",
    columns=(
        Column(name="payment_id", type="string", treatment="pseudonym"),
        Column(
            name="payment_at",
            type="timestamp",
            nullable=True,
            description="time of the payment as the notice tells it [local time of the shop]",
        ),
        Column(name="reported_at", type="timestamp", description="when the shop learnt of it [local time of the shop]"),
        Column(
            name="reason",
            type="string",
            description="code of the notice; of the default source the simulated scenario. Never a feature",
        ),
    ),
)

STORES = Table(
    name="stores",
    key=("store_id",),
    optional=True,
    columns=(
        Column(name="store_id", type="string"),
        Column(name="store_group", type="string", description="stores that are planned together"),
    ),
)

PROMOTIONS = Table(
    name="promotions",
    key=("product_id", "store_group", "week"),
    references={"product_id": ("products", "product_id")},
    optional=True,
    columns=(
        Column(name="product_id", type="string"),
        Column(name="store_group", type="string", description="`all` where stores are not grouped"),
        Column(name="week", type="timestamp", description="its Monday; weeks ahead are plans"),
        Column(name="display", type="float64", nullable=True, description="share of stores that display it [0..1]"),
        Column(
            name="mailer", type="float64", nullable=True, description="share of stores whose mailer shows it [0..1]"
        ),
        Column(
            name="front_page",
            type="float64",
            nullable=True,
            description="share of stores whose mailer gives it a better place, such as its front page [0..1]",
        ),
    ),
)

STOCK = Table(
    name="stock",
    key=("product_id", "store_group"),
    references={"product_id": ("products", "product_id")},
    optional=True,
    columns=(
        Column(name="product_id", type="string"),
        Column(name="store_group", type="string", description="`all` where stores are not grouped"),
        Column(name="on_hand", type="int64", description="can be sold [pieces]"),
        Column(name="on_order", type="int64", description="ordered and not yet arrived [pieces]"),
        Column(name="backorders", type="int64", description="sold and not yet delivered [pieces]"),
    ),
)

SUPPLIER_TERMS = Table(
    name="supplier_terms",
    key=("product_id",),
    references={"product_id": ("products", "product_id")},
    optional=True,
    columns=(
        Column(name="product_id", type="string"),
        Column(name="lead_time_weeks", type="int64", description="from order to arrival [whole weeks]"),
        Column(name="pack_size", type="int64", description="an order is whole packs of it [pieces]"),
        Column(name="minimum_order", type="int64", nullable=True, description="smallest order [pieces]"),
        Column(name="unit_cost", type="float64", description="purchase price of a piece [currency of the shop]"),
        Column(
            name="service_level", type="float64", nullable=True, description="promised chance of no shortage (0..1)"
        ),
    ),
)
