"""Puts a packaged version, its referrers and its runnable image into the registry."""

from __future__ import annotations

import logging

from ml.config import Settings
from ml.packaging.oci import Layout
from ml.registry.shelf import Shelf

log = logging.getLogger(__name__)


def publish(settings: Settings, use_case: str, layout: Layout) -> None:
    """Publish every manifest of a layout; content that is there already is left alone.

    Referrers come first and images last, so that a version that can be found has its evidence.

    Raises:
        StorageUnavailable: The store did not answer; publishing again completes what is missing.
        ConfigInvalid: The S3 user may not publish: only `promote` may.
    """
    shelf = Shelf.open(settings, use_case)
    entries = sorted(layout.manifests(), key=lambda entry: entry.artifact_type is None)
    for entry in entries:
        shelf.add(layout, entry)
    log.info("layout published use_case=%s manifests=%d", use_case, len(entries))
