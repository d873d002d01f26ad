"""Rebuilds a version from its lock, from the data to the image, on an empty disk, and says whether it is the same.

Acts on the world as little as a run that is never promoted: it makes a run of its own in the `runs` bucket.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import yaml

from ml.config import Settings
from ml.contract import JsonObject, UseCase
from ml.environment import inherited
from ml.errors import StageFailed
from ml.files import read_json
from ml.packaging import artifact, golden
from ml.packaging.archive import unpack
from ml.packaging.oci import Layout
from ml.packaging.version import PREFIX, read
from ml.pipeline import FILE_STAGES, FOREIGN, SECRETS, frozen, handover, workspace
from ml.pipeline.freeze import code_digest, erasures
from ml.pipeline.place import PROJECT
from ml.pipeline.workspace import CODE, LOCK, single
from ml.registry.fetch import fetch_document, fetch_record, fetch_version
from ml.registry.shelf import Shelf
from ml.training import machine

Verdict: TypeAlias = Literal["same", "agrees", "differs", "not rebuildable"]
Environment: TypeAlias = Callable[[str], Mapping[str, str]]
"""(stage) -> the environment of its process: the S3 user of its role, and that stage's secrets."""

SIGNED_SINCE = "ml/pipeline/judge.py"  # in all code whose stages can take part in a run of this code
YARDSTICKS = ("production", "best")  # fields of the inputs
LOG_TAIL = 15  # lines of a stage that failed

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What came out of a rebuild."""

    use_case: str
    digest: str
    verdict: Verdict
    """`same` digest; answers that `agree` although the digest is another, on another machine; else it `differs`."""
    sentence: str
    first_difference: str | None = None
    """The first stage whose output is another, where one is."""
    run_id: str | None = None
    """The run that was made; none where it was not tried."""


def rebuild(settings: Settings, environment: Environment, use_case: UseCase, digest: str) -> Rebuilt:
    """Run every stage of a version's run again from its own lock and compare stage by stage.

    Args:
        settings: Role `promote`, with the freezing role's key: reads the registry and the runs' outputs, freezes the new run.
        environment: What each stage's process is given.
        use_case: The record.
        digest: The version.

    Raises:
        ModelNotFound: There is no such version.
        IntegrityBroken: Its record or its lock is not what was signed.
    """
    record = fetch_record(settings, use_case.name, digest).payload
    lock = fetch_document(settings, use_case.name, digest, artifact.LOCK)
    known = json.loads(lock["inputs.json"])
    if gone := _compared_and_gone(settings, use_case.name, known):
        said = f"not rebuildable: it was compared with {', '.join(gone)}, which the registry holds no more"
        return Rebuilt(use_case=use_case.name, digest=digest, verdict="not rebuildable", sentence=said)
    erased = set(erasures(settings, use_case.name)) - set(map(str, known["erasures"]))
    if erased:
        said = f"not rebuildable: {len(erased)} customers whose data it saw have been erased since"
        return Rebuilt(use_case=use_case.name, digest=digest, verdict="not rebuildable", sentence=said)
    run_id = f"rebuild-{digest[7:19]}-{uuid.uuid4().hex[:6]}"
    with _code(record["code"]) as code, tempfile.TemporaryDirectory() as home:
        _freeze(settings, use_case.name, run_id, lock, code)
        attempt = _Attempt(settings, use_case, run_id, code, Path(home), environment)
        return attempt.judge(digest, record, _outputs(lock[LOCK]))


def _compared_and_gone(settings: Settings, use_case: str, inputs: JsonObject) -> list[str]:
    """Return the versions that the gate compared with and that were collected since: it would measure them again."""
    shelf, named = Shelf.open(settings, use_case), {(inputs.get(name) or {}).get("digest") for name in YARDSTICKS}
    return sorted(one for one in named if one is not None and not shelf.holds(one))


@dataclass(frozen=True)
class _Attempt:
    settings: Settings
    use_case: UseCase
    run_id: str
    code: Path
    home: Path
    environment: Environment

    def judge(self, digest: str, record: JsonObject, expected: Mapping[str, str]) -> Rebuilt:
        """Run the stages; on the machine of the original the first difference ends it, elsewhere answers decide."""
        elsewhere = machine.describe()["fingerprint"] != record["machine"]["fingerprint"]
        first: str | None = None
        for stage in FILE_STAGES:
            failure = self.run(stage)
            if first is None and failure is None and self.differs(stage, expected):
                first = stage
            if failure is not None or (first is not None and not elsewhere):
                return self.told(digest, "differs", first or stage, failure)
        made = self.packaged()
        if made == digest:
            return self.told(digest, "same", None, None)
        if not elsewhere:
            return self.told(digest, "differs", first or "package", None)
        return self.compared(digest, first or "package")

    def run(self, stage: str) -> str | None:
        """Run one stage as its own role; return the end of its output if it fails."""
        request = json.dumps({"run_id": self.run_id, "is_rebuild": True, "as_of": "1970-01-01", "who": "", "why": ""})
        command = [sys.executable, "-m", "ml", "task", stage, self.use_case.name, "--request", request]
        foreign = (f"TRADEWIND_{name.upper()}" for name in FOREIGN if name in SECRETS.get(stage, ()))
        given = {name: os.environ[name] for name in ("TRADEWIND_LOG", *foreign) if name in os.environ}
        held = {**inherited(os.environ), **given, **self.environment(stage), "TRADEWIND_HOME": str(self.home)}
        done = subprocess.run(command, env=held, cwd=self.code, capture_output=True, text=True, check=False)
        log.info("stage rebuilt stage=%s code=%d", stage, done.returncode)
        return "\n".join(done.stderr.splitlines()[-LOG_TAIL:]) if done.returncode else None

    def differs(self, stage: str, expected: Mapping[str, str]) -> bool:
        """Compare what a stage hashed; packages hold documents with times, and are compared by their version."""
        if stage == "package":
            return False
        folder = f"data/{self.use_case.name}/{stage}"
        made = handover.find(self.settings, self.use_case.name, self.run_id, stage)
        found = {out.path: out.md5 for out in made.part.outs} if made else {}
        return found.get(folder) != expected.get(folder)

    def packaged(self) -> str:
        """Return the digest of the version that was built."""
        with self.outputs("version.json") as folder:
            return str(read_json(folder / "version.json")["digest"])

    def compared(self, digest: str, first: str) -> Rebuilt:
        """Ask the rebuilt model the original's golden requests."""
        with self.outputs("oci") as folder, tempfile.TemporaryDirectory() as scratch:
            layout = Layout(folder / "oci")
            unpack(layout.blob(read(layout).layer.digest), Path(scratch) / "rebuilt", PREFIX)
            original = fetch_version(self.settings, self.use_case.name, digest, Path(scratch))
            asked, other = golden.compare(self.use_case, original, Path(scratch) / "rebuilt")
        said = (
            f"on another machine; {asked - other} of {asked} golden requests are answered alike to {golden.TOLERANCE:g}"
        )
        return self.told(digest, "differs" if other else "agrees", first, said)

    @contextmanager
    def outputs(self, name: str) -> Iterator[Path]:
        """Give the folder `package` with one of its outputs."""
        with workspace.workspace(self.settings, self.use_case.name, self.run_id, "rebuild", self.code) as root:
            place = f"data/{self.use_case.name}/package"
            workspace.bring(self.settings, root, f"{place}/{name}")
            yield root / place

    def told(self, digest: str, verdict: Verdict, first: str | None, detail: str | None) -> Rebuilt:
        said = {
            "same": f"{digest} was rebuilt from its lock: the same digest",
            "agrees": f"another digest than {digest}, from stage {first} on",
            "differs": f"another version than {digest}: the first stage that differs is {first}",
        }[verdict]
        sentence = f"{said}; {detail}" if detail else said
        return Rebuilt(
            use_case=self.use_case.name,
            digest=digest,
            verdict=verdict,
            sentence=sentence,
            first_difference=first,
            run_id=self.run_id,
        )


