"""What a person does in a browser: logs in, and fills what Airflow shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESK = "/tradewind/"


def signed_in(chromium: Browser, url: str, login: str, password: str, **options: Any) -> Page:
    """Return a tab in which a person has logged in, and sees the desk."""
    tab = chromium.new_context(base_url=url, **options).new_page()
    tab.goto(DESK)
    tab.fill("input[name=username]", login)
    tab.fill("input[name=password]", password)
    tab.click("button[type=submit]")
    tab.wait_for_url(f"**{DESK}")
    return tab


def trigger(tab: Page, dag_id: str, chosen: Mapping[str, str], typed: Mapping[str, str]) -> str:
    """Start a run with Airflow's form and return its id.

    Args:
        tab: Of who may trigger.
        dag_id: The DAG.
        chosen: What is picked in lists, by parameter.
        typed: What is typed into fields, by parameter.
    """
    tab.goto(f"/dags/{dag_id}")
    tab.get_by_role("button", name="Trigger").first.click()
    form = tab.get_by_role("dialog")
    for name, value in typed.items():
        form.locator(f"#element_{name}").fill(value)
    for name, value in chosen.items():
        box = form.locator(f"div:has(> input[name=element_{name}])").get_by_role("combobox")
        box.fill(value)
        box.press("Enter")
    form.get_by_test_id("trigger-dag-submit").click()
    tab.wait_for_url(re.compile("/runs/"))
    return unquote(tab.url.partition("/runs/")[2].partition("/")[0])


def answer(tab: Page, dag_id: str, run_id: str, task: str, choice: str, reason: str) -> None:
    """Answer a step that waits for a person, with its form."""
    tab.goto(f"/dags/{dag_id}/runs/{quote(run_id)}/tasks/{task}/required_actions")
    tab.locator("#element_reason").fill(reason)
    with tab.expect_response(
        lambda response: response.url.endswith("/hitlDetails") and response.request.method == "PATCH"
    ):
        tab.get_by_test_id(f"hitl-option-{choice}").click()


def order(tab: Page, button: str, reason: str) -> None:
    """Give a reason in the desk's form with that button, send it, and wait until it was carried out."""
    pressed = tab.get_by_role("button", name=button, exact=True)
    tab.locator("form").filter(has=pressed).get_by_label("Why").fill(reason)
    pressed.click()
    tab.get_by_text("Done.").wait_for(timeout=60_000)
