"""A message to people, and the two ways it goes out: mail, and a chat's incoming webhook (Slack's form, which others take too)."""

from __future__ import annotations

import ipaddress
import logging
import smtplib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx

from ml.config import Settings, require_secret
from ml.errors import ConfigInvalid, ServiceUnavailable

TIMEOUT_S = 10
FACT_LENGTH = 600  # characters; a message is read on a telephone

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Message:
    """What somebody has to know, in three facts, and what they can do."""

    title: str
    happened: str
    why: str
    live: str
    """What it means for what is live."""
    link: str
    action: str
    matter: str = ""
    """What it is about, where `why` tells it in figures that change while the matter does not."""

    def text(self) -> str:
        """Return it as plain text; a fact is cut where it grows beyond a telephone's page."""
        facts = (f"- {fact[:FACT_LENGTH]}" for fact in (self.happened, self.why, self.live))
        return "\n".join([self.title, *facts, f"What to do: {self.action}", self.link])


def ways(settings: Settings) -> tuple[str, ...]:
    """Return how messages go out: none where nobody wants any."""
    known = {"mail": settings.notify_smtp, "chat": settings.notify_webhook}
    return tuple(name for name, value in known.items() if value)


def send(settings: Settings, message: Message) -> None:
    """Send a message every way there is; one that fails does not stop the other.

    Raises:
        ServiceUnavailable: It did not go out one of the ways.
        ConfigInvalid: A setting that a way needs is missing.
    """
    faults = tuple(_faults(settings, message))
    if faults:
        raise ServiceUnavailable("the message to go out", "; ".join(faults), "Look at TRADEWIND_NOTIFY_*.")


def _faults(settings: Settings, message: Message) -> Iterator[str]:
    for way in ways(settings):
        try:
            {"mail": _mail, "chat": _chat}[way](settings, message)
            log.info("message sent way=%s title=%s", way, message.title)
        except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
            yield f"{way}: {type(error).__name__}"  # the error's text may name the webhook, which is a secret


def _chat(settings: Settings, message: Message) -> None:
    address = require_secret(settings.notify_webhook, "notify_webhook")
    httpx.post(address, json={"text": message.text()}, timeout=TIMEOUT_S, follow_redirects=False).raise_for_status()


def _mail(settings: Settings, message: Message) -> None:
    server = urlsplit(settings.notify_smtp or "")
    if server.scheme not in ("smtp", "smtps") or not server.hostname or not settings.notify_to:
        raise ConfigInvalid(
            "TRADEWIND_NOTIFY_SMTP as smtp[s]://[user@]host[:port], and TRADEWIND_NOTIFY_TO", "less", "Set them."
        )
    letter = EmailMessage()
    letter["Subject"], letter["From"], letter["To"] = message.title, settings.notify_from, settings.notify_to
    letter.set_content(message.text())
    with _connected(server.hostname, server.port, is_encrypted=server.scheme == "smtps") as smtp:
        if server.username:
            if server.scheme == "smtp":
                _encrypt(smtp, server.hostname)
            smtp.login(server.username, require_secret(settings.notify_smtp_password, "notify_smtp_password"))
        smtp.send_message(letter)


def _connected(host: str, port: int | None, *, is_encrypted: bool) -> smtplib.SMTP:
    """Connect to a mail server; over TLS only if its certificate is one that this machine trusts, for this very name."""
    if is_encrypted:
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_S, context=ssl.create_default_context())
    return smtplib.SMTP(host, port or 587, timeout=TIMEOUT_S)


def _encrypt(smtp: smtplib.SMTP, host: str) -> None:
    """Go over to TLS before a login; only a server on this machine may be without."""
    smtp.ehlo()
    if smtp.has_extn("starttls") or not _is_loopback(host):
        smtp.starttls(context=ssl.create_default_context())  # raises where the server has none


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
