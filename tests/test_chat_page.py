"""The chat page: a session opens pages and nothing else, no other site can post for its holder, and no script runs."""

import re

import httpx
import pytest

from tests.accessible import faults
from tests.form_browser import Browser
from tests.service_shop import Desk

ADA = "customer-ada-1815"


@pytest.fixture(scope="module")
def desk(object_store, tmp_path_factory):
    return Desk(object_store, tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def url(desk):
    with desk.open() as client:
        desk.order(client, ADA, "A1047-220", ("77", "Kettle <script>alert(1)</script>"), promised="2026-07-04")
        desk.order(client, ADA, "C0318-557", ("78", "Oat Milk"), promised="2026-07-06")
        yield str(client.base_url)


@pytest.fixture
def browser(url, desk):
    made = Browser(url)
    made.send("/sign-in", token=desk.token, next="/chat")
    yield made
    made.http.close()


def test_without_a_session_a_page_leads_to_signing_in(url, desk):
    browser = Browser(url)
    assert browser.open("/chat").url.path == "/sign-in"
    assert browser.send("/sign-in", token="wrong").status_code == 403
    assert not browser.http.cookies
    entered = browser.send("/sign-in", token=desk.token, next="https://evil.example/")
    assert (entered.status_code, entered.url.path) == (200, "/chat")
    cookie = entered.history[0].headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    browser.send("/sign-in/out")
    assert browser.open("/chat").url.path == "/sign-in"


def test_a_session_opens_no_part_of_the_api_and_no_other_site_posts_for_it(browser, url):
    assert browser.http.post("/v1/service/predict", json={"message": "hello"}).status_code == 401
    foreign = browser.http.post(
        "/chat", data={"message": "hello", "message_id": "1"}, headers={"Origin": "https://evil.example"}
    )
    assert foreign.url.path == "/sign-in"
    assert httpx.get(f"{url}/chat", cookies={"tradewind_session": "forged.forged.forged"}).status_code == 303


def test_a_conversation_is_held_with_sources_reasons_and_options(browser, desk):
    browser.open("/chat")
    asked = browser.send("/chat", message="How do I return shoes?")
    assert "<blockquote>" in asked.text
    assert "<code>returns</code>" in asked.text
    assert "sign in" in asked.text
    browser.send("/sign-in/customer", token=desk.customer(ADA), next="/chat")
    assert "Signed in as a customer" in browser.page
    asked = browser.send("/chat", message="Has my order been shipped yet?")
    assert re.findall(r'name="option" value="(\d)"', asked.text) == ["0", "1"]
    told = browser.send("/chat", option="1")
    assert "should arrive by 4 July 2026" in told.text
    assert "How do I return" not in told.text  # before the customer signed in: another conversation
    assert re.search(r'class="w4"', told.text)
    handed = browser.send("/chat", message="I want to speak to a person")
    assert "This is what the colleague sees" in handed.text


def test_no_script_runs_whatever_an_order_or_a_message_holds(browser, desk):
    browser.send("/sign-in/customer", token=desk.customer(ADA), next="/chat")
    shown = browser.send("/chat", message="Has my order been shipped yet? <script>alert(2)</script>")
    assert "<script" not in shown.text
    assert "alert(2)" in shown.text
    policy = shown.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe-inline" not in policy


def test_turns_that_were_tampered_with_are_forgotten(browser):
    browser.open("/chat")
    shown = browser.http.post("/chat", data={"message": "hello", "message_id": "1", "turns": '[{"said": 1}]'})
    assert shown.status_code == 200
    assert shown.text.count('class="said"') == 1


def test_the_page_speaks_chinese_where_the_browser_does_or_is_told_to(url, browser):
    assert "服务器令牌" in httpx.get(f"{url}/sign-in", headers={"Accept-Language": "zh-CN"}).text
    assert "客户服务" in browser.send("/sign-in/language", language="zh", next="/chat").text


def test_one_customer_is_shown_to_all_applications_and_what_is_not_served_says_so(browser, desk):
    assert "Sign in as a customer above" in browser.open("/customer").text
    browser.send("/sign-in/customer", token=desk.customer(ADA), next="/customer")
    asked = browser.send("/customer", ask="message", message="Has my order been shipped yet?", amount="10")
    assert "A1047-220" in asked.text
    assert "C0318-557" in asked.text
    assert asked.text.count("This application is not ready. Ask another server.") == 2
    assert "not ready" in browser.send("/customer", ask="payment", amount="10").text
    assert "<script" not in browser.page


def test_every_page_can_be_used_by_keyboard_with_a_screen_reader_and_on_a_phone(browser, url, desk, chromium):
    tab = chromium.new_page()
    tab.goto(f"{url}/sign-in")
    found = {"/sign-in": faults(tab)}
    browser.send("/sign-in/customer", token=desk.customer(ADA), next="/chat")
    browser.send("/chat", message="How do I return shoes?")
    kept = [{"name": name, "value": value, "url": url} for name, value in browser.http.cookies.items()]
    tab.context.add_cookies(kept)
    for path in ("/chat", "/customer"):
        tab.goto(f"{url}{path}")
        found[path] = faults(tab)
    tab.goto(f"{url}/chat")
    tab.fill("input[name=message]", "Has my order been shipped yet?")
    tab.keyboard.press("Enter")
    tab.locator("article.answer").last.wait_for()
    found["an answer"] = faults(tab)
    assert {place: told for place, told in found.items() if told} == {}
