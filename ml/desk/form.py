"""What guards a form: it comes from our own page, was made for this person and this matter, and is used once.

A browser sends the login's cookie along with what another site posts, so a cookie alone is no will. Each form carries a slip,
signed with Airflow's key; its number becomes the id of the run that it starts, of which Airflow makes no second.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow.configuration import conf
from fastapi import Request
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.exceptions import HTTPException

SALT = "tradewind form"
VALID_SECONDS = 3600
LOOK_AGAIN = "Nothing was done. Open the page again and decide on what it shows."


@dataclass(frozen=True, kw_only=True)
class Slip:
    """What a form was made for."""

    who: str
    matter: str
    """What the page showed: another state of things is another matter."""
    number: str
    """Random; a form's answer bears it once."""


def issue(who: str, matter: str) -> str:
    """Return the slip of a new form."""
    signed = _serializer().dumps([who, matter, secrets.token_hex(16)])
    return signed if isinstance(signed, str) else signed.decode()


def redeem(request: Request, token: str, who: str, matter: str) -> Slip:
    """Return the slip that came with a form.

    Raises:
        HTTPException: 403 where it comes from another site, was altered or made for somebody else; 409 where it is older than
            an hour or was made for another state of things.
    """
    _ensure_same_site(request)
    try:
        owner, about, number = _serializer().loads(token, max_age=VALID_SECONDS)
    except BadData as error:
        raise HTTPException(403, f"This form is none that we made within the last hour. {LOOK_AGAIN}") from error
    if owner != who:
        raise HTTPException(403, f"This form was made for somebody else. {LOOK_AGAIN}")
    if about != matter:
        raise HTTPException(409, f"This form was made for something else, or things have changed since. {LOOK_AGAIN}")
    return Slip(who=owner, matter=about, number=number)


def _ensure_same_site(request: Request) -> None:
    """Refuse what a browser says another site posted, and what does not say where it comes from."""
    ours = {request.headers.get("host"), urlsplit(conf.get("api", "base_url", fallback="")).netloc}
    origin, site = request.headers.get("origin", ""), request.headers.get("sec-fetch-site", "same-origin")
    if site != "same-origin" or urlsplit(origin).netloc not in ours - {"", None}:
        raise HTTPException(403, f"This form was sent from another site. {LOOK_AGAIN}")


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(conf.get_mandatory_value("api", "secret_key"), salt=SALT)
