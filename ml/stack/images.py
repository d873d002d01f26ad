"""Refuses image settings that a registry could answer with other bytes tomorrow."""

from __future__ import annotations

import re
from pathlib import Path

from dotenv import dotenv_values

from ml.errors import ConfigInvalid

DIGEST = re.compile(r"[a-z0-9][\w.:/-]*@sha256:[0-9a-f]{64}", re.ASCII)
SETTING = re.compile(r"\$\{(\w+_IMAGE):?-([^}]*)\}")


def image_settings(project: Path) -> dict[str, str]:
    """Return each image setting of `docker-compose.yml`: what `.env` says, or else the file's own default."""
    own = dotenv_values(project / ".env", encoding="utf-8", interpolate=False)
    defaults = dict(SETTING.findall((project / "docker-compose.yml").read_text(encoding="utf-8")))
    return {name: own.get(name) or default for name, default in sorted(defaults.items())}


def require_digests(project: Path) -> None:
    """Check that every image is named by its digest.

    Raises:
        ConfigInvalid: One is named by a tag, which can move, or by nothing.
    """
    loose = {name: image for name, image in image_settings(project).items() if not DIGEST.fullmatch(image)}
    if loose:
        received = ", ".join(f"{name}={image}" for name, image in loose.items())
        remedy = f"Set them in {project / '.env'} (docs/compose.md, Images)."
        raise ConfigInvalid("images named by digest (name@sha256:…) for production", received, remedy)
