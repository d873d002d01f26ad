"""Runs one DVC stage of one run in a workspace of its own, so that any task can run on any worker.

Brings what the run is frozen on, what earlier stages handed over and the stage's inputs, runs one stage, pushes its outputs,
hands over their hashes, leaves nothing behind. Commands come from the installed project alone: what the object store holds
of a run is data, and believed where the role that made it signed it.
"""

from __future__ import annotations

import logging
import mimetypes
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ml.config import GRANTS, BucketName, Settings, require_secret
from ml.contract import JsonObject, Verdict
from ml.errors import DataRejected, GateFailed, IntegrityBroken, ModelNotFound, StageFailed
from ml.files import read_verdict, sha256, sha256_file, write_bytes
from ml.packaging import artifact
from ml.packaging.judgement import ENVELOPE
from ml.pipeline import (
    FILE_STAGES,
    JUDGING_STAGES,
    ROLES,
    RUN_KEYS,
    frozen,
    handover,
    leftovers,
    outputs,
    removal,
    vouch,
)
from ml.pipeline.accepted import fetch_profile
from ml.pipeline.frozen import STAGES_FILE, Frozen, run_key
from ml.pipeline.handover import Part
from ml.pipeline.place import PROJECT, profile_path, rows_path
from ml.pipeline.released import fetch_rows
from ml.pipeline.stage_code import exact
from ml.private import make_private
from ml.registry.fetch import fetch_document
from ml.registry.live import Live
from ml.store import Bucket
from ml.use_cases import NAMES

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo

CODE = ("ml", "data_checks", "uv.lock")
OUTPUTS = ("data/", "reports/")
LOCK = "dvc.lock"

log = logging.getLogger(__name__)


def run_stage(settings: Settings, use_case: str, run_id: str, stage: str, project: Path = PROJECT) -> None:
    """Run one file-to-file stage of a run; arguments and errors as of `ran_stage`."""
    with ran_stage(settings, use_case, run_id, stage, project):
        pass


@contextmanager
def ran_stage(settings: Settings, use_case: str, run_id: str, stage: str, project: Path = PROJECT) -> Iterator[Path]:
    """Run one file-to-file stage of a run, hand its outputs over through the object store, and give the workspace.

    A refusal is raised at the end.

    Args:
        settings: Those of the stage's role, with its key.
        use_case: Its name.
        run_id: As it stands in keys.
        stage: Name of the stage.
        project: Folder of the `dvc.yaml` whose commands are run.

    Raises:
        IntegrityBroken: Something of the run in the object store is not what the role that made it signed.
        StageFailed: The stage ended badly.
        DataRejected: `validate` refused; its outputs and verdict are pushed.
        GateFailed: `evaluate` refused; its outputs and verdict are pushed.
    """
    with workspace(settings, use_case, run_id, stage, project) as root:
        with _repo(settings, root) as repo:
            _pull(settings, repo, _inputs(repo, stage, use_case))
            _reproduce(repo, stage, use_case)
            sweeps, made = removal.seen(settings), _made(settings, repo, stage, use_case)
            repo.push(targets=[f"{stage}@{use_case}"])
        told = _publish_reports(settings, root / "reports" / use_case / stage, f"{use_case}/{run_id}/{stage}")
        judged = root / "data" / use_case / stage if stage in JUDGING_STAGES else None
        part = yaml.safe_load((root / LOCK).read_text())["stages"][f"{stage}@{use_case}"]
        seen = sha256_file(judged / "verdict.json") if judged else None
        handover.leave(settings, (use_case, run_id, stage), part, seen, told)
        removal.settle(settings, sweeps, _cache(settings) / "dvc", made)
        if judged:
            _publish_judgement(settings, judged, f"{use_case}/{run_id}/{stage}")
        yield root
        if judged:
            _heed(read_verdict(judged / "verdict.json"))


def bring(settings: Settings, root: Path, *paths: str) -> None:
    """Pull outputs of a run into an open workspace.

    Args:
        settings: A role that may read the outputs' remote.
        root: A folder that `workspace` gave.
        paths: Paths of stage outputs below it.

    Raises:
        ModelNotFound: There is no such output, or none that this role may read.
        IntegrityBroken: An object does not hold what its name says.
    """
    with _repo(settings, root) as repo:
        _pull(settings, repo, paths)


