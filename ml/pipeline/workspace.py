"""Runs one DVC stage of one run in a workspace of its own, so that any task can run on any worker.

Brings the run's `dvc.lock` and the stage's inputs, runs one stage, pushes outputs and lock, leaves
nothing behind. The run lives in the `runs` bucket under `<use case>/<run id>/`.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import yaml

import ml
from ml.config import GRANTS, Settings, require_secret
from ml.contract import Verdict
from ml.errors import DataRejected, GateFailed, StageFailed
from ml.files import read_json, read_verdict, write_bytes
from ml.pipeline import JUDGING_STAGES
from ml.pipeline.accepted import profile_key, profile_path
from ml.pipeline.released import rows_key, rows_path
from ml.private import make_private
from ml.store import Bucket

if TYPE_CHECKING:
    from dvc.repo import Repo

PROJECT = Path(ml.__file__).parent.parent
CODE = ("ml", "data_checks", "uv.lock")
OUTPUTS = ("data/", "reports/")
STAGES_FILE = "dvc.yaml"
FROZEN = ("inputs.json", "params.yaml", STAGES_FILE)
LOCK = "dvc.lock"

log = logging.getLogger(__name__)


def run_key(use_case: str, run_id: str, name: str) -> str:
    """Return the key in the `runs` bucket of one file of a run."""
    return f"{use_case}/{run_id}/{name}"


def run_stage(settings: Settings, use_case: str, run_id: str, stage: str) -> None:
    """Run one file-to-file stage of a run and hand its outputs over through the object store.

    Raises:
        StageFailed: The stage ended badly.
        DataRejected: `validate` refused; its outputs and verdict are pushed.
        GateFailed: `evaluate` refused; its outputs and verdict are pushed.
    """
    with workspace(settings, use_case, run_id, stage) as root:
        with _repo(settings, root) as repo:
            _pull(repo, _inputs(repo, stage, use_case))
            _reproduce(repo, stage, use_case)
            repo.push(targets=[f"{stage}@{use_case}"])
        _publish_reports(settings, root / "reports" / use_case / stage, f"{use_case}/{run_id}/{stage}")
        Bucket.open(settings, "runs").put(run_key(use_case, run_id, LOCK), (root / LOCK).read_bytes())
        if stage in JUDGING_STAGES:
            judged = root / "data" / use_case / stage
            _publish_judgement(settings, judged, f"{use_case}/{run_id}/{stage}")
            _heed(read_verdict(judged / "verdict.json"))


def bring(settings: Settings, root: Path, *paths: str) -> None:
    """Pull outputs of a run into an open workspace.

    Args:
        settings: A role that may read the outputs' remote.
        root: A folder that `workspace` gave.
        paths: Paths of stage outputs below it.
    """
    with _repo(settings, root) as repo:
        _pull(repo, paths)


@contextmanager
def workspace(settings: Settings, use_case: str, run_id: str, purpose: str) -> Iterator[Path]:
    """Give a folder with the code, the run's frozen files and its lock; remove it afterwards."""
    parent = make_private(settings.home) / "work" / use_case / run_id
    _sweep(parent)
    root = parent / f"{purpose}.{os.getpid()}"
    root.mkdir(parents=True)
    try:
        _lay_out(settings, root, use_case, run_id)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove what killed tasks of the same run left here."""
    for leftover in parent.glob("*.*") if parent.exists() else ():
        owner = leftover.suffix.removeprefix(".")
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)


def _lay_out(settings: Settings, root: Path, use_case: str, run_id: str) -> None:
    for name in CODE:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        else:
            shutil.copy2(source, root / name)
    runs = Bucket.open(settings, "runs")
    for name in FROZEN:
        (root / name).write_bytes(runs.get(run_key(use_case, run_id, name)))
    (root / STAGES_FILE).write_text(_readable((root / STAGES_FILE).read_text(), settings))
    _lay_frozen(runs, root, use_case)
    lock = runs.find(run_key(use_case, run_id, LOCK))
    if lock is not None:
        (root / LOCK).write_bytes(lock)
    (root / ".dvcignore").write_text("__pycache__\n*.pyc\n")


def _lay_frozen(runs: Bucket, root: Path, use_case: str) -> None:
    """Bring accepted profiles and marks of released rows that the inputs name; their digests are among the stages' parameters."""
    inputs = read_json(root / "inputs.json")
    for accepted in inputs.get("accepted", ()):
        write_bytes(root / profile_path(accepted["digest"]), runs.get(profile_key(use_case, accepted["digest"])))
    for digest in {item["rows"] for item in inputs.get("decisions", ()) if "rows" in item}:
        write_bytes(root / rows_path(digest), runs.get(rows_key(use_case, digest)))


