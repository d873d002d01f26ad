"""The flow from the shop's data to a served model: one module a stage, in this order."""

from __future__ import annotations

import re

from ml.config import Role

STAGES: tuple[str, ...] = (
    "ingest",
    "validate",
    "anonymise",
    "features",
    "train",
    "compress",
    "evaluate",
    "explain",
    "package",
    "promote",
    "serve",
)
"""What a retraining run does; `monitor` follows on its own timetable."""

FILE_STAGES: tuple[str, ...] = STAGES[: STAGES.index("promote")]
"""Stages that turn files into files: they live in `dvc.yaml` and can be repeated anywhere."""

JUDGING_STAGES: tuple[str, ...] = ("validate", "evaluate")
"""Stages whose verdict is an output; the task raises after the push."""

ROLES: dict[str, Role] = {
    **dict.fromkeys(("ingest", "validate", "anonymise"), "ingest"),
    **dict.fromkeys(("features", "train", "compress", "explain", "package", "monitor", "notify"), "train"),
    "evaluate": "judge",
    **dict.fromkeys(("ask_approver", "record_answer", "promote", "serve", "release", "decide"), "promote"),
    **dict.fromkeys(("approval_required", "pending_rules", "rerun"), "read"),
}
"""The S3 user each stage acts as: what trains cannot read raw data or judge itself, what promotes cannot train."""

UPKEEP: dict[str, Role | None] = {
    "audit": "read",
    "versions": "promote",
    **dict.fromkeys(("runs", "objects", "reports", "requests"), "retention"),
    "airflow": None,
    "machine": "read",
    "summary": "train",
}
"""The S3 user each step of maintenance acts as, in the order of the command line; see `ml.maintenance`.

None needs no store: that step is run where Airflow's scheduler is, which holds the database's address already.
"""

UPKEEP_AFTER: dict[str, tuple[str, ...]] = {
    "versions": ("audit",),
    "runs": ("versions",),
    "objects": ("runs",),
    "reports": ("runs",),
}
"""Steps of maintenance that need others to have succeeded: while a ledger does not verify, nothing it may name is removed."""

RUN_KEYS: dict[Role, str] = {"ingest": "freeze", "train": "train", "judge": "judge"}
"""Whose key signs what a role's stages hand over: settings `<name>_key`, private, and `<name>_verify_key`, public."""

PUBLIC: tuple[str, ...] = ("verify_key", *(f"{name}_verify_key" for name in RUN_KEYS.values()))
"""Public keys, which every stage's process is handed."""

SECRETS: dict[str, tuple[str, ...]] = {
    "ingest": ("pseudonym_key", "master_key", "source_password", "freeze_key"),
    "validate": ("master_key", "freeze_key"),
    "anonymise": ("pseudonym_key", "master_key", "freeze_key"),
    **dict.fromkeys(("features", "train", "compress", "explain", "package"), ("train_key",)),
    "evaluate": ("judge_key",),
    **dict.fromkeys(("ask_approver", "record_answer", "promote"), ("signing_key",)),
    "release": ("signing_key",),
    "decide": ("signing_key",),
    "notify": ("notify_webhook", "notify_smtp_password"),
    "serve": ("server_token", "signing_key"),
    "versions": ("signing_key",),
    "airflow": ("airflow_database",),
    "summary": ("notify_webhook", "notify_smtp_password"),
}
"""The secrets a stage's process is handed beside its S3 user; ingest needs the key's fingerprint only."""


FOREIGN: tuple[str, ...] = ("source_password", "notify_webhook", "notify_smtp_password", "airflow_database")
"""Those of them that open other people's systems: they come by environment, and are withheld from every other stage."""


RESULT = "RESULT "
"""Begins the line of a stage's or trial's standard output that holds what it returns [JSON]; what precedes it is its log."""

RUN_ID = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._~=+-]{0,199}", re.ASCII)
"""A run's id as it stands in keys: a person who starts a run chooses it."""
TAKEN: frozenset[str] = frozenset({"profiles", "released", "notified", "monitor", "bandit", "tune"})
"""Names beside the runs of a use case in the buckets; files there end with `.json`."""


def is_run_id(name: str) -> bool:
    """Tell whether a name can be that of a run: no path, and no place where something else lies."""
    return RUN_ID.fullmatch(name) is not None and name not in TAKEN and not name.endswith(".json")


def storage_id(run_id: str) -> str:
    """Return a run's id as it stands in keys and folder names: Airflow's own has colons and a plus."""
    return run_id.replace(":", "").replace("+", "Z")
