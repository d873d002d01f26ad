"""What became of an answer: a charge-back says that it was fraud, a month without one that it was not."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from ml.contract import JsonObject
from ml.use_cases.fraud.message import local

SETTLED = timedelta(days=30)
LEAST = 1e-6  # of a probability: answers are rounded to it


def outcome(logged: JsonObject, events: list[JsonObject]) -> dict[str, float]:
    """Return how good an answer was, once it is known.

    It was fraud where a charge-back names its payment. It was genuine where something happened a month later and none had
    come. `log_loss` as the gate's metric; `caught`: of a fraud, whether it was not simply approved; `bothered`: the same of
    a genuine payment.
    """
    answer = logged.get("answer", logged)
    payment, paid_at = answer["payment_id"], datetime.fromisoformat(answer["paid_at"])
    if payment is None:
        return {}
    p, flagged = answer["p_fraud"], float(answer["decision"] != "approve")
    if any("reported_at" in event and event.get("payment_id") == payment for event in events):
        return {"log_loss": -math.log(max(p, LEAST)), "caught": flagged}
    if any(_moment(event) >= paid_at + SETTLED for event in events):
        return {"log_loss": -math.log(max(1 - p, LEAST)), "bothered": flagged}
    return {}


def _moment(event: JsonObject) -> datetime:
    said = event.get("reported_at") or event.get("paid_at")
    return local(datetime.fromisoformat(str(said))) if said else datetime.min