@contextmanager
def workspace(settings: Settings, use_case: str, run_id: str, purpose: str, project: Path = PROJECT) -> Iterator[Path]:
    """Give a folder with the code, the run's frozen files and its lock; remove it afterwards.

    Raises:
        ModelNotFound: Nothing was frozen for the run.
        IntegrityBroken: Its frozen files or a stage's hand-over are not signed by the role that makes them, or the run
            was frozen by code whose stages are others.
    """
    known = frozen.read(settings, use_case, run_id)
    _ensure_installed(known, project)
    parts = {stage: handover.find(settings, use_case, run_id, stage) for stage in FILE_STAGES}
    with _folder(settings, use_case, run_id, purpose) as root:
        _lay_out(settings, root, known, {stage: one.part for stage, one in parts.items() if one})
        _lay_frozen(Bucket.open(settings, "runs"), root, known)
        envelope = Bucket.open(settings, "work").find(run_key(use_case, run_id, ENVELOPE), vouch.STATEMENT_LIMIT_BYTES)
        if envelope is not None:
            (root / ENVELOPE).write_bytes(envelope)
        yield root


@contextmanager
def version_workspace(settings: Settings, use_case: str, live: Live, purpose: str) -> Iterator[Path]:
    """Give a folder as `workspace` does, for the run that made a version: laid out by what the version's record names.

    The record was signed when the version was promoted, so this needs no statement of the run itself.

    Raises:
        ModelNotFound: There is no such version.
        IntegrityBroken: Its record, or its lock, is not what was signed.
    """
    named = fetch_document(settings, use_case, live.digest, artifact.LOCK, live.run_id)
    files = {**named, STAGES_FILE: single(use_case)}
    known = Frozen(use_case=use_case, run_id=str(live.run_id), files=files)
    stages = (yaml.safe_load(named[LOCK]) or {}).get("stages", {})
    parts = {
        stage: handover.part_of(stages[f"{stage}@{use_case}"], stage)
        for stage in FILE_STAGES
        if f"{stage}@{use_case}" in stages
    }
    with _folder(settings, use_case, str(live.run_id), purpose) as root:
        _lay_out(settings, root, known, parts)
        yield root


@contextmanager
def _folder(settings: Settings, use_case: str, run_id: str, purpose: str) -> Iterator[Path]:
    """Give an empty folder on this machine; remove it afterwards."""
    parent = make_private(settings.home) / "work" / use_case / run_id
    leftovers.remove(parent)
    root = parent / f"{purpose}.{os.getpid()}"
    root.mkdir(parents=True)
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def single(use_case: str, project: Path = PROJECT) -> bytes:
    """Return the project's `dvc.yaml` for one use case: a run's lock tells of no other."""
    document = yaml.safe_load((project / STAGES_FILE).read_text(encoding="utf-8"))
    document["vars"] = [{"use_cases": [use_case]}]
    return yaml.safe_dump(document, sort_keys=True, allow_unicode=True).encode()


def _ensure_installed(known: Frozen, project: Path) -> None:
    """Refuse a run whose stages are not those of the installed project: nothing else says what is run."""
    if known.files[STAGES_FILE] != single(known.use_case, project):
        raise IntegrityBroken(
            f"run {known.run_id} of {known.use_case}, frozen on the stages of the installed dvc.yaml",
            "other stages",
            "Start a new run; a run that another version of the code began is finished by that version alone.",
        )


def _lay_out(settings: Settings, root: Path, known: Frozen, parts: Mapping[str, Part]) -> None:
    for name in CODE:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, root / name)
        else:
            shutil.copy2(source, root / name)
    for name in frozen.FROZEN:
        (root / name).write_bytes(known.files[name])
    stages = yaml.safe_load(known.files[STAGES_FILE])
    _ensure_declared(stages, known.use_case, parts)
    if known.use_case in NAMES:
        stages = exact(stages, known.use_case)
    (root / STAGES_FILE).write_text(yaml.safe_dump(_readable(stages, settings), sort_keys=True))
    if parts:
        (root / LOCK).write_text(yaml.safe_dump(handover.as_lock(known.use_case, parts), sort_keys=True))
    (root / ".dvcignore").write_text("__pycache__\n*.pyc\n")


def _ensure_declared(document: JsonObject, use_case: str, parts: Mapping[str, Part]) -> None:
    """Refuse a hand-over that tells of other outputs than the stage has."""
    for stage, part in parts.items():
        declared = document["stages"].get(stage, {}).get("do", {}).get("outs", [])
        paths = {
            name.replace("${item}", use_case) for out in declared for name in ([out] if isinstance(out, str) else out)
        }
        if other := sorted({out.path for out in part.outs} - paths):
            raise IntegrityBroken(f"outputs of {stage} that dvc.yaml declares", ", ".join(other), handover.AGAIN)


def _lay_frozen(runs: Bucket, root: Path, known: Frozen) -> None:
    """Bring accepted profiles and marks of released rows that the inputs name by digest."""
    inputs = known.inputs
    for digest in {one["digest"] for one in inputs.get("accepted", ())}:
        write_bytes(root / profile_path(digest), fetch_profile(runs, known.use_case, digest))
    for digest in {item["rows"] for item in inputs.get("decisions", ()) if "rows" in item}:
        write_bytes(root / rows_path(digest), fetch_rows(runs, known.use_case, digest))


