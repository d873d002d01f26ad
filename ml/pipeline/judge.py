"""Makes the golden requests with their answers, lists what the gate judged, and signs the list with the judging role's key.

`evaluate` calls `list_judged` at its end; its task calls `sign` after the outputs were pushed.
"""

from __future__ import annotations

from pathlib import Path

from ml.config import Settings
from ml.contract import JsonObject, Verdict
from ml.errors import IntegrityBroken
from ml.files import read_json, sha256_file, write_json
from ml.packaging import golden
from ml.packaging.judgement import GOLDEN, HISTORIES, JUDGEMENT_TYPE, METRICS, PROFILE, STATE, VERDICT, Judgement
from ml.pipeline import vouch
from ml.pipeline.context import StageContext

JUDGED_SCHEMA = "tradewind/judged/1"
JUDGED = "judged.json"
GOLDEN_REQUESTS = 20


def list_judged(context: StageContext, verdict: Verdict) -> None:
    """Write `golden.json`, where the gate chose a variant, and `judged.json`: the digests of everything that was judged.

    Raises:
        IntegrityBroken: There are no golden requests.
    """
    data, variant = context.data("evaluate").parent, verdict.chosen if verdict.accepted else None
    names = [STATE, PROFILE, HISTORIES, VERDICT, METRICS]
    if variant is not None:
        write_json(data / GOLDEN, _golden(context, data / "compress" / variant))
        folder = data / "compress" / variant
        names += [GOLDEN, *(path.relative_to(data).as_posix() for path in folder.rglob("*") if path.is_file())]
    files = {name: sha256_file(data / name) for name in sorted(names) if (data / name).is_file()}
    told = {"schema": JUDGED_SCHEMA, "use_case": context.use_case.name, "variant": variant, "files": files}
    write_json(context.data("evaluate") / JUDGED, told)


def sign(settings: Settings, use_case: str, run_id: str, root: Path) -> bytes:
    """Return the signed list of what `evaluate` judged in a run's workspace.

    Args:
        settings: Those of role `judge`, with its key.
        use_case: Its name.
        run_id: The run under whose id the list is kept: no other run can use it.
        root: The workspace.
    """
    listed = read_json(root / "data" / use_case / "evaluate" / JUDGED)
    if (listed.get("schema"), listed.get("use_case")) != (JUDGED_SCHEMA, use_case):
        raise IntegrityBroken(f"{JUDGED} of {use_case}", "another list", "Run the evaluate stage again.")
    judgement = Judgement(
        use_case=use_case,
        run_id=run_id,
        variant=listed["variant"],
        files=listed["files"],
        frozen=frozen_digests(root),
    )
    return vouch.sign(settings, "judge", JUDGEMENT_TYPE, judgement.told())


def frozen_digests(root: Path) -> dict[str, str]:
    """Return the digests of the frozen files that decide what is compared with what."""
    return {name: sha256_file(root / name) for name in ("inputs.json", "params.yaml")}


def _golden(context: StageContext, folder: Path) -> JsonObject:
    import pandas as pd

    use_case, state = context.use_case, read_json(context.data("features") / "state.json")
    examples = pd.read_parquet(context.data("features") / "test.parquet")
    requests = use_case.service.golden(examples, state, GOLDEN_REQUESTS)
    if not requests:
        raise IntegrityBroken("golden requests from the test examples", "none", "Look at the use case's `golden`.")
    return golden.record(use_case, use_case.model.open(folder), state, requests)
