"""One turn of a conversation as a pure function: what was said, how sure the model is, what is known -> what is answered.

The order of things: which matter (a choice, what was asked for before, else the model by `policy`), then its slots, then its
tool on the customer's own facts, then passages of its page. Nothing in a message decides whose facts those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ml.use_cases.service import policy
from ml.use_cases.service.book import Book, Quote
from ml.use_cases.service.conversation import Conversation
from ml.use_cases.service.facts import Facts, Order, Product
from ml.use_cases.service.message import Kind, Option
from ml.use_cases.service.policy import Ranked
from ml.use_cases.service.slot import order_number, orders_named, products_meant, refers_back
from ml.use_cases.service.tool import HANDOVER, ORDER_TOOLS, PERSON_TOOLS, PRODUCT_TOOLS, Finding, label
from ml.use_cases.service.wording import say

NUMBER, PRODUCT = "order_number", "product"
OTHER_MATTER = 0.8  # probability from which a message that also fills a slot is taken for another matter
PATIENCE = 1  # answers in a row that were none, after which a person is called
MOST_ORDERS = 4  # between which a customer is asked to choose


@dataclass(frozen=True, kw_only=True)
class Said:
    """A message with what the model makes of it."""

    text: str
    choice: str | None
    language: str
    ranked: Ranked
    own: tuple[str, ...]
    """Numbers of the customer's own orders."""

    def chosen(self, kind: str) -> str | None:
        """Return the value of an option that was taken, where it is of this kind."""
        name, _, value = (self.choice or "").partition(":")
        return value if name == kind and value else None

    @property
    def order(self) -> str | None:
        """The number that was taken or written: of an own order, or of a number's form; else none, whoever sends it."""
        return order_number(self.chosen("order") or self.text, self.own)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is answered."""

    kind: Kind
    intent: str | None
    sentences: tuple[str, ...] = ()
    quotes: tuple[Quote, ...] = ()
    options: tuple[Option, ...] = ()
    slots: tuple[tuple[str, str], ...] = ()
    awaits: str | None = None
    person: bool = False
    confidence: float = 0.0
    """How sure it is of the matter: calibrated probability, when it was first recognised; 1 where the customer chose it."""


def respond(book: Book, said: Said, facts: Facts, before: Conversation) -> Reply:
    """Return the reply to a message.

    Args:
        book: Matters, passages and products of the version.
        said: The message.
        facts: What may be looked at: the orders of the customer who proved who they are.
        before: What the conversation kept.
    """
    taken = _taken(book, said, before)
    if taken is None:
        return _unsure(book, said, before)
    reply = replace(_dealt(book, said, facts, before, taken), confidence=taken.confidence)
    return _handed(said, reply) if reply.person else reply


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """The matter that is dealt with."""

    intent: str
    confidence: float
    is_continued: bool = False
    """The message completes an earlier one, whose page was quoted then."""


def _taken(book: Book, said: Said, before: Conversation) -> _Taken | None:
    """Return the matter as chosen, as asked for before, or as the model is sure of; else none."""
    chosen = book.acting(HANDOVER) if said.choice == HANDOVER else said.chosen("intent")
    if chosen in book.intents:
        return _Taken(intent=str(chosen), confidence=1.0)
    top, p = said.ranked[0]
    is_other = top in book.intents and p >= OTHER_MATTER and not said.choice
    if before.intent in book.intents and _fills(book, said, before.awaits) and not is_other:
        return _Taken(intent=str(before.intent), confidence=before.confidence, is_continued=True)
    return _Taken(intent=top, confidence=p) if policy.decide(said.ranked).act == "answer" else None


def _fills(book: Book, said: Said, awaits: str | None) -> bool:
    """Tell whether a message says what was asked for."""
    if awaits == NUMBER:
        return said.order is not None
    return awaits == PRODUCT and bool(said.chosen("product") or products_meant(said.text, book.products))


def _unsure(book: Book, said: Said, before: Conversation) -> Reply:
    """Ask which matter is meant, or say that none fits; after that, call a person."""
    decision = policy.decide(said.ranked)
    slots = _slots(said, before)
    if before.unsure >= PATIENCE:
        return _handed(said, Reply(kind="handover", intent=None, slots=slots))
    kind: Kind = "decline" if decision.act == "decline" else "clarify"
    likely = () if kind == "decline" else decision.intents
    options = [Option(label=book.title(name, said.language), choice=f"intent:{name}") for name in likely]
    return Reply(
        kind=kind,
        intent=None,
        sentences=(say(said.language, kind),),
        options=(*options, *_person(book, said)),
        slots=slots,
    )


def _dealt(book: Book, said: Said, facts: Facts, before: Conversation, taken: _Taken) -> Reply:
    """Deal with a matter by its tool, else by its page."""
    tool = book.intents[taken.intent].tool or ""
    quotes = () if taken.is_continued else tuple(book.shelves[said.language].find(said.text, taken.intent))
    reply = Reply(kind="answer", intent=taken.intent, quotes=quotes, slots=_slots(said, before))
    if tool in ORDER_TOOLS:
        return _about_order(said, facts, replace(reply, quotes=quotes[:1]), tool)
    if tool in PRODUCT_TOOLS:
        return _about_product(book, said, facts, replace(reply, quotes=quotes[:1]), tool)
    if tool in PERSON_TOOLS:
        return replace(reply, person=True, quotes=quotes if tool != HANDOVER else ())
    return reply if quotes else replace(reply, person=True, sentences=(say(said.language, "nothing_found"),))


def _slots(said: Said, before: Conversation) -> tuple[tuple[str, str], ...]:
    """Return what is known: what the message says, over what the conversation knew."""
    return tuple({**before.slots, **({NUMBER: said.order} if said.order else {})}.items())


def _about_order(said: Said, facts: Facts, reply: Reply, tool: str) -> Reply:
    """Look at an order of the customer's own; ask who they are, or which order, where that is not known."""
    number = dict(reply.slots).get(NUMBER)
    if not facts.proved:
        return replace(reply, kind="verify", sentences=(say(said.language, "verify"),))
    if not facts.orders:
        return replace(reply, sentences=(say(said.language, "no_orders"),))
    meant = _orders_meant(said, facts, number)
    if not meant:
        unknown = say(said.language, "unknown_order", number=number)
        return _which(said, replace(reply, sentences=(unknown,)), facts.orders)
    if len(meant) > 1:
        return _which(said, reply, meant)
    slots = {**dict(reply.slots), NUMBER: meant[0].number}
    return _found(replace(reply, slots=tuple(slots.items())), ORDER_TOOLS[tool].look(meant[0], facts, said.language))


