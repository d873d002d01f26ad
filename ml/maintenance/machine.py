"""Looks after this machine: free space, certificates, rotated logs, DVC's cache, work folders of killed tasks."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from ml.config import Settings
from ml.maintenance.files import older, remove
from ml.maintenance.outcome import Outcome
from ml.pipeline.leftovers import sweep
from ml.space import MIB, free_bytes
from ml.stack import room
from ml.stack.certificate import end_of
from ml.stack.compose import CERTIFICATE
from ml.stack.seaweed import TLS_FILE

ENDS_SOON = timedelta(days=30)
CONNECT_SECONDS = 10
OF_STORE = "`tradewind down` and `tradewind up`: each start of the store makes a new one."
OF_CONTAINERS = "Delete that file, run `tradewind compose-env`, and start the containers again."
OF_OTHERS = "Renew it where that service is operated."


def run(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:
    """Warn about room and certificates, and remove old files that nobody asks for any more.

    Args:
        settings: Names the home; no S3 user is needed.
        now: UTC.
        is_trial: Tell what would go, and remove nothing.
    """
    done, home = Outcome(step="machine"), settings.home
    _look_at_room(done, settings)
    for name, end, remedy in _certificates(settings, done):
        days = (end - now).days
        if end - now > ENDS_SOON:
            done.notes.append(f"the certificate {name} holds for {days} more days, until {end.date()}")
        else:
            done.warnings.append(f"The certificate {name} ends on {end.date()}, in {days} days. {remedy}")
    cache = home / "cache" / "dvc" / "files"
    logs = home / "run" / "logs"
    for kind, folder, pattern, days in (
        ("rotated logs of the stack", logs, "*.log.[0-9]*", settings.keep_log_days),
        ("files of DVC's cache", cache, "**/*", settings.keep_cache_days),
    ):
        old = older(folder, pattern, now - timedelta(days=days))
        remove(folder, () if is_trial else old)
        done.count(kind, old.values())
    if not is_trial:
        sweep(home)
    return done


def _look_at_room(done: Outcome, settings: Settings) -> None:
    for told in room.warnings(settings.home, settings.min_free_mb):
        done.warnings.append(f"{told[:1].upper()}{told[1:]}. Make room, or see docs/stack.md.")
    done.notes.append(f"{free_bytes(settings.home) // MIB:,} MiB are free on the disk of the home")
    if (slots := room.free_slots(settings.home / "store")) is not None:
        done.notes.append(f"the object store may open {slots:,} more volumes")


def _certificates(settings: Settings, done: Outcome) -> Iterator[tuple[str, datetime, str]]:
    """Yield the certificates that this machine can look at: name, end [UTC], how to renew it."""
    folder = settings.store_admin or settings.home / "store"
    for path, remedy in ((folder / TLS_FILE, OF_STORE), (settings.home / "compose" / CERTIFICATE, OF_CONTAINERS)):
        if path.is_file():
            yield from _read(done, f"in {path}", path.read_text(), remedy)
    for url in sorted({settings.s3_endpoint or "", settings.server_url, settings.airflow_url}):
        place = urlsplit(url)
        if place.scheme == "https" and place.hostname:
            name = f"of {place.hostname}:{place.port or 443}"
            try:
                text = ssl.get_server_certificate((place.hostname, place.port or 443), timeout=CONNECT_SECONDS)
            except OSError as error:
                done.warnings.append(f"The certificate {name} could not be read ({type(error).__name__}). Is it up?")
            else:
                yield from _read(done, name, text, OF_OTHERS)


def _read(done: Outcome, name: str, text: str, remedy: str) -> Iterator[tuple[str, datetime, str]]:
    try:
        yield name, end_of(text), remedy
    except ValueError as error:
        done.warnings.append(f"The certificate {name} could not be read ({error}). {remedy}")
