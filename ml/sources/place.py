"""Where landed files lie: a folder, or a prefix in an S3 bucket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

from ml.config import Settings
from ml.errors import ConfigInvalid, SourceInvalid
from ml.files import sha256_file
from ml.sources.location import PROJECT, S3, folder_of
from ml.store import Bucket, connect

HIDDEN = "._"
Content: TypeAlias = Callable[[], str]
"""Tells a content's digest; of large folders only the files that count are read for it."""


class Place(Protocol):
    """A tree of files, read only."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def entries(self) -> dict[str, Content]:
        """Return relative names, each with what tells its content's digest."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        ...

    def text(self, name: str) -> bytes:
        """Return a file named absolutely or relative to this place."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of this machine."""

    root: Path
    closed: Path
    """A folder that is not looked into, should it lie below: Tradewind's own home."""

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.root)

    def entries(self) -> dict[str, Content]:
        """Return relative names, each with its SHA-256, computed when asked for.

        Raises:
            SourceInvalid: A link leads out of the folder or to a folder, or something is neither file nor folder: its rows would
                be read from elsewhere, twice, or not at all. Names that begin with _ or . are not looked at.
        """
        return {name: partial(sha256_file, path) for name, path in sorted(self._files())}

    def _files(self) -> Iterator[tuple[str, Path]]:
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name[0] not in HIDDEN and Path(folder, name) != self.closed]
            for name in [*files, *folders]:
                path = Path(folder, name)
                if name[0] not in HIDDEN and (name in files or path.is_symlink()):
                    yield self._relative(path), self._checked(path)

    def _relative(self, path: Path) -> str:
        name = path.relative_to(self.root).as_posix()
        if not name.isprintable():  # undecodable bytes become surrogates, which no digest and no key can hold
            raise SourceInvalid(f"names in UTF-8 without control characters in {self.root}", ascii(name), "Rename it.")
        return name

    def _checked(self, path: Path) -> Path:
        """Return a file of this folder; refuse a link out of it, or into our home."""
        self._ensure_open(path)
        if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(self.root)):
            raise SourceInvalid(
                f"files, and links to files of the same folder, in {self.root}",
                f"the link {path.relative_to(self.root)}, which leads to a folder or elsewhere",
                "Deliver the files themselves.",
            )
        if not path.is_file():
            raise SourceInvalid(
                f"files and folders in {self.root}",
                f"{path.relative_to(self.root)}: a link to nothing, a pipe or a device",
                "Remove it.",
            )
        return path

    def _ensure_open(self, path: Path) -> None:
        if path.resolve().is_relative_to(self.closed):
            raise ConfigInvalid(
                "a source outside TRADEWIND_HOME", "a file inside", "Deliver the shop's files elsewhere."
            )

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        try:
            return self._checked(self.root / name).read_bytes()
        except OSError as error:
            raise SourceInvalid(
                f"a readable file {self.root / name}", str(error.strerror), "Let the user of this process read it."
            ) from None

    def text(self, name: str) -> bytes:
        """Return a file named absolutely, relative to the folder, or relative to where the process runs."""
        for path in (self.root / name, Path(name)):
            if path.is_file():
                self._ensure_open(path)
                return path.read_bytes()
        raise _no_file(name, self.name)


@dataclass(frozen=True)
class Prefix:
    """A prefix of an S3 bucket."""

    bucket: Bucket
    prefix: str

    @property
    def name(self) -> str:
        """The prefix's address."""
        return f"{S3}{self.bucket.name}/{self.prefix}".rstrip("/")

    def entries(self) -> dict[str, Content]:
        """Return relative names, each with the store's entity tag, known from the listing."""
        listed = self.bucket.entries(self.prefix)
        return {key[len(self.prefix) :]: partial(str, tag) for key, tag in listed if not key.endswith("/")}

    def read(self, name: str) -> bytes:
        """Return an object's bytes."""
        return self.bucket.get(f"{self.prefix}{name}")

    def text(self, name: str) -> bytes:
        """Return an object relative to the prefix, or a file of this machine."""
        found = self.bucket.find(f"{self.prefix}{name}")
        if found is None and Path(name).is_file():
            return Path(name).read_bytes()
        if found is None:
            raise _no_file(name, self.name)
        return found


def open_place(location: str, settings: Settings) -> Place:
    """Open a folder, named absolutely or relative to the project, or `s3://bucket/prefix`.

    Raises:
        SourceInvalid: There is no such folder.
    """
    if location.startswith(S3):
        bucket, _, prefix = location.removeprefix(S3).partition("/")
        prefix = prefix.rstrip("/")
        return Prefix(Bucket(connect(settings), bucket), f"{prefix}/" if prefix else "")
    root = folder_of(location)
    if not root.is_dir():
        raise SourceInvalid(f"a folder {root}", "none", "Correct source.location, or create it.")
    ensure_not_ours(root, settings)
    return Folder(root, _closed(root, settings))


def _no_file(name: str, place: str) -> SourceInvalid:
    return SourceInvalid(f"the mapping {name} in {place}", "none", "Correct source.mapping, or deliver the file.")


def mapping_text(name: str, place: Place, settings: Settings) -> bytes:
    """Return a mapping's text; raise as `ensure_not_ours` and `Place.text` do."""
    ensure_not_ours(Path(name), settings)
    return place.text(name)


def ensure_not_ours(path: Path, settings: Settings) -> None:
    """Refuse a path in Tradewind's own home: keys, secrets and Airflow's database are no shop's data.

    Raises:
        ConfigInvalid: It lies there. A run's workspace does too; what is shipped with the code may be read in it.
    """
    if path.resolve().is_relative_to(_closed(path.resolve(), settings)):
        raise ConfigInvalid(
            "a source.location outside TRADEWIND_HOME",
            "one inside",
            "Deliver the shop's files to a folder of their own.",
        )


def _closed(place: Path, settings: Settings) -> Path:
    """Return the folder that may not be read: the home, unless this process runs in a run's workspace there and reads that."""
    home = settings.home.resolve()
    return home / "secrets.json" if PROJECT.is_relative_to(home) and place.is_relative_to(PROJECT) else home
