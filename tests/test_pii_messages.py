"""Of our own shop messages nearly all planted personal data goes and nearly all else stays, in both halves."""

import re
from importlib.resources import files

import pytest

from ml.privacy.pii_find import find
from ml.privacy.redact import redact

SLOT = re.compile(r"\{\{(\w+)\|(.*?)\}\}")
HALVES = {
    "privacy_messages.txt": (0.95, 0.9),
    "privacy_messages_heldout.txt": (0.8, 0.85),
    "privacy_messages_fresh.txt": (0.93, 0.88),
    "privacy_messages_unseen.txt": (0.82, 0.85),
}
"""File -> least recall and precision; rules were written with the first and third in view, the others scored once, after them."""


def messages(file: str) -> list[tuple[str, list[tuple[int, int]]]]:
    found = []
    for line in files("ml.benchmark").joinpath(file).read_text(encoding="utf-8").splitlines():
        text, spans, at = "", [], 0
        for slot in SLOT.finditer(line):
            text += line[at : slot.start()]
            spans.append((len(text), len(text) + len(slot[2])))
            text, at = text + slot[2], slot.end()
        found.append((text + line[at:], spans))
    return found


def places(text: str, spans) -> set[int]:
    return {at for start, end in spans for at in range(start, end) if text[at].isalnum()}


@pytest.mark.parametrize("file", HALVES)
def test_planted_values_go_and_the_rest_stays(file):
    """A value is gone if nine tenths of its letters and digits are; a find is right if two thirds of it were planted."""
    gone, right, planted, found = 0, 0, 0, 0
    for text, spans in messages(file):
        told = [(span.start, span.end) for span in find(text)]
        hidden, wanted = places(text, told), places(text, spans)
        gone += sum(len(places(text, [one]) & hidden) >= 0.9 * len(places(text, [one])) for one in spans)
        right += sum(3 * len(places(text, [one]) & wanted) >= 2 * len(places(text, [one])) for one in told)
        planted, found = planted + len(spans), found + len(told)
    recall, precision = HALVES[file]
    assert planted > 30
    assert gone / planted >= recall
    assert right / found >= precision


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("my pass is hunter2", "hunter2"),
        ("my pass is expired", ""),
        ("I typed my PIN 4471 twice", "4471"),
        ("the CVV is 901", "901"),
        ("the one-time code you sent is 55 21 90", "55 21 90"),
        ("我的密码是Happy888", "Happy888"),
        ("收到验证码330912", "330912"),
        ("密码忘了，以前是qwer2019", "qwer2019"),
        ("the card's three digits on the back are 518", "518"),
        ("背面三位是518", "518"),
        ("error code 403", ""),
        ("The discount code SUMMER20 gives 15%", ""),
        ("Two pins of the plug are bent", ""),
        ("How do I reset my password?", ""),
        ("忘记密码怎么办", ""),
    ],
)
def test_secrets_are_redacted_and_talk_about_them_is_not(text, value):
    done = redact(text)
    assert done.text == (text.replace(value, "[SECRET]") if value else text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to max at planted dot example", "EMAIL"),
        ("max(at)planted.example", "EMAIL"),
        ("我的邮箱max艾特planted点com", "EMAIL"),
        ("mail max＠planted．example", "EMAIL"),
        ("DE89-3704-0044-0532-0130-00", "IBAN"),
        ("DE89 3704 0044 0532 0130 00 now", "IBAN"),
        ("4111.1111.1111.1111", "CARD"),
        ("41 1111 1111 1111 11", "CARD"),
        ("My passport number is K1234567", "ID"),
        ("driving licence MORGA657054SM9IJ", "ID"),
        ("email tobi underscore ade at planted dot example", "EMAIL"),
        ("tell Mrs Quibblesworth to ring back", "NAME"),
        ("phone me on 07700 900 461 please", "PHONE"),
        ("the number plate is B-KT 4821", "PLATE"),
        ("替何晓明问一下退货", "NAME"),
        ("请找老吴接电话", "NAME"),
        ("收件人：阿迪力·买买提", "NAME"),
        ("完整的是11010519491231002X", "ID"),
        ("身份证尾号不对，完整的是110105194912310020", "ID"),
        ("身份证拍好了，订单号110105194912310020", ""),
        ("三位数背面没有字", ""),
        ("列夫·托尔斯泰的书有货吗", ""),
        ("order #A-20931 and tracking 1Z 999 AA1", ""),
        ("QQ12", ""),
        ("I bought it at amazon.com", ""),
        ("Article 4006381333931 costs 12.50", ""),
        ("Is a passport needed to collect 12 parcels?", ""),
    ],
)
def test_odd_forms_are_found_by_their_kind(text, kind):
    assert {span.type for span in find(text)} == ({kind} if kind else set())
