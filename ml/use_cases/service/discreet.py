"""What of a customer's words may be stored or sent on: no personal value, no secret, nothing about health or belief.

`ml.privacy.redact` finds names, addresses, numbers of known forms and secrets. Here is added what is personal only in a
conversation: any other long number (codes, dates of birth), and words of special categories (GDPR, article 9) from a short
list. Order numbers stay where a text is stored, and go where it is sent on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from ml.privacy.pii_plain import plain
from ml.privacy.redact import redact
from ml.use_cases.service.slot import ORDER_NUMBER, SHORT_NAME, as_word

NUMBER = re.compile(r"\d[\d .,/:-]*\d{2,}|\d+[/.:-]\d[\d/.:-]*|\d{3,}", re.ASCII)
SPECIAL = re.compile(
    r"\b(?:diabet\w+|pregnan\w+|cancer\w*|tumou?r\w*|hiv|aids|depress\w+|anxiety|bipolar|autis\w+|epilep\w+|asthma\w*|allerg\w+|disab\w+"
    r"|disease\w*|illness\w*|surgery|chemo\w*|medicat\w+|prescription\w*|gay|lesbian|transgender|muslim|jewish|christian|hindu|buddhist"
    r"|church|mosque|synagogue|trade union)\b"
    r"|糖尿病|怀孕|孕妇|孕期|癌症?|肿瘤|艾滋病?|抑郁症?|焦虑症|自闭症|癫痫|哮喘|过敏|残疾|疾病|手术|化疗|处方|同性恋|穆斯林|基督徒?|佛教|道教|信教",
    re.IGNORECASE,
)


def discreet(text: str, language: Literal["en", "zh"] | None = None) -> str:
    """Return the text as it may be stored, with placeholders that say what stood there, and ASCII's digits and signs."""
    hidden = redact(plain(text).text, language, keep=ORDER_NUMBER).text
    return _without_numbers(SPECIAL.sub("[HEALTH OR BELIEF]", hidden))


def sendable(text: str, orders: Iterable[str] = ()) -> str:
    """Return the text as it may be sent on: as it may be stored, without order numbers.

    Args:
        text: A message.
        orders: Order numbers that may stand in it in another form than the pages'.
    """
    words = [as_word(form) for form in (SHORT_NAME.pattern, *map(re.escape, orders))]
    forms = re.compile("|".join([ORDER_NUMBER.pattern, *words]), re.ASCII | re.IGNORECASE)
    return discreet(forms.sub("[ORDER]", plain(text).text))


def _without_numbers(text: str) -> str:
    """Replace numbers that are no order's."""
    parts, at = [], 0
    for kept in ORDER_NUMBER.finditer(text):
        parts += [NUMBER.sub("[NUMBER]", text[at : kept.start()]), kept[0]]
        at = kept.end()
    return "".join([*parts, NUMBER.sub("[NUMBER]", text[at:])])
