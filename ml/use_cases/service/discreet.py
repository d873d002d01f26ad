"""What of a customer's words may be stored or sent on: no personal value, no secret, nothing about health or belief.

`ml.privacy.redact` finds names, addresses and numbers of known forms. Here is added what is secret only in a conversation:
any other long number (codes, dates of birth), what a password is said to be, and words of special categories (GDPR, article
9) from a short list. Order numbers stay where a text is stored, and go where it is sent on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from ml.privacy.redact import redact
from ml.use_cases.service.similarity import HAN
from ml.use_cases.service.slot import ORDER_NUMBER, SHORT_NAME, as_word

NUMBER = re.compile(r"\d[\d .,/:-]*\d{2,}|\d+[/.:-]\d[\d/.:-]*|\d{3,}", re.ASCII)
CALLED = (
    r"(?:(?<![A-Za-z])(?:pass(?:words?|codes?|phrases?|wd)|pwd?|p/w|pin(?:\s(?:code|number))?+|pass(?=\s*[:=：]))(?![A-Za-z])"
    r"|密码|密碼|口令)"
)
ORDINARY = (
    r"(?:(?:[a-z]+['’][a-z]+|an?|the|this|that|its?|i|we|you|he|she|they|my|your|his|her|our|their|me|us|them|and|or|but|nor|so"
    r"|because|since|if|when|while|as|after|before|until|for|to|of|on|in|into|at|by|with|without|from|about|is|was|are|were|be"
    r"|been|being|am|can|cannot|could|would|should|may|might|must|will|has|have|had|does|do|did|not|no|never|again|any|anymore"
    r"|already|always|still|yet|too|very|just|only|also|now|then|today|yesterday|every|each|there|here|where|why|how|what|which"
    r"|who|please|thanks|thank|resets?|recovery|chang(?:e|es|ed|ing)|e?mails?|links?|pages?|fields?|box|form|manager|errors?"
    r"|problems?|issues?|help|hint|rules?|requirements?|protection|wrong|incorrect|correct|right|invalid|valid|expired|known"
    r"|forgotten|lost|blocked|locked|rejected|accepted|refused|stolen|hacked|leaked|compromised|weak|long|short|old|new|same"
    r"|different|empty|needed|required|missing|gone|works?|worked|working|fails?|failed|failing|keeps?|says|said)"
    rf"(?=[.,;:!?)'\"]*(?:\s|$|[，。；：！？{HAN}]))"
    r"|[不没错对正忘无非未什多几哪谁怎么否我你您他她它用新旧同一以之最由在被有好空默初必可要自了的过和与或吗呢啊吧])"
)
"""What follows "password" where none is told; anything else is taken for one."""
PLACEHOLDER = r"\[[A-Z ]+\]"
BETWEEN = (
    rf"(?:\s+[A-Za-z'’]+(?:@[\w-]+\.[\w.-]+)?(?!\w)|\s*{PLACEHOLDER}|\s*[（(][^（）()]{{0,20}}[）)]|[{HAN}]){{0,8}}?\s*"
)
MIXED = r"(?![:=>(])(?=[!-~]*[A-Za-z])(?=[!-~]*[0-9])[!-~]{5}"  # letters and digits
SAYS = (
    rf"{BETWEEN}(?={MIXED})"
    rf"|{BETWEEN}[:=：]\s*"
    rf"|(?:\s+|\s*[-–—>→(（]+\s*|(?<=[码碼令]))(?![{HAN}:=：(（>→])"
    rf"|(?:\s+(?:for|of|to|on|in|at|i|we)(?![A-Za-z]){BETWEEN})?(?:\s+(?:is|was)|['’]s)\s+(?:(?:still|now|just|always|simply)\s+)?"
    rf"|[{HAN}]{{0,6}}?\s*(?:是|为|改成|设成|换成)\s*"
)
SECRET = re.compile(
    rf"({CALLED}(?:{SAYS}))(?!{PLACEHOLDER}|{ORDER_NUMBER.pattern}|{ORDINARY})(?=[^\s\w]*\w)"
    rf"(?:[{HAN}][^\s,，。;；!?！？]*|(?:[^\s,，。;；）){HAN}]|[,;)](?=[!-~]))+)",
    re.IGNORECASE,
)
SPECIAL = re.compile(
    r"\b(?:diabet\w+|pregnan\w+|cancer\w*|tumou?r\w*|hiv|aids|depress\w+|anxiety|bipolar|autis\w+|epilep\w+|asthma\w*|allerg\w+|disab\w+"
    r"|disease\w*|illness\w*|surgery|chemo\w*|medicat\w+|prescription\w*|gay|lesbian|transgender|muslim|jewish|christian|hindu|buddhist"
    r"|church|mosque|synagogue|trade union)\b"
    r"|糖尿病|怀孕|孕妇|孕期|癌症?|肿瘤|艾滋病?|抑郁症?|焦虑症|自闭症|癫痫|哮喘|过敏|残疾|疾病|手术|化疗|处方|同性恋|穆斯林|基督徒?|佛教|道教|信教",
    re.IGNORECASE,
)


def discreet(text: str, language: Literal["en", "zh"] | None = None) -> str:
    """Return the text as it may be stored, with placeholders that say what stood there."""
    hidden = redact(_without_secrets(text), language, keep=ORDER_NUMBER).text
    return _without_numbers(SPECIAL.sub("[HEALTH OR BELIEF]", hidden))


def sendable(text: str, orders: Iterable[str] = ()) -> str:
    """Return the text as it may be sent on: as it may be stored, without order numbers.

    Args:
        text: A message.
        orders: Order numbers that may stand in it in another form than the pages'.
    """
    words = [as_word(form) for form in (SHORT_NAME.pattern, *map(re.escape, orders))]
    forms = re.compile("|".join([ORDER_NUMBER.pattern, *words]), re.ASCII | re.IGNORECASE)
    return discreet(forms.sub("[ORDER]", text))


def _without_secrets(text: str) -> str:
    """Replace passwords; what stands beside one is looked at again, since it may be another."""
    while (hidden := SECRET.sub(r"\1[SECRET]", text)) != text:
        text = hidden
    return text


def _without_numbers(text: str) -> str:
    """Replace numbers that are no order's."""
    parts, at = [], 0
    for kept in ORDER_NUMBER.finditer(text):
        parts += [NUMBER.sub("[NUMBER]", text[at : kept.start()]), kept[0]]
        at = kept.end()
    return "".join([*parts, NUMBER.sub("[NUMBER]", text[at:])])
