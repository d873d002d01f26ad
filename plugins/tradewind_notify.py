"""Airflow's notifier that tells people what was refused, moved, drifted, or waits for them."""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException
from tradewind_tasks import request_of, run_stage

WAYS = ("TRADEWIND_NOTIFY_WEBHOOK", "TRADEWIND_NOTIFY_SMTP")


class TellPeople(BaseNotifier):
    """Tells of one event of one use case, in a process of its own; a message that cannot be sent fails nothing."""

    def __init__(self, event: str, use_case: str) -> None:
        super().__init__()
        self.event = event
        self.use_case = use_case

    def notify(self, context: Any) -> None:
        """Send the message, where somebody wants messages; a worker knows that itself."""
        from ml.stack.call import has_workers

        if not has_workers(os.environ) and not any(os.environ.get(name) for name in WAYS):
            return
        try:
            run_stage("notify", self.use_case, {**request_of(context), "event": self.event})
        except AirflowException as error:
            self.log.warning("nobody was told event=%s: %s", self.event, error)
