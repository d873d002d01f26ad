"""Certificates by which the parts of one store know each other, and nobody else."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

VALID = timedelta(days=3650)
LOOPBACK = (x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1")))


def private_authority(name: str) -> str:
    """Return a new certificate for this machine's loopback, its authority's certificate and its private key [PEM].

    The authority's own key is forgotten: who takes this file for certificate, key and only authority of its clients is
    reached by those who hold this file, and nobody can ever make another certificate that it accepts.
    """
    root_key, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    root = _certificate(f"{name} authority", root_key, f"{name} authority", root_key, is_authority=True)
    leaf = _certificate(name, key, f"{name} authority", root_key, is_authority=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM) + private).decode()


def end_of(text: str) -> datetime:
    """Return when the first of the certificates in a file ends to hold, UTC.

    Args:
        text: Certificates, and whatever else belongs to them [PEM].

    Raises:
        ValueError: There is none.
    """
    return min(one.not_valid_after_utc for one in x509.load_pem_x509_certificates(text.encode()))


def _certificate(
    name: str, key: Ed25519PrivateKey, issuer: str, issuer_key: Ed25519PrivateKey, *, is_authority: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_common(name))
        .issuer_name(_common(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectAlternativeName(LOOPBACK), critical=False)
        .sign(issuer_key, None)
    )


def _common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
