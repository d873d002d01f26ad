"""Turns a folder into one image layer whose bytes depend on nothing but names and contents, and back."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ml.errors import IntegrityBroken
from ml.files import sha256

FILE_MODE = 0o644
FOLDER_MODE = 0o755
LEVEL = 6  # zlib's default; part of the format, since other levels give other bytes
UNPACKED_LIMIT = 8 * 1024**3  # bytes; a layer that unpacks to more is refused


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A gzipped tar archive and the digest of what is inside the compression."""

    data: bytes
    diff_id: str
    """Digest of the uncompressed archive, as an image's configuration names it."""


def pack(folder: Path, prefix: str) -> Layer:
    """Return all files below a folder as a layer, each placed below `prefix`.

    Order is by path, owner is 0:0, times are 0, files are 0644 and folders 0755.

    Raises:
        IntegrityBroken: There is something else than files and folders, such as a link.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_header(prefix, None))
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
            _add(archive, path, f"{prefix}/{path.relative_to(folder).as_posix()}")
    tar = buffer.getvalue()
    return Layer(data=_zipped(tar), diff_id=f"sha256:{hashlib.sha256(tar).hexdigest()}")


def unpack(data: bytes, folder: Path, prefix: str) -> None:
    """Write what lies below `prefix` in a layer into a folder; nothing can land outside it.

    Raises:
        IntegrityBroken: It is no such layer, is larger than allowed, or holds a link, a device or a path
            that leads out of the folder.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            members = archive.getmembers()
            _ensure_bounded(members)
            for member in members:
                _extract(archive, member, folder, prefix)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _bad_layer(type(error).__name__) from error


def manifest(data: bytes) -> dict[str, str]:
    """Return the digest of each file in a layer by its path."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {
            member.name: sha256(file.read())
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) is not None
        }


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    if path.is_symlink() or not (path.is_file() or path.is_dir()):
        raise IntegrityBroken(f"a file or folder at {name}", "a link or device", "Remove it from the model's folder.")
    if path.is_dir():
        archive.addfile(_header(name, None))
        return
    with path.open("rb") as file:
        archive.addfile(_header(name, path.stat().st_size), file)


def _header(name: str, size: int | None) -> tarfile.TarInfo:
    """Return the header of a file of that size, or of a folder where there is none."""
    header = tarfile.TarInfo(name)
    header.type = tarfile.DIRTYPE if size is None else tarfile.REGTYPE
    header.mode = FOLDER_MODE if size is None else FILE_MODE
    header.size = size or 0
    header.mtime = header.uid = header.gid = 0
    header.uname = header.gname = ""
    return header


def _zipped(tar: bytes) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=buffer, mtime=0) as file:
        file.write(tar)
    return buffer.getvalue()


def _ensure_bounded(members: list[tarfile.TarInfo]) -> None:
    total = sum(member.size for member in members)
    if total > UNPACKED_LIMIT:
        raise _bad_layer(f"{total} bytes unpacked")


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, prefix: str) -> None:
    """Write one member by hand: Python before 3.11.4, which Debian 12 has, cannot filter what it extracts."""
    path = PurePosixPath(member.name)
    if not (member.isfile() or member.isdir()) or not path.is_relative_to(prefix) or ".." in path.parts:
        raise _bad_layer(f"{member.name!r} of type {member.type!r}")
    target = folder / path.relative_to(prefix)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    target.write_bytes(content.read() if content is not None else b"")
    target.chmod(FILE_MODE)


def _bad_layer(received: str) -> IntegrityBroken:
    return IntegrityBroken("a layer of plain files below one folder", received, "Do not use it; package it again.")
