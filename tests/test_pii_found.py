"""Personal data is found in English and Chinese sentences, type by type; what is an order's, a price or a product stays."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest

from ml.privacy.pii_find import find


def found(text: str, language=None) -> set[tuple[str, str]]:
    return {(text[span.start : span.end], span.type) for span in find(text, language)}


PLANTED = [
    ("My name is Anna Kowalska and I want a refund.", "Anna Kowalska", "NAME"),
    ("Dear Mr. Johansson, thank you", "Johansson", "NAME"),
    ("The parcel was signed for by Péter Nagy", "Péter Nagy", "NAME"),
    ("Please deliver it to 12 Baker Street, London NW1 6XE", "12 Baker Street, London NW1 6XE", "ADDRESS"),
    (
        "My new address is 742 Evergreen Terrace\nSpringfield, OR 97403",
        "742 Evergreen Terrace\nSpringfield, OR 97403",
        "ADDRESS",
    ),
    ("write to anna.k+shop@mail.example.com today", "anna.k+shop@mail.example.com", "EMAIL"),
    ("Call me on 415-555-2671 please", "415-555-2671", "PHONE"),
    ("my mobile is +44 7911 123456", "+44 7911 123456", "PHONE"),
    ("My card 4111 1111 1111 1111 was declined", "4111 1111 1111 1111", "CARD"),
    ("Amex 378282246310005 please", "378282246310005", "CARD"),
    ("Refund to IBAN DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00", "IBAN"),
    ("my social security number is 536-90-4399", "536-90-4399", "ID"),
    ("Login from 203.0.113.77 failed", "203.0.113.77", "IP"),
    ("Login from 2001:db8::8a2e:370:7334 failed", "2001:db8::8a2e:370:7334", "IP"),
    ("see https://anna.example.org/me?id=7.", "https://anna.example.org/me?id=7", "URL"),
    ("你好，我叫王小明，还没收到货", "王小明", "NAME"),
    ("收件人：欧阳修远", "欧阳修远", "NAME"),
    ("张建国先生您好", "张建国", "NAME"),
    ("李女士的订单", "李", "NAME"),
    ("请寄到北京市朝阳区建国路88号2号楼1503室。", "北京市朝阳区建国路88号2号楼1503室", "ADDRESS"),
    ("地址：广东省深圳市南山区科技园南路15号", "广东省深圳市南山区科技园南路15号", "ADDRESS"),
    ("我住在朝阳路12号3单元502室", "朝阳路12号3单元502室", "ADDRESS"),
    ("手机13812345678随时可以打", "13812345678", "PHONE"),
    ("打我电话+86 138 1234 5678", "+86 138 1234 5678", "PHONE"),
    ("座机是010-62345678", "010-62345678", "PHONE"),
    ("身份证11010519491231002X", "11010519491231002X", "ID"),
    ("护照号码是E12345678", "E12345678", "ID"),
    ("银行卡号6222 0212 3456 7890 123", "6222 0212 3456 7890 123", "CARD"),
    ("加我微信：wxid_abc123", "wxid_abc123", "ACCOUNT"),
    ("QQ：123456789", "123456789", "ACCOUNT"),
    ("车牌京A12345停在门口", "京A12345", "PLATE"),
    ("新能源车沪AD12345", "沪AD12345", "PLATE"),
]
NOTHING = [
    "Where is my order 1234567?",
    "Order 4111111111111111 has not arrived",  # a card's digits, but the sentence says what they are
    "Tracking number TW-204511 shows no progress since 2024-11-05",
    "I paid $39.99 for the wireless headphones, it should be 29.99 EUR",
    "The meeting on 12 March 2024 at 10:30 was cancelled",
    "Is the Trail Runner 5 available in size 42?",
    "The firmware version 2.0.1.3 does not start",
    "I want my money back",
    "How do I reset my password?",
    "Article 4006381333931 is out of stock",
    "您的订单号 2024110512345678 已发货，金额￥199.00。",
    "订单13812345678什么时候发货",
    "这款华为手机多少钱？黄金会员打八折",
    "我想在12月1日之前收到货，能送到吗？",
    "我是高中生，白色连衣裙有货吗",
    "我们要去市场路边买东西",
    "身高175体重60穿什么码",
    "",
]


@pytest.mark.parametrize(("text", "value", "kind"), PLANTED)
def test_personal_data_is_found_where_it_stands(text, value, kind):
    assert (value, kind) in found(text)


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_not_personal_stays(text):
    assert found(text) == set()


def test_spans_come_in_order_without_overlap_and_sure_to_a_degree():
    text = "I am Anna Kowalska, anna@example.com, card 4111 1111 1111 1111, 身份证11010519491231002X"
    spans = find(text)
    assert [span.type for span in spans] == ["NAME", "EMAIL", "CARD", "ID"]
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(0 < span.score <= 1 for span in spans)
    assert spans[2].score == spans[3].score == 1.0


def test_a_wrong_check_digit_needs_a_word_that_says_what_it_is():
    assert found("编码110105194912310020号") == set()
    assert ("110105194912310020", "ID") in found("身份证号110105194912310020")


def test_the_language_chooses_the_rules():
    assert found("Kind regards, Anna Kowalska", "zh") == set()
    assert found("加我微信：wxid_abc123", "en") == set()
    assert found("anna@example.com", "zh") == found("anna@example.com", "en") == {("anna@example.com", "EMAIL")}


def test_nothing_heavy_is_imported():
    script = (
        "import sys, json; from ml.privacy.redact import redact; redact('I am Anna +44 7911 123456');"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert {"pycrfsuite", "phonenumbers"} <= modules
    assert not {"numpy", "pandas", "spacy", "tensorflow", "sklearn", "faker"} & modules
