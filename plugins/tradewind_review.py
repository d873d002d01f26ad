"""The step at which a retraining waits for a data owner, and the run that follows from a decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.hitl import HITLUser
from tradewind_form import RETRAIN, rule_params
from tradewind_notify import TellPeople
from tradewind_tasks import REVIEW_TASK, request_of, run_stage

WAIVER_DAYS = 7  # what the form suggests
UNTIL = "The last day on which a waiver or release counts; 90 days at most."
FIELDS = {"waive": ("rule", "until"), "release": ("rule", "until"), "release_rows": ("rule", "rows")}


class ReviewWhenAsked(HITLOperator):
    """Waits for a data owner only where a rule asks for it and none has said a word; no answer in time is a rejection.

    The answer becomes a signed entry of the ledger before anything goes on. What was decided elsewhere, on the command line,
    counts when the step is cleared.
    """

    def __init__(self, *, use_case: str, **options: Any) -> None:
        super().__init__(**options)
        self.use_case = use_case

    def execute(self, context: Any) -> Any:
        """Go on at once if no rule asks, else show what failed and wait for one of the data owners."""
        from ml.config import load_settings

        settings, request = load_settings(), request_of(context)
        found = run_stage("pending_rules", self.use_case, request)
        if not found["rules"]:
            self.log.info("no rule asks for a data owner")
            return None
        if found["answer"]:
            return self._heed(found["answer"])
        self.response_timeout = timedelta(hours=settings.answer_hours)
        owners = sorted(settings.data_owner_names())
        self.assigned_users = [HITLUser(id=name, name=name) for name in owners] or None
        names = [rule["name"] for rule in found["rules"]]
        self.params["rule"] = Param(names[0], type="string", enum=names, title="Rule")
        until = (datetime.now(UTC) + timedelta(days=WAIVER_DAYS)).date().isoformat()
        self.params["until"] = Param(until, type="string", format="date", title="Until", description=UNTIL)
        page = (
            f"[What was found, and the same decision on a page](/tradewind/decide/{self.use_case}/{request['run_id']})"
        )
        self.body = "\n".join([self.body or "", "", *(f"- {rule['sentence']}" for rule in found["rules"]), "", page])
        return super().execute(context)

    def _heed(self, answer: dict[str, Any]) -> None:
        """Go on, or end the run, as an entry of the ledger says."""
        said = "{who} decided {kind}, ledger entry {entry}: {why}".format(**answer)
        if answer["kind"] != "accept":
            raise AirflowFailException(said)
        self.log.info(said)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer in the ledger, and end the run unless it was accepted."""
        from ml.pipeline.approval import NOBODY
        from ml.pipeline.decision import ANSWERS

        said = super().execute_complete(context, event)
        person, given, request = said["responded_by_user"], said["params_input"], request_of(context)
        kind = next(kind for kind, answer in ANSWERS.items() if [answer] == said["chosen_options"])
        target = {
            "kind": kind,
            "is_answer": True,
            "run": request["run_id"],
            "verdict": run_stage("pending_rules", self.use_case, request)["verdict"],
            **{name: given.get(name) for name in FIELDS.get(kind, ())},
            "reason": given.get("reason", "") if person else "no answer in time",
        }
        who = person["id"] if person else NOBODY
        once = f"{request['request']} {said['responded_at']}"
        done = run_stage("decide", self.use_case, {**request, "who": who, "request": once, "target": target})
        if kind not in ("accept", "waive"):
            raise AirflowFailException(done["sentence"])
        return done


class RunAgain(TriggerDagRunOperator):
    """Starts the retraining that a decision of this run asks for, once, as the ledger tells it; skipped where it asks for none."""

    def __init__(self, *, use_case: str, **options: Any) -> None:
        super().__init__(**options)
        self.use_case = use_case

    def execute(self, context: Any) -> Any:
        """Ask for what the newest decision's run was asked for; XCom is not read."""
        found = run_stage("rerun", self.use_case, request_of(context))
        self.conf, self.trigger_run_id = found["conf"], f"decided__{found['number']}"
        return super().execute(context)


def review(use_case: str) -> ReviewWhenAsked:
    """Return the step between validate and anonymise."""
    from ml.pipeline.decision import ANSWERS

    return ReviewWhenAsked(
        task_id=REVIEW_TASK,
        use_case=use_case,
        subject=f"May {use_case} learn from these data?",
        body="These rules do not hold, and ask for a data owner. Say why you decide so: it is kept, signed, in the ledger.",
        options=list(ANSWERS.values()),
        defaults=ANSWERS["reject"],
        params={
            "reason": Param(
                "", type="string", title="Reason", description="Kept in the ledger; one word is not enough."
            ),
            **rule_params("To waive, or whose rows to release."),
        },
        notifiers=TellPeople("data_ask", use_case),
    )


def run_again(use_case: str, **options: Any) -> RunAgain:
    """Return the task that starts the retraining which a decision asks for."""
    return RunAgain(
        task_id="again",
        use_case=use_case,
        trigger_dag_id=f"{RETRAIN}{use_case}",
        skip_when_already_exists=True,
        **options,
    )
