"""The very rows that data owners let pass, as marks that name nobody: kept by digest, frozen into later runs' inputs by digest.

`validate` leaves the marks of what each rule set aside in `reports`, and their digests in its verdict; a decision copies those
that it is about to the `runs` bucket, whence the workspaces of later runs bring them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ml.errors import ConfigInvalid, IntegrityBroken
from ml.files import canonical, sha256
from ml.pipeline.place import rows_path
from ml.store import Bucket

MARKS = "row_marks.json"
"""What `validate` leaves in its reports: rule to marks, in the order of the page that shows the rows."""
PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


def rows_key(use_case: str, digest: str) -> str:
    """Return the key in the `runs` bucket of marks."""
    return f"{use_case}/{rows_path(digest)}"


def fetch_rows(runs: Bucket, use_case: str, digest: str) -> bytes:
    """Return kept marks.

    Raises:
        ModelNotFound: There are none.
        IntegrityBroken: Their bytes do not bear their digest.
    """
    data = runs.get(rows_key(use_case, digest))
    if sha256(data) != digest:
        raise IntegrityBroken(f"the marks {digest} of released rows", sha256(data), "Release the rows again.")
    return data


def set_aside(reports: Bucket, use_case: str, run_id: str, rule: str, digest: str) -> list[str]:
    """Return the marks of the rows that a rule set aside in a run.

    Raises:
        IntegrityBroken: They are not those that the run's verdict names.
    """
    found = reports.find(f"{use_case}/{run_id}/validate/{MARKS}")
    marks: list[str] = json.loads(found).get(rule, []) if found else []
    if sha256(canonical(marks)) != digest:
        raise IntegrityBroken(f"the rows {digest} that {rule} set aside", "others or none", "Start a new run.")
    return marks


def chosen(marks: Sequence[str], numbers: str) -> list[str]:
    """Return the marks of some rows.

    Args:
        marks: Of all rows that a rule set aside.
        numbers: Of the rows, from 1, as their page shows them: `1, 3-5`; empty means all.

    Raises:
        ConfigInvalid: This is no list of numbers, or there is no such row.
    """
    parts = [PART.fullmatch(part.strip()) for part in numbers.split(",")] if numbers.strip() else []
    ranges = [range(int(part[1]), int(part[2] or part[1]) + 1) for part in parts if part]
    wanted = sorted({number for one in ranges for number in one})
    if len(ranges) < len(parts) or not all(ranges) or (wanted and not 1 <= wanted[0] <= wanted[-1] <= len(marks)):
        raise ConfigInvalid(f"numbers of rows from 1 to {len(marks)}, such as 1, 3-5", repr(numbers), "Correct them.")
    return [marks[number - 1] for number in wanted] if parts else list(marks)


def keep(runs: Bucket, use_case: str, marks: Sequence[str]) -> str:
    """Keep marks for later runs and return their digest."""
    digest = sha256(canonical(marks))
    runs.put(rows_key(use_case, digest), canonical(marks), "application/json")
    return digest