def _readable(stages: str, settings: Settings) -> str:
    """Return `dvc.yaml` without the outputs that lie where this S3 user may not read: DVC would ask there."""
    if settings.s3_role is None or "raw" in GRANTS[settings.s3_role]:
        return stages
    document = yaml.safe_load(stages)
    for stage in document["stages"].values():
        stage["do"]["outs"] = [out for out in stage["do"]["outs"] if isinstance(out, str)]  # raw ones name their remote
    return yaml.safe_dump(document, sort_keys=True)


@contextmanager
def _repo(settings: Settings, root: Path) -> Iterator[Repo]:
    """Open the workspace as a DVC repository whose remotes are reached as the settings' S3 user.

    DVC looks names up below the current folder, so that is the workspace meanwhile. The commands in `dvc.yaml` say
    `python`: that is the interpreter of this process, whatever the shell would have found first.
    """
    from dvc.repo import Repo
    from dvc_data.hashfile.db.local import LocalHashFileDB

    LocalHashFileDB.CACHE_MODE = 0o400  # DVC's own is 0444, whatever the umask
    for name in ("dvc", "dvc_data", "dvc_objects"):
        logging.getLogger(name).handlers.clear()  # ours tell the same once
    os.environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "DVC_NO_ANALYTICS": "1",
        "AWS_ACCESS_KEY_ID": settings.s3_access_key or "",
        "AWS_SECRET_ACCESS_KEY": require_secret(settings.s3_secret_key, "s3_secret_key"),
        "AWS_DEFAULT_REGION": settings.s3_region,
    }
    _site_cache(settings).joinpath("repo").mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (root / ".dvc").exists():
        Repo.init(str(root), no_scm=True).close()
        (root / ".dvc" / "config").write_text(_dvc_config(settings))
    with chdir(root), Repo(str(root)) as repo:
        yield repo


def _cache(settings: Settings) -> Path:
    return (settings.home / "cache").absolute()


def _site_cache(settings: Settings) -> Path:
    """Return where DVC keeps pickled indexes; made by us, for DVC would let everybody write there, whatever the umask."""
    return _cache(settings) / "dvc-site"


def _dvc_config(settings: Settings) -> str:
    cache = _cache(settings)
    lines = [
        *("[core]", "analytics = false", "no_scm = true", "check_update = false", "remote = work"),
        f"site_cache_dir = {_site_cache(settings)}",
        *("[cache]", f"dir = {cache / 'dvc'}"),
    ]
    for remote in ("raw", "work"):
        lines += [f"['remote \"{remote}\"']", f"url = s3://{settings.s3_prefix}-{remote}/dvc"]
        if settings.s3_endpoint:
            lines += [f"endpointurl = {settings.s3_endpoint}"]
    return "\n".join(lines) + "\n"


def _pull(repo: Repo, paths: Sequence[str]) -> None:
    """Bring outputs of other stages."""
    if paths:
        repo.pull(targets=list(paths))


def _inputs(repo: Repo, stage: str, use_case: str) -> list[str]:
    """Return what a stage reads of other stages."""
    return [str(dep) for dep in _stage(repo, stage, use_case).deps if str(dep).startswith(OUTPUTS)]


def _stage(repo: Repo, stage: str, use_case: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - DVC has no types
    return repo.stage.load_one(STAGES_FILE, f"{stage}@{use_case}")


def _reproduce(repo: Repo, stage: str, use_case: str) -> None:
    from dvc.exceptions import DvcException

    try:
        done = repo.reproduce(targets=f"{stage}@{use_case}", single_item=True)
    except DvcException as error:
        cause = str(error.__cause__ or error)
        raise StageFailed(
            f"stage {stage} of {use_case} to end well", cause, "Read the lines above; they come from the stage."
        ) from error
    log.info("stage reproduced stage=%s use_case=%s changed=%s", stage, use_case, bool(done))


def _publish_reports(settings: Settings, folder: Path, prefix: str) -> None:
    """Copy what people read of a stage to the `reports` bucket."""
    reports = Bucket.open(settings, "reports")
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            reports.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes(), kind)


def _publish_judgement(settings: Settings, folder: Path, prefix: str) -> None:
    """Copy a verdict and its figures to the `reports` bucket: who reads them cannot read the data."""
    reports = Bucket.open(settings, "reports")
    for path in (folder / "verdict.json", folder / "metrics.json"):
        if path.exists():
            reports.put(f"{prefix}/{path.name}", path.read_bytes(), "application/json")


def _heed(verdict: Verdict) -> None:
    if verdict.accepted:
        return
    reasons = " ".join(rule.sentence for rule in verdict.blocking()) or verdict.summary
    if verdict.stage == "validate":
        raise DataRejected("data that pass the blocking rules", reasons, "Read the validation report of this run.")
    raise GateFailed("a candidate that passes the gate", reasons, "Production stays as it was; read the gate report.")
