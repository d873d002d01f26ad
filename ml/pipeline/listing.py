"""Which files a folder in a DVC remote holds: its `.dir` object, checked before anything bears a name out of it.

DVC joins the names to the place of the folder and the hashes to the place of its cache as they are, so one `..` writes
elsewhere on this machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ml.errors import IntegrityBroken

MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
FILES_LIMIT = 100_000
LISTING_LIMIT_BYTES = 64 * 1024 * 1024
PATH_LIMIT_BYTES = 1024
NAME_LIMIT_BYTES = 255
DEPTH_LIMIT = 32


def checked_path(path: str) -> str:
    """Return a relative path that stays inside the folder it is joined to.

    Raises:
        ValueError: It is absolute, leads out, is beyond the limits, or holds a backslash, a control character or no text.
    """
    parts = path.split("/")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError as error:
        raise ValueError("a path with lone surrogates") from error
    if not all(sizes) or "." in parts or ".." in parts:
        raise ValueError("a path that is absolute, empty or leads out of its folder")
    if CONTROL.search(path):
        raise ValueError("a path with a backslash or a control character")
    if max(sizes) > NAME_LIMIT_BYTES or sum(sizes) + len(parts) > PATH_LIMIT_BYTES or len(parts) > DEPTH_LIMIT:
        raise ValueError("a path beyond the limits")
    return path


def read_listing(data: bytes, place: str) -> dict[str, str]:
    """Return the MD5 of each file of a folder by its path below it.

    Args:
        data: The bytes of a `.dir` object.
        place: Where it lies, for the error.

    Raises:
        IntegrityBroken: It is no such list, names a place outside the folder, one place twice, or a file as a folder.
    """
    try:
        listed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _refused(place, type(error).__name__) from error
    if not isinstance(listed, list) or len(listed) > FILES_LIMIT:
        raise _refused(place, "no list, or one beyond the limit")
    try:
        files = dict(_entry(one) for one in listed)
    except ValueError as error:
        raise _refused(place, str(error)) from error
    if len(files) < len(listed):
        raise _refused(place, "a path that is there twice")
    if clash := next((path for path in files if _is_below_a_file(path, files)), None):
        raise _refused(place, f"a file as a folder, of {clash!r}"[:200])
    return files


def _entry(one: Any) -> tuple[str, str]:
    if not isinstance(one, dict) or one.keys() != {"md5", "relpath"}:
        raise ValueError("an entry other than `md5` and `relpath`")
    md5, path = one["md5"], one["relpath"]
    if not isinstance(md5, str) or not MD5.fullmatch(md5):
        raise ValueError("a hash that is no MD5")
    if not isinstance(path, str):
        raise ValueError("a path that is no text")
    return checked_path(path), md5


def _is_below_a_file(path: str, files: Mapping[str, str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:depth]) in files for depth in range(1, len(parts)))


def _refused(place: str, found: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"a list of files inside their folder at {place}",
        found,
        "Find out who wrote it; run the stage that makes it again.",
    )