def _readable(document: JsonObject, settings: Settings) -> JsonObject:
    """Return the stages without the outputs that lie where this S3 user may not read: DVC would ask there."""
    if settings.s3_role is None or "raw" in GRANTS[settings.s3_role]:
        return document
    for stage in document["stages"].values():
        stage["do"]["outs"] = [out for out in stage["do"]["outs"] if isinstance(out, str)]  # raw ones name their remote
    return document


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
    for name in [name for name in os.environ if name.startswith("DVC_")]:
        del os.environ[name]  # DVC_SITE_CACHE_DIR goes before our configuration, and what is in there is unpickled
    os.environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "DVC_NO_ANALYTICS": "1",
        "AWS_ACCESS_KEY_ID": settings.s3_access_key or "",
        "AWS_SECRET_ACCESS_KEY": require_secret(settings.s3_secret_key, "s3_secret_key"),
        "AWS_DEFAULT_REGION": settings.s3_region,
        **dict.fromkeys(("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"), str(root / ".dvc" / "none")),
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
        *("[cache]", f"dir = {cache / 'dvc'}", "type = 'reflink,copy'"),
    ]
    for remote in ("raw", "work"):
        lines += [f"['remote \"{remote}\"']", f"url = s3://{settings.s3_prefix}-{remote}/dvc"]
        if settings.s3_endpoint:
            lines += [f"endpointurl = {settings.s3_endpoint}"]
    return "\n".join(lines) + "\n"


def _pull(settings: Settings, repo: Repo, paths: Sequence[str]) -> None:
    """Bring outputs of other stages: into the cache, checked, and from there into the workspace."""
    from dvc.exceptions import DvcException

    known = [(_output(out), _remote(out)) for out in repo.index.outs if out.hash_info]
    for path in paths:
        found = next(((one, remote) for one, remote in known if one.holds(path)), None)
        if found is None:
            wanted = f"{path}, handed over by an earlier stage"
            raise ModelNotFound(wanted, "none that this role may read", "Run the stages before this one.")
        outputs.fetch(Bucket.open(settings, found[1]), _cache(settings) / "dvc", found[0], path)
    try:
        if paths:
            repo.checkout(targets=list(paths))
    except DvcException as error:
        raise StageFailed("inputs of the stage in DVC's cache", str(error), "Run the task again.") from error


def _made(settings: Settings, repo: Repo, stage: str, use_case: str) -> list[tuple[Bucket, outputs.Output]]:
    """Return what a stage made, as its part of the lock names it, each with the bucket it is pushed to."""
    return [(Bucket.open(settings, _remote(out)), _output(out)) for out in _stage(repo, stage, use_case).outs]


def _remote(out: Output) -> BucketName:
    return "raw" if out.remote == "raw" else "work"


def _output(out: Output) -> outputs.Output:
    return outputs.Output(
        path=str(out.def_path), md5=str(out.hash_info.value), size=out.meta.size if out.meta else None
    )


def _inputs(repo: Repo, stage: str, use_case: str) -> list[str]:
    """Return what a stage reads of other stages."""
    return [str(dep) for dep in _stage(repo, stage, use_case).deps if str(dep).startswith(OUTPUTS)]


def _stage(repo: Repo, stage: str, use_case: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - DVC has no types
    return repo.stage.load_one(STAGES_FILE, f"{stage}@{use_case}")


@contextmanager
def _without_keys() -> Iterator[None]:
    """Keep the keys that sign what a stage made from the stage's own process, which opens files that others made."""
    names = [f"TRADEWIND_{name.upper()}_KEY" for name in RUN_KEYS.values()]
    held = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ |= held


def _reproduce(repo: Repo, stage: str, use_case: str) -> None:
    from dvc.exceptions import DvcException

    try:
        with _without_keys():
            # The judge signs what it measured itself: a lock that says so, or an output kept from another time, is not enough.
            done = repo.reproduce(targets=f"{stage}@{use_case}", single_item=True, force=ROLES.get(stage) == "judge")
    except DvcException as error:
        cause = str(error.__cause__ or error)
        raise StageFailed(
            f"stage {stage} of {use_case} to end well", cause, "Read the lines above; they come from the stage."
        ) from error
    log.info("stage reproduced stage=%s use_case=%s changed=%s", stage, use_case, bool(done))


def _publish_reports(settings: Settings, folder: Path, prefix: str) -> dict[str, str]:
    """Copy what people read of a stage to the `reports` bucket; return the digest of each file by its path."""
    reports, told = Bucket.open(settings, "reports"), {}
    for path in sorted(folder.rglob("*")) if folder.exists() else ():
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            name, data = path.relative_to(folder).as_posix(), path.read_bytes()
            reports.put(f"{prefix}/{name}", data, kind)
            told[name] = sha256(data)
    return told


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
