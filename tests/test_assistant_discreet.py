"""What a customer writes is stored without the word that a password is, and stays as it is where it only speaks of one."""

import pytest

from ml.use_cases.service.corpus import read_corpus
from ml.use_cases.service.discreet import discreet, sendable

CORPUS = [one.text for one in read_corpus().utterances]


@pytest.mark.parametrize(
    "text",
    [
        "password hunter2",
        "my password is hunter2",
        "my pw: hunter2",
        "my pw is hunter2, the login fails",
        "pwd=hunter2",
        "pass: hunter2",
        "PW - hunter2",
        "pin code hunter2",
        "passwords: hunter2",
        "password for my account = hunter2",
        "password for bob@example.com = hunter2",
        "the password of my account is hunter2",
        "the password I use for the app: hunter2",
        "My password is still hunter2.",
        "I changed my password to hunter2 and cannot log in",
        "the passcode was 'hunter2'",
        "密码hunter2",
        "密码是 hunter2",
        "密码是hunter2但是登录不了",
        "密码: hunter2",
        "密码:hunter2",
        "密码：hunter2，登录不了",
        "密码 = hunter2",
        "我账户的密码一直是hunter2",
        "我账户的登录密码（App）是：hunter2",
        "密码改成hunter2了，还是登不进去",
        "口令为“hunter2”",
        "我的pw是hunter2",
        "邮箱lin.test@example.com,密码hunter2",
    ],
)
def test_a_password_is_stored_in_no_wording(text):
    hidden = discreet(text)
    assert "hunter" not in hidden
    assert "[SECRET]" in hidden
    assert discreet(hidden) == hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("my password is sunshine", "my password is [SECRET]"),
        ("login bob, password sunshine", "login bob, password [SECRET]"),
        ("pw: hun,ter;2, it fails", "pw: [SECRET], it fails"),
        ("口令是芝麻开门，打不开", "口令是[SECRET]，打不开"),
        ("密码是 hunter2，登录不了", "密码是 [SECRET]，登录不了"),
        ("password for my account = hunter2", "password for my account = [SECRET]"),
        ("密码Qwe!8821,登录不了", "密码[SECRET],登录不了"),
    ],
)
def test_around_a_password_the_text_stays(text, hidden):
    assert discreet(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "I forgot my password and cannot log in",
        "how do I change the password for my account?",
        "My password is wrong, it says.",
        "the password for my account is not accepted",
        "Is the password the same as in the shop?",
        "I need a new password: how?",
        "my password, please reset it",
        "reset the password of my account for order A1047-220",
        "password - how do I change it?",
        "I cannot pass the check at the till",
        "密码忘了",
        "我忘记密码了",
        "密码是错的",
        "密码是什么",
        "密码为什么不对",
        "密码不对，登不进去",
        "密码：忘了",
        "礼品卡密码不对",
        "密码对的还说密码错误",
    ],
)
def test_who_only_speaks_of_a_password_is_stored_word_for_word(text):
    assert discreet(text) == text


def test_no_utterance_of_the_corpus_is_taken_for_one_with_a_password():
    taken = [text for text in CORPUS if "[SECRET]" in discreet(text)]
    assert taken == []


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Where is my order A1047-220?", "Where is my order [ORDER]?"),
        ("我的订单b2291884到哪了", "我的订单[ORDER]到哪了"),
        ("order fa123b45 and 3fa85f64, please", "order [ORDER] and [ORDER], please"),
        ("A1047-220 I am Eleanor Whitcombe", "[ORDER] I am [NAME]"),
        ("Is the Kettle with a lid in stock?", "Is the Kettle with a lid in stock?"),
        ("a defaced mug", "a defaced mug"),
    ],
)
def test_what_is_sent_on_names_products_and_no_order(text, sent):
    assert sendable(text) == sent


def test_what_is_sent_on_has_no_number_of_an_order_that_is_known_by_another_form():
    assert sendable("has ord_x/7 left? ORD_X/7!", ["ORD_X/7"]) == "has [ORDER] left? [ORDER]!"
    assert sendable("the recorder", ["order"]) == "the recorder"


@pytest.mark.parametrize(
    ("said", "stored"),
    [
        ("my code is \uff19\uff18\uff17\uff16\uff15\uff14", "[SECRET]"),
        ("born \u0661\u0662/\u0660\u0663/\u0661\u0669\u0668\u0664", "[NUMBER]"),
        ("I have can\u200bcer", "[HEALTH OR BELIEF]"),
    ],
)
def test_what_may_not_be_stored_is_hidden_whatever_signs_it_is_written_with(said, stored):
    hidden = discreet(said)
    assert hidden.endswith(stored), hidden


@pytest.mark.parametrize(
    "order", ["\uff211047\u2011220", "A\uff11\uff10\uff14\uff17-220", "A1047\u2013220", "A10\u200b47-220"]
)
def test_no_order_number_is_sent_on_whatever_signs_it_is_written_with(order):
    assert sendable(f"Where is {order} now?") == "Where is [ORDER] now?"
