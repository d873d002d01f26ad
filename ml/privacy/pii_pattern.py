"""Finds what has a form of its own in any language: e-mail, web and network addresses, cards, accounts, ids, phones.

Checksums and number plans are those of python-stdnum and phonenumbers; an expression here only says where to look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from stdnum import iban, luhn
from stdnum.us import ssn

from ml.privacy.pii_span import Kind, Span

CHECKED, STRICT, LIKELY = 1.0, 0.95, 0.9  # scores: a checksum holds; a form nothing else has; a form in its usual place
UNSURE = 0.3  # whatever else is found there is surer
WORDY = r"[^\W\u4e00-\u9fff]"  # Chinese is written without spaces around an address
EMAIL = re.compile(rf"(?:{WORDY}|[.+-]){{1,64}}@(?:{WORDY}|-)+(?:\.(?:{WORDY}|-)+)+")
URL = re.compile(r"(?:https?://|www\.)[^\s<>\"'，。；、（）]+[^\s<>\"'，。；、（）.,;:!?)\]]", re.IGNORECASE)
IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){3,7})(?![\w.:]*\w)", re.IGNORECASE
)
IBAN = re.compile(
    r"(?<!\w)[a-z]{2}\d{2}(?:[ .-]?[a-z0-9]{4}){2,7}(?:[ .-]?[a-z0-9]{1,3})?(?!\w)", re.IGNORECASE | re.ASCII
)
DIGITS = re.compile(r"(?<![\w.+-])\d(?:[ ./-]?\d){11,18}(?![\w-]|\.\d)", re.ASCII)
SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", re.ASCII)
MOBILE_CN = re.compile(r"(?<![\w.-])(?:(?:\+|00)86[ -]?)?1[3-9]\d(?:[ .-]?\d{4}){2}(?![\d-]|\.\d)", re.ASCII)
ABROAD = re.compile(r"(?<![\w])\+\d")
ISSUER = re.compile(  # ranges of ISO/IEC 7812 that payment cards use, with their lengths
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}"
    r"|(?:2131|1800)\d{11}|6\d{11,18}|5[0678]\d{10,17}"
)
ORDER_BEFORE = re.compile(
    r"(?:order|invoice|tracking|parcel|article|item|sku|ean|ref(?:erence)?|订单|单号|编号|货号)\W*(?:no|nr|number|id|号|号码|是|为)?\W*(?:is|was)?\W*$",
    re.IGNORECASE,
)
CODE_BEFORE = re.compile(r"[A-Za-z0-9][A-Za-z0-9#/_.-]{0,11}$")  # a number may be the rest of a code: A-20931
VERSION_BEFORE = re.compile(r"(?:version|firmware|release|build|v|版本)\W*$", re.IGNORECASE)
IBAN_BEFORE = re.compile(r"iban\W*(?:code|number|is)?\W*$", re.IGNORECASE)
TITLED = re.compile(
    r"(?<![A-Za-z])(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Herrn?|Frau|Madame|Monsieur|Señora?|Signora?)\.?\s"
    r"(?!(?:Pepper|Martens|Oetker|Proper|Clean|Muscle|Coffee|Potato|Universe)(?![A-Za-z]))"  # goods
    r"([A-Z][a-zß-ÿ'’]{1,24}(?:[A-Z][a-zß-ÿ]{1,24})?(?:-[A-Z][a-zß-ÿ]{1,24})?)(?![A-Za-z])"
)
CALL = re.compile(
    r"(?<![A-Za-z])(?i:ring|call|text|phone|dial|tel(?:ephone)?|mobile|cell|landline|whatsapp|reach\s(?:me|us|him|her))(?![A-Za-z])"
    r"(?i:\s{0,2}(?:me|us|him|her|back|no|nr|number|is|on|at|under|my|our|the|[.:=-])){0,6}\s{0,2}"
    r"([(]?\+?\d(?:[ ()./-]{0,2}\d){6,13})(?!\w)",
    re.ASCII,
)
VEHICLE = re.compile(
    r"(?<![A-Za-z])(?i:(?:number|licen[cs]e|licence)\splate|plate|registration|car\sreg|reg(?:istration)?\s(?:no|number)|kennzeichen)(?![A-Za-z])"
    r"(?i:\s{0,2}(?:no|nr|number|is|was|of|my|the|car|van|[.:=])){0,5}\s{0,2}"
    r"((?=[A-ZÄÖÜ0-9 -]{0,9}\d)(?=[A-ZÄÖÜ0-9 -]{0,9}[A-ZÄÖÜ])[A-ZÄÖÜ0-9]{1,4}(?:[ -]?[A-Z0-9]{1,5}){1,2})(?!\w)"
)
LOOK_BACK = 24  # characters before a number in which a word says what it is


def find_patterns(text: str) -> list[Span]:
    """Return what a checksum or a form tells; spans may overlap."""
    found = [Span(one.start(), one.end(), "EMAIL", STRICT) for one in EMAIL.finditer(text)]
    found += [Span(one.start(), one.end(), "URL", STRICT) for one in URL.finditer(text)]
    if any(char.isdigit() for char in text):
        found += [Span(one.start(1), one.end(1), "PLATE", STRICT) for one in VEHICLE.finditer(text)]
        found += [*_networks(text), *_accounts(text), *_cards(text), *_ids(text), *_phones(text)]
    return found


def find_titled(text: str) -> Iterator[Span]:
    """Yield the surnames after a title; less sure than whatever else is found there, for a whole name may begin with it."""
    for one in TITLED.finditer(text):
        yield Span(one.start(1), one.end(1), "NAME", UNSURE)


def is_order(text: str, at: int) -> bool:
    """Tell whether the words before a number say that it is an order's, a parcel's or an article's."""
    before = _before(text, at)
    code = CODE_BEFORE.search(before)
    starts = (before, before[: code.start()]) if code and code.group()[-1] in "-/_." else (before,)
    return any(ORDER_BEFORE.search(one) for one in starts)


