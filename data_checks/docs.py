"""Builds Great Expectations' Data Docs so that they open anywhere: no script, no request to another host.

The site, its pages and their order are Great Expectations' own; the views use our templates in place of
those that load styles and scripts from content delivery networks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.resource_identifiers import (
    ExpectationSuiteIdentifier,
    ValidationResultIdentifier,
)
from great_expectations.render.view.view import DefaultJinjaIndexPageView, DefaultJinjaPageView
from jinja2 import ChoiceLoader, FileSystemLoader

from data_checks.runner import Documents
from ml.contract import Rule, Verdict
from ml.files import write_bytes

ASSETS = Path(__file__).with_name("assets")
PAGES = 40  # partitions documented; more make the index slow to open
MARK = "<!--verdict-->"
SITE = "validation"


class _OurTemplates:
    """Puts our templates before Great Expectations' own of the same name."""

    env: Any

    def use_our_templates(self) -> None:
        self.env.loader = ChoiceLoader([FileSystemLoader(ASSETS), self.env.loader])


class Page(_OurTemplates, DefaultJinjaPageView):  # type: ignore[misc]  # the base has no types
    """A page on one partition or one suite."""

    def __init__(self, **directories: Any) -> None:
        super().__init__(**directories)
        self.use_our_templates()


class IndexPage(_OurTemplates, DefaultJinjaIndexPageView):  # type: ignore[misc]  # the base has no types
    """The page that lists the others."""

    def __init__(self, **directories: Any) -> None:
        super().__init__(**directories)
        self.use_our_templates()


def write_docs(folder: Path, documents: Documents, verdict: Verdict, as_of: datetime) -> None:
    """Write the site: the verdict and an index, a page for each table's rules and for the partitions that matter most.

    Args:
        folder: Receives `index.html` and what it links to.
        documents: Masked results.
        verdict: Shown on top of the index.
        as_of: The run's date, by which the pages are labelled.
    """
    context = documents.context
    for suite in documents.suites.values():
        context.suites.add(suite.definition)
    run_id = RunIdentifier(run_name=as_of.date().isoformat(), run_time=as_of.replace(tzinfo=UTC))
    for table, partition in _chosen(documents):
        key = ValidationResultIdentifier(ExpectationSuiteIdentifier(table), run_id, partition)
        context.validation_results_store.set(key, _named(documents.results[table, partition], partition, run_id))
    context.add_data_docs_site(SITE, _site(folder))
    context.build_data_docs(site_names=[SITE])
    shutil.rmtree(folder / "static", ignore_errors=True)  # fonts and pictures that our templates do not use
    index = (folder / "index.html").read_text()
    write_bytes(folder / "index.html", index.replace(MARK, _verdict_html(verdict)).encode())


def _chosen(documents: Documents) -> list[tuple[str, str]]:
    """Return the partitions to document: failed ones first, then the newest."""
    by_need = sorted(documents.results, key=lambda key: key[1], reverse=True)
    by_need.sort(key=lambda key: bool(documents.results[key].success))
    return sorted(by_need[:PAGES])


def _named(result: Any, partition: str, run_id: RunIdentifier) -> Any:
    """Say which partition a result is about; leave out what else the library notes of the batch."""
    result.meta = {
        "great_expectations_version": result.meta.get("great_expectations_version"),
        "batch_kwargs": {"data_asset_name": partition},
        "run_id": run_id.to_json_dict(),
    }
    return result


def _site(folder: Path) -> dict[str, Any]:
    def view(name: str) -> dict[str, str]:
        return {"module_name": __name__, "class_name": name}

    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": view("IndexPage")},
        "site_section_builders": {
            "expectations": {"view": view("Page")},
            "validations": {"view": view("Page")},
            "profiling": "None",
        },
    }


def _verdict_html(verdict: Verdict) -> str:
    """Return the verdict in words; what failed is open, what passed is folded."""
    state, word = ("good", "Accepted") if verdict.accepted else ("bad", "Refused")
    failed = sorted((rule for rule in verdict.rules if not rule.passed), key=_urgency)
    passed = [rule for rule in verdict.rules if rule.passed]
    return (
        f'<section class="verdict {state}"><h1>{word}</h1><p>{escape(verdict.summary)}</p>{_rules_html(failed)}'
        f"<details><summary>{len(passed)} rules hold</summary>{_rules_html(passed)}</details></section>"
    )


def _rules_html(rules: Iterable[Rule]) -> str:
    rows = "".join(_rule_html(rule) for rule in rules)
    head = "<thead><tr><th>Result</th><th>Rule</th><th>What was seen</th></tr></thead>"
    return f'<table class="table">{head}<tbody>{rows}</tbody></table>' if rows else ""


def _urgency(rule: Rule) -> int:
    return ("block", "quarantine", "warn").index(rule.severity)


def _rule_html(rule: Rule) -> str:
    mark = "good" if rule.passed else {"block": "bad", "quarantine": "aside", "warn": "warn"}[rule.severity]
    word = (
        "passed" if rule.passed else {"block": "refused", "quarantine": "set aside", "warn": "warning"}[rule.severity]
    )
    cells: Iterable[str] = (
        f'<span class="mark {mark}">{word}</span>',
        f"<code>{escape(rule.name)}</code>",
        escape(rule.sentence),
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
