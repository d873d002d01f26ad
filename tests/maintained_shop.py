"""A store of its own with runs, versions, reports and requests of a shop, and what maintenance sees of it at later times."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ml.config import BUCKETS, BucketName
from ml.files import canonical, sha256, write_verdict
from ml.maintenance import aged, objects, runs
from ml.pipeline import frozen, handover, outputs
from ml.pipeline.decision import Decision, decide
from ml.pipeline.released import MARKS
from ml.registry.entry import Move
from ml.registry.ledger import tell
from ml.store import Bucket
from tests.conftest import ObjectStore
from tests.frozen_run import publish_verdict
from tests.promotable_run import packaged_run, verdict, walk_in

SHOP, RULE, MARKED = "shop", "purchases.fresh", ["m1", "m2"]
LATER = timedelta(days=100)
"""All that exists now is old then: beyond 90 days of runs, versions and quarantine, and within 365 of reports and requests."""
STEPS = {"runs": runs.run, "objects": objects.run, "reports": aged.reports, "requests": aged.requests}


class Shop:
    """Runs whose hand-overs name real objects, and an administrator who sees every bucket."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        keys = {f"s3_{part}_key": store.secrets[f"s3_admin_{part}_key"] for part in ("access", "secret")}
        self._admin = store.settings("retention", **keys)

    def retention(self, **changes: Any) -> Any:
        return self.store.settings("retention", **{"keep_runs": 1, **changes})

    def bucket(self, name: BucketName) -> Bucket:
        return Bucket.open(self._admin, name)

    def run(self, name: str) -> None:
        """Leave what three stages of a run leave: rows of its own twice in `raw`, examples of its own in `work`."""
        params = {frozen.INPUTS: json.dumps({"run_id": name}).encode(), frozen.PARAMS: b"shop: {}", "dvc.yaml": b""}
        frozen.keep(self.store.settings("ingest"), SHOP, name, params)
        rows, own, page = f"rows of {name}".encode(), f"examples of {name}".encode(), b"the same in every run"
        self._made(name, "ingest", "raw", {"rows": rows})
        self._made(name, "validate", "raw", {"rows": rows, "verdict.json": page})
        self._made(name, "features", "work", {"own": own, "page": page})

    def _made(self, run: str, stage: str, remote: Any, files: Any) -> None:
        place, listed = self.bucket(remote), []
        for path, data in files.items():
            place.put(outputs.object_key(md5(data)), data)
            listed.append({"md5": md5(data), "relpath": path})
        folder = json.dumps(listed).encode()
        place.put(outputs.object_key(f"{md5(folder)}.dir"), folder)
        out = {"path": f"data/{SHOP}/{stage}", "hash": "md5", "md5": f"{md5(folder)}.dir"}
        held = self.store.settings("train" if stage == "features" else "ingest")
        handover.leave(held, (SHOP, run, stage), {"cmd": "x", "outs": [out]}, None)

    def output(self, run: str, stage: str = "ingest") -> outputs.Output:
        """Return what a stage of a run handed over."""
        left = handover.find(self.store.settings("promote"), SHOP, run, stage)
        assert left is not None
        made = left.part.outs[0]
        return outputs.Output(path=made.path, md5=made.md5, size=None)

    def reads(self, run: str) -> int:
        """Fetch all outputs of a run to an empty disk, as a stage does; return how many objects that were."""
        cache = self.folder / f"cache-{uuid.uuid4().hex}"
        places: dict[str, BucketName] = {"ingest": "raw", "validate": "raw", "features": "work"}
        for stage, remote in places.items():
            found = self.output(run, stage)
            outputs.fetch(self.bucket(remote), cache, found, found.path)
        return sum(path.is_file() for path in cache.rglob("*"))

    def promote(self, seed: int, production: Any = None, ingested: Any = None, run_id: str = "of-version") -> Any:
        """Make a version live whose lock names what a run ingested."""
        held = self.store.settings("promote")
        root, digest = packaged_run(
            self.folder, held, SHOP, seed, production=production, ingested=ingested, run_id=run_id
        )
        walk_in(held, SHOP, root, run_id=run_id)
        return digest

    def ask(self, run: str) -> None:
        """Put a question about a run's version into the ledger that nobody has answered."""
        about = Move(channel="production", action="ask", digest=sha256(b"version"), who="carl", why="form", run_id=run)
        tell(self.store.settings("promote"), SHOP, about)

    def release_rows(self, run: str) -> None:
        """Let a data owner release rows of a run for good."""
        path = self.folder / "verdict.json"
        aside = {RULE: {"rows": 2, "digest": sha256(canonical(MARKED))}}
        write_verdict(path, verdict(accepted=False), aside=aside)
        digest = publish_verdict(self.store, SHOP, run, path.read_bytes())
        self.bucket("reports").put(f"{SHOP}/{run}/validate/{MARKS}", json.dumps({RULE: MARKED}).encode())
        told: dict[str, Any] = {"kind": "release_rows", "run_id": run, "verdict": digest, "rule": RULE}
        made = Decision(**told, request=f"release {run}", who="olga", why="the till was replaced")
        decide(self.store.settings("promote"), SHOP, made, datetime.now(UTC).date())
        self.run(run)  # what was signed for the verdict alone is a whole hand-over again

    def stored(self) -> Any:
        """Return the entity tag of every object, by bucket and key."""
        return {(name, key): tag for name in BUCKETS for key, tag in self.bucket(name).entries()}

    def keys(self, bucket: Any, prefix: str = "") -> Any:
        return list(self.bucket(bucket).keys(prefix))

    def clean(self, *names: Any, after: Any = LATER, is_trial: bool = False, **changes: Any) -> Any:
        """Run steps at a later time; return the outcomes by step."""
        held, now = self.retention(**changes), datetime.now(UTC) + after
        return {name: STEPS[name](held, now, is_trial=is_trial) for name in names or STEPS}


def numbers(outcomes: Any) -> Any:
    """Return how many things of each kind went."""
    return {one.kind: one.number for outcome in outcomes.values() for one in outcome.removed}


def md5(data: Any) -> Any:
    return hashlib.md5(data).hexdigest()