def _before(text: str, at: int) -> str:
    return text[max(at - LOOK_BACK, 0) : at]


def _networks(text: str) -> Iterator[Span]:
    for one in IP.finditer(text):
        if _is_ip(one.group()) and not VERSION_BEFORE.search(_before(text, one.start())):
            yield _span(one, "IP", STRICT)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _accounts(text: str) -> Iterator[Span]:
    for one in IBAN.finditer(text):
        shorter = one.group()[: max(one.group().rfind(mark) for mark in " .-")]  # a short word may follow
        if iban.is_valid(one.group()):
            yield _span(one, "IBAN", CHECKED)
        elif iban.is_valid(shorter):
            yield Span(one.start(), one.start() + len(shorter), "IBAN", CHECKED)
        elif IBAN_BEFORE.search(_before(text, one.start())):
            yield _span(one, "IBAN", LIKELY)


def _cards(text: str) -> Iterator[Span]:
    for one in DIGITS.finditer(text):
        number = re.sub(r"\D", "", one.group())
        known = ISSUER.fullmatch(number) and luhn.is_valid(number)
        if known and not is_order(text, one.start()):
            yield _span(one, "CARD", CHECKED)


def _ids(text: str) -> Iterator[Span]:
    for one in SSN.finditer(text):
        if ssn.is_valid(one.group()):
            yield _span(one, "ID", STRICT)


def _phones(text: str) -> Iterator[Span]:
    for one in MOBILE_CN.finditer(text):
        if not is_order(text, one.start()):
            yield _span(one, "PHONE", LIKELY)
    for one in CALL.finditer(text):
        yield Span(one.start(1), one.end(1), "PHONE", LIKELY)
    if ABROAD.search(text):
        from phonenumbers import Leniency, PhoneNumberMatcher

        for match in PhoneNumberMatcher(text, None, leniency=Leniency.POSSIBLE):
            yield Span(match.start, match.end, "PHONE", STRICT)


def _span(found: re.Match[str], kind: Kind, score: float) -> Span:
    return Span(found.start(), found.end(), kind, score)