def _orders_meant(said: Said, facts: Facts, number: str | None) -> list[Order]:
    """Return the orders that may be meant; none where a number is nobody's or another's.

    A number in the message counts first, then the orders that it names, then the number that was said before (`number`),
    then those still on their way, else all.
    """
    named = [] if said.order else orders_named(said.text, facts.orders)
    known = facts.order(number) if number else None
    if named:
        return [known] if known in named else named
    if number:
        return [known] if known else []
    return [order for order in facts.orders if order.is_open] or list(facts.orders)


def _which(said: Said, reply: Reply, orders: Sequence[Order]) -> Reply:
    """Ask which order is meant; what was thought before is forgotten."""
    options = tuple(
        Option(label=label(one, said.language), choice=f"order:{one.number}") for one in orders[:MOST_ORDERS]
    )
    slots = tuple((name, value) for name, value in reply.slots if name != NUMBER)
    sentences = (*reply.sentences, say(said.language, "ask_order"))
    return replace(reply, kind="ask", awaits=NUMBER, options=options, slots=slots, sentences=sentences)


def _about_product(book: Book, said: Said, facts: Facts, reply: Reply, tool: str) -> Reply:
    """Look at a product that is named, or was before; where several are, ask which; where none is, the page has to do."""
    meant = _products_meant(book, said, dict(reply.slots).get(PRODUCT))
    if len(meant) > 1:
        return _which_product(said, reply, meant)
    if not meant:
        return (
            reply
            if reply.quotes
            else replace(reply, kind="ask", awaits=PRODUCT, sentences=(say(said.language, "ask_product"),))
        )
    slots = {**dict(reply.slots), PRODUCT: meant[0].name}
    return _found(replace(reply, slots=tuple(slots.items())), PRODUCT_TOOLS[tool].look(meant[0], facts, said.language))


def _products_meant(book: Book, said: Said, before: str | None) -> list[Product]:
    """Return the products that were taken or named; else, where the message refers back, the one of that name."""
    chosen = said.chosen("product")
    meant = [one for one in book.products if one.product_id == chosen] or products_meant(said.text, book.products)
    if meant or not refers_back(said.text):
        return meant
    return [one for one in book.products if one.name == before][:1]


def _which_product(said: Said, reply: Reply, products: Sequence[Product]) -> Reply:
    options = tuple(Option(label=one.name, choice=f"product:{one.product_id}") for one in products)
    question = say(said.language, "ask_product")
    return replace(reply, kind="ask", awaits=PRODUCT, options=options, sentences=(question,))


def _found(reply: Reply, finding: Finding) -> Reply:
    return replace(reply, sentences=(*reply.sentences, *finding.sentences), person=finding.person)


def _handed(said: Said, reply: Reply) -> Reply:
    """Give the matter to a person."""
    sentences = (*reply.sentences, say(said.language, "handover"))
    return replace(reply, kind="handover", sentences=sentences, person=True, options=())


def _person(book: Book, said: Said) -> tuple[Option, ...]:
    """Return the option of a person, where the shop has that matter."""
    matter = book.acting(HANDOVER)
    return (Option(label=book.title(matter, said.language), choice=HANDOVER),) if matter else ()
