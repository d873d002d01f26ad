"""Finds numbers that states give people: by the words before them in several languages, or by form and check digit.

Check digits are python-stdnum's. Short forms that many other numbers share need the words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from stdnum.br import cpf
from stdnum.es import dni, nie
from stdnum.it import codicefiscale

from ml.privacy.pii_span import Span

CHECKED, CUED_SCORE = 0.98, 0.98  # surer than a secret: PW begins some numbers, and means password elsewhere
MOST_WORDS, LEAST_CHARS, LEAST_DIGITS = 5, 5, 3
CUE = (
    r"(?i:passport|reisepass|passeport|pasaporte|driv(?:er|ing)(?:['’]?s)?\s+licen[cs]e|licen[cs]e\s+(?:no|number)|national\s+insurance"
    r"|social\s+security|(?<![a-z])ssn|(?<=my\s)social|tax\s?(?:payer)?\s?(?:id|number|code|no)(?:entification)?|steuer-?(?:id|nummer)|vat\s?id"
    r"|national\s+id|identity\s+(?:card|number)|(?<![a-z])id[\s-]card|(?<![a-z])id\s+(?:no|number)|personalausweis|ausweis(?:nummer)?"
    r"|residence\s+permit|visa\s+number|voter\s+id|aadhaa?r|codice\s+fiscale|personnummer|medicare|nhs\s+(?:no|number)"
    r"|health\s+(?:card|insurance)|personal\s+number)"
    r"|(?<![A-Za-z])(?:NI|NINO|DNI|NIE|NIF|BSN|PESEL|SIN|CPF|PAN|TIN|ITIN|EIN|CURP|RFC|CNI|NIR|TFN)(?![A-Za-z])"
)
FILL = (
    r"(?:\s{0,2}(?:card|no\.?|number|nr\.?|num|is|it['’]?s|it|was|says|reads|lautet|ist|é|es|est|under|my|the|code|id|with|[#:：=,-])"
    rf"(?![A-Za-z])){{0,{MOST_WORDS}}}\s{{0,2}}"
)
PART = r"[A-Za-z]{0,6}\d[A-Za-z\d]{0,20}"
VALUE = rf"(?:[A-Z]{{1,3}}[ .-]?)?{PART}(?:[ ./-](?:{PART}|[A-Z](?![A-Za-z]))){{0,6}}(?!\w)"
CUED = re.compile(rf"(?:{CUE})(?i:{FILL})({VALUE})")
INSURANCE = re.compile(r"(?<!\w)[A-CEGHJ-PR-TW-Z]{2}[ -]?(?:\d{2}[ -]?){3}[A-D](?!\w)")
HONG_KONG = re.compile(r"(?<![A-Za-z0-9])[A-Z]{1,2}\d{6}\s?[(（][\dA][)）]")
FORMS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (re.compile(r"(?<!\w)\d{8}-?[A-Z](?!\w)"), dni.is_valid),
    (re.compile(r"(?<!\w)[XYZ]-?\d{7}-?[A-Z](?!\w)"), nie.is_valid),
    (re.compile(r"(?<!\w)\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)"), cpf.is_valid),
    (re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z](?!\w)"), codicefiscale.is_valid),
)


def find_identities(text: str) -> Iterator[Span]:
    """Yield them; of what follows a cue only what looks like a number: five characters, three digits at least."""
    for one in CUED.finditer(text):
        value = one[1]
        if sum(map(str.isalnum, value)) >= LEAST_CHARS and sum(map(str.isdigit, value)) >= LEAST_DIGITS:
            yield Span(one.start(1), one.end(1), "ID", CUED_SCORE)
    for form, is_valid in FORMS:
        for one in form.finditer(text):
            if is_valid(one.group()):
                yield Span(one.start(), one.end(), "ID", CHECKED)
    for form in (INSURANCE, HONG_KONG):
        for one in form.finditer(text):
            yield Span(one.start(), one.end(), "ID", CUED_SCORE)
