"""Plain item sequences: one user a line, `user item item …`, oldest item first; the last is tested, the one before validates.

Files of events, `user item` on each line, oldest first, are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ml.errors import SourceInvalid

LEAST = 3  # items of a user: one to learn from, one to validate, one to test
FORMAT = "lines `user item item …`, one user a line, or `user item` on each"
EVENT = 2  # words of a line that is one event

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Items of many users, flat, each user's oldest first."""

    items: Ints
    """Number of each item."""
    starts: Ints
    """`(n_users + 1,)` where each user's items begin; the last number is the end."""
    n_items: int
    too_short: int = 0
    """Users left out because they had fewer than `LEAST` items."""

    @property
    def n_users(self) -> int:
        """How many users there are."""
        return len(self.starts) - 1

    @property
    def sizes(self) -> Ints:
        """`(n_users,)` items of each user."""
        return np.diff(self.starts)

    def held_out(self, ago: int) -> tuple[Sequences, Ints]:
        """Return what came before each user's `ago`-th last item, and that item: 1 is the test, 2 the validation."""
        ends = self.starts[1:] - ago
        kept = self.ago > ago
        starts = np.concatenate([[0], np.cumsum(self.sizes - ago)])
        return Sequences(items=self.items[kept], starts=starts, n_items=self.n_items), self.items[ends]

    @property
    def row(self) -> Ints:
        """User of each item."""
        return np.repeat(np.arange(self.n_users), self.sizes)

    @property
    def ago(self) -> Ints:
        """How long ago each item was [items]; 1 is the user's last."""
        ago: Ints = np.repeat(self.starts[1:], self.sizes) - np.arange(len(self.items))
        return ago

    def matrix(self, decay: float = 1.0, last: int | None = None) -> sparse.csr_array:
        """Return users by items: the newest weight of each item, `decay ** (ago - 1)`.

        Args:
            decay: Factor an item [0..1].
            last: Newest items that count; default all.
        """
        ago = self.ago
        kept = np.full(len(ago), True) if last is None else ago <= last
        row, item = self.row[kept], self.items[kept]
        weights = np.power(decay, ago[kept] - 1.0).astype(np.float32)
        newest = np.unique((row * self.n_items + item)[::-1], return_index=True)[1]
        at = len(row) - 1 - newest  # the first from the end is the newest
        shape = (self.n_users, self.n_items)
        return sparse.csr_array((weights[at], (row[at], item[at])), shape=shape)

    def frequency(self, decay: float) -> sparse.csr_array:
        """Return users by items: the weights `decay ** (ago - 1)` of all times each item came, added up."""
        weights = np.power(decay, self.ago - 1.0).astype(np.float32)
        return sparse.csr_array((weights, (self.row, self.items)), shape=(self.n_users, self.n_items))

    def take(self, users: Ints) -> Sequences:
        """Return some users' sequences."""
        parts = [self.items[self.starts[user] : self.starts[user + 1]] for user in users]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        return Sequences(items=np.concatenate(parts), starts=starts, n_items=self.n_items)


def read(path: Path) -> Sequences:
    """Return the sequences of a text file; users with fewer than three items are left out and counted.

    Raises:
        SourceInvalid: There is no such file, a line is not text, a user comes twice in a file that is not of events, or
            nobody has three items.
    """
    lines = list(_lines(path))
    is_events = all(len(words) == EVENT for _, words in lines)
    told = _by_user(lines) if is_events else _one_each(path, lines)
    kept = [items for items in told if len(items) >= LEAST]
    too_short = len(told) - len(kept)
    if not kept:
        raise SourceInvalid(f"{path}: {FORMAT}, at least {LEAST} items", f"{too_short} users with fewer", _FIX)
    numbers: dict[str, int] = {}
    users = [[numbers.setdefault(item, len(numbers)) for item in items] for items in kept]
    starts = np.concatenate([[0], np.cumsum([len(items) for items in users])])
    flat = np.concatenate([np.array(items, dtype=np.int64) for items in users])
    return Sequences(items=flat, starts=starts, n_items=len(numbers), too_short=too_short)


_FIX = "Write one line a user, oldest item first."


Line = tuple[int, list[str]]
"""Its number, and its words: a user and items."""


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines that hold something."""
    if not path.is_file():
        raise SourceInvalid(f"a file {path}", "none", "Correct the path.")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                words = line.decode("utf-8-sig").split()
            except UnicodeDecodeError as error:
                raise SourceInvalid(f"{path}, line {number}: UTF-8 text", "other bytes", "Convert the file.") from error
            if words:
                yield number, words


def _by_user(lines: Sequence[Line]) -> list[list[str]]:
    """Return each user's items in the order of the lines."""
    users: dict[str, list[str]] = {}
    for _, (user, item) in lines:
        users.setdefault(user, []).append(item)
    return list(users.values())


def _one_each(path: Path, lines: Sequence[Line]) -> list[list[str]]:
    """Return the items of each line."""
    seen: dict[str, int] = {}
    for number, (user, *_) in lines:
        first = seen.setdefault(user, number)
        if first != number:
            raise SourceInvalid(f"{path}: {FORMAT}", f"user {user!r} on line {first} and again on line {number}", _FIX)
    return [items for _, (_, *items) in lines]
