"""Finds what only its owner should know: passwords, PINs, one-time codes, a card's security code and expiry; English, Chinese.

A word says what it is, and what follows it is looked at: words that usually follow are no secret, nearly all else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ml.privacy.pii_span import Span

SURE = 0.97  # as sure as a form: it wins over the names and numbers that a secret may look like
HAN = "\u4e00-\u9fff"
CALLED = (
    r"(?:(?<![A-Za-z])(?:pass(?:words?|codes?|phrases?|wd)|pwd?|p/w|pin(?:\s(?:code|number))?+|pass(?=\s{0,3}[:=：])|(?<=my\s)pass(?=\s(?:is|was)\s))(?![A-Za-z])"
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
PLACEHOLDER = r"\[[A-Z ]{1,20}\]"
BETWEEN = (
    rf"(?:\s{{1,3}}[A-Za-z'’]{{1,20}}(?:@[\w-]{{1,40}}\.[\w.-]{{1,40}})?(?!\w)"
    rf"|\s{{0,3}}{PLACEHOLDER}|\s{{0,3}}[（(][^（）()]{{0,20}}[）)]|[{HAN}]|[，,](?=[{HAN}])){{0,10}}?\s{{0,3}}"
)
MIXED = r"(?![:=>(])(?=[!-~]{0,64}[A-Za-z])(?=[!-~]{0,64}[0-9])[!-~]{5}"  # letters and digits
SAYS = (
    rf"{BETWEEN}(?={MIXED})"
    rf"|{BETWEEN}[:=：]\s*"
    rf"|(?:\s+|\s*[-–—>→(（]+\s*|(?<=[码碼令]))(?![{HAN}:=：(（>→])"
    rf"|(?:\s+(?:for|of|to|on|in|at|i|we)(?![A-Za-z]){BETWEEN})?(?:\s+(?:is|was)|['’]s)\s+(?:(?:still|now|just|always|simply)\s+)?"
    rf"|[{HAN}]{{0,6}}?\s*(?:是|为|改成|设成|换成)\s*"
)
ORDER = r"(?<![A-Za-z0-9])[A-Za-z]\d{4}-?\d{3}(?![\d-]*\d)"  # no password has the form of an order number
SECRET = re.compile(
    rf"{CALLED}(?:{SAYS})(?!{PLACEHOLDER}|{ORDER}|{ORDINARY})(?=[^\s\w]*\w)"
    rf"(?P<value>[{HAN}][^\s,，。;；!?！？]{{0,64}}|(?:[^\s,，。;；）){HAN}]|[,;)](?=[!-~])){{1,200}})",
    re.IGNORECASE,
)
CODE = (
    r"(?<![A-Za-z])(?:cvv2?|cvc2?|cid|otp|t?pin|passcode|(?:card\s)?security\scode|one[- ]time\s(?:code|password|pin|passcode)"
    r"|(?:verification|confirmation|authentication|auth|access|login|sms|2fa|unlock|door|locker)\s(?:code|number)"
    r"|(?<!discount\s)(?<!coupon\s)(?<!promo\s)(?<!voucher\s)(?<!gift\s)(?<!zip\s)(?<!postal\s)(?<!area\s)(?<!country\s)(?<!error\s)"
    r"(?<!product\s)(?<!article\s)(?<!item\s)(?<!colour\s)(?<!color\s)(?<!order\s)(?<!tracking\s)(?<!sort\s)(?<!status\s)"
    r"code(?=[^\d\n]{1,40}?(?:(?<![a-z])(?:is|was|received|got|sent)(?![a-z])|[:=：])))(?![A-Za-z])"
    r"|(?:last\s)?(?:three|3|four|4)\s(?:digits|numbers)\s(?:on|from|at)\s(?:the\s)?back|背面的?(?:最?后|末)?[三3四4]位(?:数字?)?"
    r"|验证码|校验码|动态密?码|安全码|取件码|提货码|支付密码|取款密码|登录密码|密码|口令"
)
LINK = (
    rf"(?:\s{{0,3}}(?:{PLACEHOLDER}|code|number|no\.?|for|the|locker|door|card|i|we|you|have|just|got|received|sent|me|it|it['’]?s|is|are|was|that|on"
    r"|my|phone|[:：=,，、(（-]|是|为|改成|设成|叫|收到|了|我的|的)(?![A-Za-z])){0,8}\s{0,3}"
)
DIGITS = r"\d(?:[ -]?\d){2,9}(?![\w/%€$£元]|[.,:-]\d|[ -]?\d|\s?(?:eur|usd|euros?|dollars?|pcs|pieces|minutes|days))"
PIN, DIGIT = re.compile("pin", re.IGNORECASE), re.compile(r"\d")
CODES = re.compile(rf"(?:{CODE}){LINK}(?P<value>{DIGITS})", re.IGNORECASE | re.ASCII)
EXPIRY = re.compile(
    r"(?:exp(?:ir(?:y|es|ation))?(?:\sdate)?|valid\s(?:thru|until|to)|有效期)\.?[\s:：是到至is]{0,6}(?P<value>(?:0[1-9]|1[0-2])\s?/\s?(?:20)?\d{2})(?![\d/])",
    re.IGNORECASE | re.ASCII,
)
CARD = re.compile(r"card|visa|master|amex|卡|cv[vc]", re.IGNORECASE)
ANSWER = re.compile(
    r"security\s(?:answer|question)(?:\s(?:is|was)|\s?[:：])\s?(?P<value>(?!what|where|who|how|which|not|wrong)\S[^.,;!?\n]{0,40})|密保答案[是为:：]\s?(?P<other>[^，。,\s]{1,20})",
    re.IGNORECASE,
)


def find_secrets(text: str) -> Iterator[Span]:
    """Yield secrets; the words that say what they are stay."""
    yield from _passwords(text)
    for one in (*CODES.finditer(text), *(EXPIRY.finditer(text) if CARD.search(text) else ())):
        yield Span(one.start("value"), one.end("value"), "SECRET", SURE)
    for one in ANSWER.finditer(text):
        group = "value" if one["value"] else "other"
        yield Span(one.start(group), one.end(group), "SECRET", SURE)


def _passwords(text: str) -> Iterator[Span]:
    for one in SECRET.finditer(text):
        if PIN.match(one.group()) and not DIGIT.search(one["value"]):
            continue  # pins are also bent, sewn with and sold
        yield Span(one.start("value"), one.end("value"), "SECRET", SURE)
