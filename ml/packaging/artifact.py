"""What travels with a version as OCI referrers: kinds and media types."""

from __future__ import annotations

CARD = "application/vnd.tradewind.model-card.v1"
GATE = "application/vnd.tradewind.gate-report.v1"
PROFILE = "application/vnd.tradewind.drift-profile.v1"
JUDGEMENT = "application/vnd.tradewind.judgement.v1"
LOCK = "application/vnd.tradewind.run-lock.v1"
RECORD = "application/vnd.tradewind.version-record.v1"
SBOM = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"

HTML = "text/html"
JSON = "application/json"
YAML = "application/yaml"
PARQUET = "application/vnd.apache.parquet"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"

REQUIRED = (CARD, GATE, PROFILE, SBOM)
"""What the package stage attaches; without one of them nothing is promoted."""
