"""Cleans Airflow's database by Airflow's own command, and removes its old task logs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from ml.config import Settings
from ml.environment import inherited
from ml.errors import ServiceUnavailable
from ml.maintenance.files import older, remove
from ml.maintenance.outcome import Outcome, Removed

FOUND = re.compile(r"Found (\d+) rows")
OUTPUT_TAIL = 5  # lines of a command that failed
TIMEOUT_S = 30 * 60


def run(settings: Settings, now: datetime, *, is_trial: bool) -> Outcome:
    """Remove rows and task logs by age; the newest scheduled run of each DAG stays.

    Args:
        settings: Names database and logs; no S3 user is needed.
        now: UTC.
        is_trial: Tell what would go, and remove nothing.

    Raises:
        ServiceUnavailable: Airflow's command failed; trying again may help.
    """
    done, since = Outcome(step="airflow"), now - timedelta(days=settings.keep_airflow_days)
    if (database := _database(settings)) is None:
        done.warnings.append(
            "Airflow's database was not cleaned: none at airflow/airflow.db of this home. "
            "Set TRADEWIND_AIRFLOW_DATABASE to its SQLAlchemy URL."
        )
    else:
        done.removed.append(
            Removed(kind="rows of Airflow's database", number=_clean(database, since, is_trial), size=0)
        )
    logs = settings.airflow_logs or settings.home / "airflow" / "logs"
    old = older(logs, "**/*", since)
    remove(logs, () if is_trial else old)
    done.count("Airflow's logs", old.values())
    return done


def _database(settings: Settings) -> str | None:
    if settings.airflow_database:
        return settings.airflow_database.get_secret_value()
    own = settings.home.absolute() / "airflow" / "airflow.db"
    return f"sqlite:///{own}?timeout=60" if own.exists() else None


def _clean(database: str, since: datetime, is_trial: bool) -> int:
    """Remove old rows with all that depends on them, without an archive; return how many those of the tables were."""
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", since.isoformat(), "--yes"]
    command += ["--dry-run"] if is_trial else ["--skip-archive", "--error-on-cleanup-failure"]
    with tempfile.TemporaryDirectory() as scratch:
        held = {
            **inherited(os.environ),
            "AIRFLOW_HOME": scratch,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        done = subprocess.run(
            command, env=held, cwd=Path(scratch), capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    if done.returncode:
        seen = "; ".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-OUTPUT_TAIL:])
        seen = seen.replace(database, "<the database>")
        raise ServiceUnavailable("Airflow's database to be cleaned", seen, "Try again; see `airflow db clean --help`.")
    return sum(map(int, FOUND.findall(done.stdout)))
