"""Signing out ends sessions on the server, whoever kept the cookies; so does doing nothing for a while."""

import json
import subprocess
import sys
import time

import httpx
import jwt
import pytest

from ml.serving.session import LIFETIME_S, SessionStore
from tests.form_browser import Browser
from tests.service_shop import Desk

ADA = "customer-ada-1815"
IDLE_S = 3000.0


@pytest.fixture(scope="module")
def desk(object_store, tmp_path_factory):
    return Desk(object_store, tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def url(desk):
    with desk.open() as client:
        yield str(client.base_url)


@pytest.fixture
def browser(url, desk):
    made = Browser(url)
    made.send("/sign-in", token=desk.token, next="/chat")
    made.send("/sign-in/customer", token=desk.customer(ADA), next="/chat")
    assert "Signed in as a customer" in made.page
    yield made
    made.http.close()


def asked(url, desk, token):
    """Ask by the API with a customer's token; return status and proof."""
    headers = {"Authorization": f"Bearer {desk.token}", "Tradewind-Customer": token}
    found = httpx.post(f"{url}/v1/service/predict", json={"message": "Where is my order?"}, headers=headers, timeout=30)
    return found.status_code, found.headers.get("Tradewind-Proof")


def test_signing_out_ends_both_sessions_on_the_server_and_clears_both_cookies(browser, url, desk):
    stolen = dict(browser.http.cookies)
    token = stolen["tradewind_customer"]
    assert asked(url, desk, token) == (200, "proved")
    assert httpx.get(f"{url}/chat", cookies=stolen).status_code == 200
    left = browser.send("/sign-in/out").history[0].headers.get_list("set-cookie")
    assert sorted(cookie.partition("=")[0] for cookie in left) == ["tradewind_customer", "tradewind_session"]
    assert all("max-age=0" in cookie.lower() for cookie in left)
    assert httpx.get(f"{url}/chat", cookies=stolen).status_code == 303
    assert asked(url, desk, token) == (200, "refused")


def test_signing_out_as_a_customer_ends_their_token_and_no_more(browser, url, desk):
    stolen = dict(browser.http.cookies)
    browser.send("/sign-in/customer", token="", next="/chat")
    assert "Signed in as a customer" not in browser.page
    again = httpx.get(f"{url}/chat", cookies=stolen)
    assert again.status_code == 200
    assert "Signed in as a customer" not in again.text
    assert asked(url, desk, stolen["tradewind_customer"]) == (200, "refused")
    assert asked(url, desk, desk.customer(ADA)) == (200, "proved")


BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
OTHER_SPELLINGS = {
    "unused bits": lambda token: token[:-1] + BASE64[BASE64.index(token[-1]) ^ 1],
    "padding": lambda token: f"{token}==",
    "a stray character": lambda token: f"{token[:-3]}!{token[-3:]}",
    "signs of plain base64": lambda token: token[:-10] + token[-10:].replace("-", "+").replace("_", "/") + "~",
    "more than is read": lambda token: f"{token}{'=' * 3000}",
}


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_a_token_that_was_signed_out_does_not_hold_under_another_spelling(browser, url, desk, spelling):
    token = browser.http.cookies["tradewind_customer"]
    other = OTHER_SPELLINGS[spelling](token)
    assert other != token
    browser.send("/sign-in/out")
    assert asked(url, desk, other) == (200, "refused")


def test_a_customers_cookie_without_the_session_it_was_given_in_proves_nobody(browser, url, desk):
    other = Browser(url)
    other.send("/sign-in", token=desk.token, next="/chat")
    cookies = {**other.http.cookies, "tradewind_customer": browser.http.cookies["tradewind_customer"]}
    assert "Signed in as a customer" not in httpx.get(f"{url}/chat", cookies=cookies).text
    assert httpx.get(f"{url}/chat", cookies={"tradewind_customer": cookies["tradewind_customer"]}).status_code == 303


def test_another_site_cannot_sign_anybody_out(browser, url):
    cookies = dict(browser.http.cookies)
    httpx.post(f"{url}/sign-in/out", cookies=cookies, headers={"Origin": "https://evil.example"})
    assert httpx.get(f"{url}/chat", cookies=cookies).status_code == 200


def test_sessions_end_when_idle_and_at_last_whatever_is_done(tmp_path):
    now = [0.0]
    store = SessionStore(tmp_path / "sessions.sqlite", b"key", IDLE_S, clock=lambda: now[0])
    idle, busy = store.begin(), store.begin()
    for _ in range(3):
        now[0] += IDLE_S * 0.9
        assert store.find(busy)
    assert store.find(idle) is None
    now[0] += IDLE_S
    assert store.find(busy) is None
    last = store.begin()
    end = now[0] + LIFETIME_S
    while now[0] + IDLE_S / 2 < end:
        now[0] += IDLE_S / 2
        assert store.find(last)
    now[0] = end
    assert store.find(last) is None


def test_sessions_outlive_a_restart_and_end_with_the_servers_token(tmp_path):
    path = tmp_path / "sessions.sqlite"
    first = SessionStore(path, b"key", IDLE_S)
    name = first.begin()
    found = first.find(name)
    first.sign_in(found, "token")
    first.end(first.find(name))
    kept = first.begin()
    first.close()
    again = SessionStore(path, b"key", IDLE_S)
    assert again.find(kept)
    assert again.find(name) is None
    assert again.has_ended("token")
    assert SessionStore(path, b"another", IDLE_S).find(kept) is None
    assert kept.encode() not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_what_one_server_signed_out_is_refused_by_every_server_of_the_home(browser, url, desk):
    with desk.open() as client:
        other, stolen = str(client.base_url), dict(browser.http.cookies)
        token = stolen["tradewind_customer"]
        assert httpx.get(f"{other}/chat", cookies=stolen).status_code == 200
        assert asked(other, desk, token) == (200, "proved")
        browser.send("/sign-in/out")
        assert httpx.get(f"{other}/chat", cookies=stolen).status_code == 303
        assert asked(other, desk, token) == (200, "refused")


ANOTHER_SERVER = """
import sys
from pathlib import Path
from ml.serving.session import SessionStore
store = SessionStore(Path(sys.argv[1]), b"key", 3000.0)
for number in range(60):
    name = store.begin()
    store.sign_in(store.find(name), f"{sys.argv[2]}-{number}")
    store.end(store.find(name))
    assert store.has_ended(f"{sys.argv[2]}-{number}")
store.close()
"""


def test_servers_that_write_at_once_lose_no_sign_out(tmp_path):
    path = tmp_path / "server" / "sessions.sqlite"
    store = SessionStore(path, b"key", IDLE_S)
    command = [sys.executable, "-c", ANOTHER_SERVER, str(path)]
    others = [subprocess.Popen([*command, name], stderr=subprocess.PIPE) for name in ("a", "b", "c")]
    while any(one.poll() is None for one in others):
        kept = store.begin()
        assert store.find(kept)
    assert [(one.communicate()[1], one.returncode) for one in others] == [(b"", 0)] * 3
    assert all(store.has_ended(f"{name}-{number}") for name in "abc" for number in range(60))
    store.close()


UNFIT = (
    {"exp": "soon"},
    {"exp": "9999999999"},
    {"exp": None},
    {"exp": [1]},
    {"exp": float("inf")},
    {"exp": float("nan")},
    {"exp": True},
    {"iat": "0"},
    {"sub": 7},
    {"jti": 7},
)


@pytest.mark.parametrize("changed", UNFIT, ids=str)
def test_a_signed_token_with_claims_of_the_wrong_types_is_401(url, desk, changed):
    now = int(time.time())
    claims = {"sub": ADA, "aud": "tradewind-service", "iat": now, "exp": now + 300, "jti": "1"}

    def signed(values):
        return jwt.api_jws.encode(json.dumps(values).encode(), desk.keys.private, algorithm="EdDSA")

    assert asked(url, desk, signed(claims)) == (200, "proved")
    assert asked(url, desk, signed({**claims, **changed}))[0] == 401
    assert asked(url, desk, f"{signed({**claims, **changed})}x") == (200, "refused")
