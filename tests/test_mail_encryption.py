"""A mail server's certificate is verified before it hears a password; one that cannot encrypt hears none."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from threading import Thread

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ml.config import Settings
from ml.errors import ServiceUnavailable
from ml.pipeline.message import Message, send
from ml.stack.process import free_port

LETTER = Message(title="t", happened="h", why="w", live="l", link="https://shop.example", action="a")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that its own key signed: (path, a server's context)."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    draft = draft.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
    draft = draft.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    draft = draft.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    path = tmp_path_factory.mktemp("certificate") / "mail.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + draft.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


@contextmanager
def mail_server(**options):
    """Listen as a mail server that asks for a login: (port, what it heard)."""
    heard = []

    def authenticate(server, session, envelope, mechanism, data):
        heard.append((data.login, data.password))
        return AuthResult(success=True)

    class Keeper:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - the name aiosmtpd looks for
            heard.append("letter")
            return "250 OK"

    port = free_port()
    login = {"authenticator": authenticate, "auth_require_tls": False}
    controller = Controller(Keeper(), hostname="127.0.0.1", port=port, **login, **options)
    controller.start()
    try:
        yield port, heard
    finally:
        controller.stop()


def settings(scheme, port):
    where = f"{scheme}://bot@127.0.0.1:{port}"
    return Settings(notify_smtp=where, notify_smtp_password="of-the-bot", notify_to="olga@shop.example")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("is_trusted", [False, True])
def test_only_a_trusted_server_hears_the_password(certificate, monkeypatch, scheme, is_trusted):
    path, context = certificate
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with mail_server(**({"ssl_context": context} if scheme == "smtps" else {"tls_context": context})) as (port, heard):
        if is_trusted:
            send(settings(scheme, port), LETTER)
        else:
            with pytest.raises(ServiceUnavailable, match="mail: SSLCertVerificationError"):
                send(settings(scheme, port), LETTER)
    assert heard == ([(b"bot", b"of-the-bot"), "letter"] if is_trusted else [])


def test_a_server_elsewhere_that_cannot_encrypt_hears_no_password(monkeypatch):
    """`mail.shop.example` is a name of this machine for the length of the test: the network ends here."""
    import socket

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: resolve("127.0.0.1", *rest, **more))
    with mail_server() as (port, heard):
        elsewhere = settings("smtp", port).model_copy(update={"notify_smtp": f"smtp://bot@mail.shop.example:{port}"})
        with pytest.raises(ServiceUnavailable, match="mail: SMTPNotSupportedError"):
            send(elsewhere, LETTER)
        assert heard == []
        send(settings("smtp", port), LETTER)
    assert heard == [(b"bot", b"of-the-bot"), "letter"]


def test_a_webhook_that_leads_elsewhere_is_not_followed():
    asked = []

    class Mover(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Mover)
    Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(ServiceUnavailable, match="chat: HTTPStatusError"):
        send(Settings(notify_webhook=f"http://127.0.0.1:{server.server_port}/secret"), LETTER)
    server.shutdown()
    server.server_close()
    assert asked == ["/secret"]
