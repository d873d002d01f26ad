"""What a person sees and fills in at a retraining DAG of Airflow: the trigger form, the documentation, the approval step."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.execution_time.hitl import HITLUser
from tradewind_notify import TellPeople
from tradewind_tasks import APPROVAL_TASK, AS_SET, request_of, run_stage

from ml.sources.source import KINDS as SOURCES

if TYPE_CHECKING:
    from pydantic import BaseModel

APPROVE, REJECT = "Approve", "Reject"
RETRAIN = "retrain_"
DIGEST = "^sha256:[0-9a-f]{64}$"
STORAGE_ID = "^[A-Za-z0-9][A-Za-z0-9._~=-]{0,199}$"
NUMBERS = {"integer": int, "number": float}
UNTIL = "Last day a waiver or release counts; 90 days at most."
ROWS = "For release_rows: their numbers on the page of rows set aside, such as 1, 3-5. Empty means all."


class ApproveWhenRequired(HITLOperator):
    """Waits for a person only where the run's parameters ask for it; no answer in time is a rejection.

    Question and answer become signed entries of the ledger, and `promote` reads these alone: this task's state and XCom prove
    nothing. A rejection does not skip what follows: `promote` publishes the version, and moves nothing.
    """

    def execute(self, context: Any) -> Any:
        """Go on at once if nobody is asked, else show the gate's verdict and wait for one of the approvers."""
        from ml.config import load_settings

        settings, use_case, request = load_settings(), _use_case(context), request_of(context)
        if not run_stage("approval_required", use_case, request)["required"]:
            self.log.info("nobody is asked: neither the form nor params.yaml requires an approval")
            return None
        asked = run_stage("ask_approver", use_case, request)
        self.response_timeout = timedelta(hours=settings.answer_hours)
        self.assigned_users = [HITLUser(id=name, name=name) for name in sorted(settings.approver_names())] or None
        self.body = f"{self.body}\n\n{_question(use_case, request['run_id'], asked)}"
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer in the ledger; its author is whom Airflow's API server authenticated."""
        said = super().execute_complete(context, event)
        request, person = request_of(context), said["responded_by_user"]
        answer = {
            "choice": next(iter(said["chosen_options"]), None),
            "by": person["id"] if person else None,
            "at": str(said["responded_at"]),
            "reason": said["params_input"].get("reason"),
        }
        once = f"{request['request']} {APPROVAL_TASK} {said['responded_at']}"
        kept = {**request, "run": request["request"], "request": once, "answer": answer}
        return run_stage("record_answer", _use_case(context), kept)


def _use_case(context: Any) -> str:
    return str(context["dag"].dag_id.removeprefix(RETRAIN))


def approval(use_case: str) -> ApproveWhenRequired:
    """Return the step between package and promote."""
    return ApproveWhenRequired(
        task_id=APPROVAL_TASK,
        subject=f"Promote this {use_case} version to production?",
        body="The gate accepted this version. Say why you approve or reject it: the reason is kept in the ledger.",
        options=[APPROVE, REJECT],
        defaults=REJECT,
        params={"reason": Param("", type="string", title="Reason", description="Kept in the ledger.")},
        notifiers=TellPeople("version_asks", use_case),
    )


def _question(use_case: str, run: str, asked: dict[str, Any]) -> str:
    """Return the version and the gate's verdict as Markdown, with links to the pages that show all of it."""
    rules = [f"- {'passed' if rule['passed'] else 'FAILED'}: {rule['sentence']}" for rule in asked["rules"]]
    pages = {"gate report": f"gate/{use_case}/{run}", "model card": f"report/{use_case}/{run}/explain/card.html"}
    links = " · ".join(f"[{title}](/tradewind/{page})" for title, page in pages.items())
    named = f"Version `{asked['version']}`, verdict `{asked['gate']}`: your answer is about these bytes."
    return "\n".join([asked["summary"], "", *rules, "", named, "", links])


def params(use_case: str) -> dict[str, Param]:
    """Return the typed fields of the trigger form; an empty field means what `params.yaml` says."""
    fixed = {
        "as_of": Param(
            None, type=["null", "string"], format="date", title="As-of date", description="Read data up to this day."
        ),
        "source": Param(
            AS_SET,
            type="string",
            enum=[AS_SET, *SOURCES],
            title="Source",
            description="Where the shop's data come from.",
        ),
        "source_location": Param(
            None,
            type=["null", "string"],
            title="Source location",
            examples=place_names(),
            description="Name of a place that the operator configured, for the sources files and sql; no other is read.",
        ),
        "source_mapping": Param(
            None,
            type=["null", "string"],
            title="Source mapping",
            description="Path of the column mapping [YAML], below the location.",
        ),
        "approval": Param(
            AS_SET,
            type="string",
            enum=[AS_SET, "required"],
            title="Approval",
            description="Ask a person before going live, also where params.yaml does not? Where it does, a person is asked.",
        ),
    }
    return {**fixed, **_train_params(use_case)}


def place_names() -> list[str]:
    """Return the names of the places that a source may be read from, as `TRADEWIND_SOURCE_LOCATIONS` lists them."""
    from ml.config import load_settings

    return sorted(load_settings().source_locations)


def _train_params(use_case: str) -> dict[str, Param]:
    """Return one optional field for each numeric training parameter, with its range."""
    from ml.use_cases import load

    section = cast("type[BaseModel]", load(use_case).params.model_fields["train"].annotation)
    schema = section.model_json_schema()["properties"]
    return {
        f"train_{name}": Param(
            None,
            type=["null", field["type"]],
            title=f"train.{name}",
            description=f"{field.get('description', '')} Empty means {field.get('default')} or what params.yaml says.".strip(),
            **_range(field),
        )
        for name, field in schema.items()
        if field.get("type") in NUMBERS
    }


