"""Which inputs were learned from already: what starts by itself is not started twice on equal ones.

Kept by `ingest` in the `runs` bucket, `learned/<use case>/<digest of the inputs>.json`: the newest run that was frozen on
them. Whether that run got as far as a verdict is asked of its reports; one that died on the way is no reason to wait.
"""

from __future__ import annotations

from datetime import date

from ml.config import Settings
from ml.contract import JsonObject
from ml.files import canonical, parse_object, sha256
from ml.pipeline import is_run_id
from ml.pipeline.frozen import Frozen
from ml.store import Bucket

LEARNED_FROM = ("decisions", "erasures", "key_ring", "pseudonym_key")
"""The fields of `inputs.json` that change what a run learns; which version is live changes only what it is compared with."""


def digest(frozen: Frozen) -> str:
    """Return what tells inputs apart: data, parameters, stages, code, and whether the data have become too old."""
    inputs, section = frozen.inputs, frozen.section
    age = date.fromisoformat(inputs["as_of"]["data"]) - date.fromisoformat(inputs["source"]["last_day"])
    basis: JsonObject = {
        **{name: inputs.get(name) for name in LEARNED_FROM},
        "data": {name: inputs["source"].get(name) for name in ("spec", "digest", "time_zone")},
        "params": section,
        "stages": frozen.files["dvc.yaml"].decode(),
        "code": inputs["code"]["digest"],
        "is_stale": age.days > section["checks"]["freshness_days"],  # the check for it must get to speak once
    }
    return sha256(canonical(basis))


def earlier_run(settings: Settings, frozen: Frozen) -> str | None:
    """Return the id of an earlier run on equal inputs that ended in a verdict; none if there is none."""
    kept = Bucket.open(settings, "runs").find(_key(frozen))
    run_id = parse_object(kept, _key(frozen), f"Delete {_key(frozen)}.").get("run_id") if kept else None
    is_other = is_run_id(str(run_id)) and run_id != frozen.run_id
    return run_id if is_other and _is_judged(settings, frozen.use_case, str(run_id)) else None


def keep(settings: Settings, frozen: Frozen) -> None:
    """Keep that a run is frozen on its inputs."""
    Bucket.open(settings, "runs").put(_key(frozen), canonical({"run_id": frozen.run_id}), "application/json")


def _is_judged(settings: Settings, use_case: str, run_id: str) -> bool:
    """Tell whether the gate decided about the run's version, or the checks refused its data."""
    reports = Bucket.open(settings, "reports")
    if reports.exists(f"{use_case}/{run_id}/evaluate/verdict.json"):
        return True
    key = f"{use_case}/{run_id}/validate/verdict.json"
    checked = reports.find(key)
    return checked is not None and parse_object(checked, key, f"Delete {key}.").get("accepted") is False


def _key(frozen: Frozen) -> str:
    return f"learned/{frozen.use_case}/{digest(frozen).removeprefix('sha256:')}.json"