def _freeze(settings: Settings, use_case: str, run_id: str, lock: Mapping[str, bytes], code: Path) -> None:
    files = {name: lock[name] for name in (frozen.INPUTS, frozen.PARAMS)}
    frozen.keep(settings, use_case, run_id, {**files, frozen.STAGES_FILE: single(use_case, code)})


@contextmanager
def _code(recorded: JsonObject) -> Iterator[Path]:
    """Give a folder with the code a version was made by: this one, or the commit its record names."""
    if code_digest() == recorded["digest"]:
        yield PROJECT
        return
    with tempfile.TemporaryDirectory() as scratch:
        archive = ["git", "archive", "--format=tar", str(recorded["revision"]), *CODE, "dvc.yaml", "params.yaml"]
        done = subprocess.run(archive, cwd=PROJECT, capture_output=True, check=False)
        if done.returncode == 0:
            subprocess.run(["tar", "-x", "-C", scratch], input=done.stdout, check=True)
        if done.returncode or code_digest(Path(scratch)) != recorded["digest"]:
            raise StageFailed(
                f"the code with digest {recorded['digest']}",
                f"other code here, and no such commit {recorded['revision']}",
                "Check out the code the version was made by, and rebuild there.",
            )
        if not (Path(scratch) / SIGNED_SINCE).exists():
            raise StageFailed(
                "code whose stages sign what they hand over",
                f"commit {recorded['revision']}, from before",
                "Rebuild it with that commit's own code, in a stack of its own.",
            )
        yield Path(scratch)


def _outputs(lock: bytes) -> dict[str, str]:
    stages = (yaml.safe_load(lock) or {}).get("stages", {})
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ()) if "md5" in out}