def _range(field: dict[str, Any]) -> dict[str, Any]:
    names = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return {name: field[name] for name in names if name in field}


def release_params() -> dict[str, Param]:
    """Return the fields of the release form."""
    return {
        "action": Param(
            "rollback",
            type="string",
            enum=["rollback", "promote"],
            title="Action",
            description="rollback: to a version that was live before. promote: one the registry holds, such as a rejected one.",
        ),
        "digest": Param(
            type="string",
            pattern=DIGEST,
            title="Version",
            description="Its digest, as the history shows it.",
        ),
        "channel": Param(
            "production",
            type="string",
            pattern="^[a-z][a-z0-9-]{0,39}$",
            title="Channel",
            description="production, candidate, or another name.",
        ),
        "reason": Param(type="string", minLength=8, title="Reason", description="Kept in the ledger."),
    }


def decision_params() -> dict[str, Param]:
    """Return the fields of a data owner's decision; the pages of Tradewind fill them."""
    from ml.pipeline.decision import KINDS, REASON_LENGTH

    return {
        "kind": Param(
            "waive",
            type="string",
            enum=list(KINDS),
            title="Decision",
            description="waive: a rule does not refuse until the day. release: its rows pass until the day. release_rows: the "
            "very rows that it set aside in this run pass. end: none of it any more. reject: nothing learned from these data "
            "goes live. accept: the data are right as they are.",
        ),
        "run": Param(
            type="string", pattern=STORAGE_ID, title="Run", description="Whose report was read, as in its page."
        ),
        "verdict": Param(type="string", pattern=DIGEST, title="Verdict", description="Digest of that run's verdict."),
        **rule_params("For waive, both releases and end."),
        "reason": Param(type="string", minLength=REASON_LENGTH, title="Reason", description="Kept in the ledger."),
    }


def rule_params(rule: str) -> dict[str, Param]:
    """Return the fields that say which rule a decision is about, until when it counts and for which rows."""
    optional: dict[str, Any] = {"type": ["null", "string"]}
    return {
        "rule": Param(None, **optional, title="Rule", description=rule),
        "until": Param(None, **optional, format="date", title="Until", description=UNTIL),
        "rows": Param(None, **optional, title="Rows", description=ROWS),
    }


def documentation(use_case: str) -> str:
    """Return the retraining DAG's documentation panel in Markdown."""
    from ml.use_cases import load

    record = load(use_case)
    return f"""### {record.title}
{record.description}

**What runs.** ingest → validate → review → anonymise → features → train → compress → evaluate → explain → package →
approve → promote → serve. Each task runs one DVC stage in a workspace of its own and hands over through the
object store, so any task can be cleared and run again.

**When it fails.** *validate* refuses when a blocking data rule failed, *evaluate* when the gate refused the
candidate: both leave production as it was, and the *Tradewind* tab of the run shows why. A skipped *promote*
means that this very version is live already.

**When it waits.** *review* waits for a data owner where a rule that `checks.approve` names failed, *approve* for an
operator where the form or `params.yaml` says so. No answer in time is a rejection.

**By hand.** Trigger with a form: as-of date, source, approval, and training overrides within their ranges.
"""


def monitoring_documentation(use_case: str) -> str:
    """Return the monitoring DAG's documentation panel in Markdown."""
    return f"""### Watching {use_case}
Compares the features and scores of recent requests with the profile of the version that is live, and the outcomes
that have arrived with its promised quality.

**retrain**: the task succeeds and updates the asset `{use_case}_drift`, which starts `retrain_{use_case}`.
**wait**: nothing to do or too few requests; the task is skipped. **data incident**: the task fails; look at the report.
"""


def release_documentation(use_case: str) -> str:
    """Return the release DAG's documentation panel in Markdown."""
    return f"""### Moving {use_case} by hand
**rollback** puts a version back that was live before; **promote** makes one live that the registry holds already, such as
one that was rejected or that waits on another channel. Both go through the same door as a retraining: signature and
gate report are checked, the version is loaded, its golden requests are replayed, then the ledger gets an entry with
your name and reason, and the channel moves. A promotion is refused when production is no longer what the gate compared with.
"""


def maintenance_documentation() -> str:
    """Return the maintenance DAG's documentation panel in Markdown."""
    return """### Maintenance of the installation
*audit* verifies every ledger. *versions*, *runs*, *objects*, *reports* and *requests* remove what no retention keeps; the
first four are not run while a ledger does not verify. *airflow* cleans Airflow's database and task logs, *machine* looks at
free space and certificates. *summary* writes the report, which the *Tradewind* tab shows, and notifies people of faults and
warnings. Each task acts as its own S3 user. A task that was killed goes on when it is cleared; running twice is harmless.

**By hand.** Trigger with `dry_run` to log what would be removed, or call `tradewind maintain --dry-run`.
"""


def decision_documentation(use_case: str) -> str:
    """Return the deciding DAG's documentation panel in Markdown."""
    return f"""### Deciding about the data of {use_case}
Started by the data owner's page of a run, which fills the form. The decision is checked (who decides, whether the verdict is the
one that was seen, whether the form was used before), signed and kept in the ledger. A waiver of a refusing rule, and a release
of rows, then start `retrain_{use_case}` with what the run was asked for.
"""
