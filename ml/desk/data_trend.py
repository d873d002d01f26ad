"""The data of the last runs beside each other: those that were accepted, and those that were refused between them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from ml.config import Settings
from ml.contract import JsonObject
from ml.desk import document
from ml.desk.data_report import REPORT
from ml.desk.run_list import last_runs
from ml.errors import ModelNotFound
from ml.explanation import chart
from ml.pipeline.decision import shown

SEARCHED = 40  # newest runs of Airflow's that are looked at
REFUSED_SHOWN = 8  # of them, newest
KEPT = 32  # pictures


def trend(settings: Settings, use_case: str, run: str, report: JsonObject) -> list[JsonObject]:
    """Return the runs up to one, oldest first: `run` (none for itself), `as_of`, `rows`, `quarantined`, `accepted`.

    A report tells of accepted runs only, since it is made from what its run was frozen on; those that were refused meanwhile
    are taken from their own reports, in Airflow's order. A run that Airflow does not know is shown as its report says it.
    """
    told = [{"accepted": True, **one} for one in report["trend"]]
    told[-1]["accepted"] = report["accepted"]
    order = {line.storage_id: at for at, line in enumerate(reversed(last_runs(use_case, SEARCHED)))}
    known = {run, *(one["run"] for one in told)}
    earlier = [one for one in order if order[one] < order.get(run, 0) and one not in known]
    refused = islice(_refused(settings, use_case, earlier[::-1]), REFUSED_SHOWN)
    placed = [*_placed(told, order, run), *((order[one["run"]], one) for one in refused)]
    return [one for _, one in sorted(placed, key=lambda pair: pair[0])]


def trend_picture(runs: Sequence[JsonObject]) -> str:
    """Return SVG of the runs; empty where there is but one."""
    return _drawn(json.dumps(runs)) if len(runs) > 1 else ""


def _refused(settings: Settings, use_case: str, runs: Sequence[str]) -> Iterator[JsonObject]:
    for run in runs:
        try:
            if shown(settings, use_case, run).verdict.accepted:
                continue
            report = document.read_report(settings, use_case, run, REPORT)
        except ModelNotFound:
            continue
        yield {**report["trend"][-1], "run": run, "accepted": False}


def _placed(told: Sequence[JsonObject], order: Mapping[str, int], run: str) -> Iterator[tuple[int, JsonObject]]:
    """Yield what a report tells with its place among Airflow's runs; what Airflow does not know stays behind its neighbour."""
    at = -1
    for one in told:
        at = max(at, order.get(one["run"] or run, at))
        yield at, one


@lru_cache(maxsize=KEPT)
def _drawn(rows: str) -> str:
    return chart.trend(json.loads(rows))
