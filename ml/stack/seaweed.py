"""SeaweedFS's own configuration: who its parts speak with, and how the program is called."""

from __future__ import annotations

import json
from collections.abc import Mapping

TLS_FILE = "tls.pem"
"""Certificate, authority and key in one file, beside the security file; see `ml.stack.certificate`."""
JWT = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
GRPC_PARTS = ("master", "volume", "filer", "s3", "admin", "worker", "client")
HTTP_PARTS = ("master", "volume", "filer", "admin")
PARTS = ("master", "volume", "filer", "admin")
"""Those that have ports of their own beside the S3 door, which nobody else needs."""


def tls_options(path: str) -> dict[str, str]:
    """Return the options of SeaweedFS by which all its parts present one certificate and ask for it.

    gRPC has no other authentication, and the master's HTTP hands out write tokens to anybody.

    Args:
        path: File with certificate, authority and key, as the program will see it.
    """
    options = {"grpc.ca": path, "https.client.enabled": "true"}
    for part in GRPC_PARTS:
        options |= {f"grpc.{part}.cert": path, f"grpc.{part}.key": path}
    for part in (*HTTP_PARTS, "client"):
        options |= {f"https.{part}.{field}": path for field in ("cert", "key", "ca")}
    return options


def security_toml(secrets: Mapping[str, str]) -> str:
    """Return SeaweedFS's security file: without it, all ports but the S3 door answer anybody."""
    return _as_toml({f"{name}.key": secrets[f"weed_jwt_{i}"] for i, name in enumerate(JWT)} | tls_options(TLS_FILE))


def client_toml() -> str:
    """Return the security file of who asks a store's parts something, and is none of them."""
    known = tls_options(TLS_FILE).items()
    return _as_toml({name: value for name, value in known if name == "grpc.ca" or ".client." in name})


def _as_toml(options: Mapping[str, str]) -> str:
    tables: dict[str, list[str]] = {}
    for name, value in options.items():
        table, _, field = name.rpartition(".")
        tables.setdefault(table, []).append(f"{field} = {value if value == 'true' else json.dumps(value)}")
    return "\n\n".join("\n".join([f"[{table}]", *lines]) for table, lines in sorted(tables.items())) + "\n"


def as_variables(options: Mapping[str, str]) -> dict[str, str]:
    """Return options of the security file as environment variables, as containers get them."""
    return {f"WEED_{name.upper().replace('.', '_')}": value for name, value in options.items()}
