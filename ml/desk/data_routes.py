"""Serves the data report, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ml.config import Settings
from ml.desk.access import may_read
from ml.desk.data_report import data_page
from ml.desk.language import LANGUAGES, choose
from ml.desk.run_list import airflow_page

Show = Callable[..., Response]


def data_reports(settings: Settings, show: Show) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/data/{use_case}/{run}")
    def data(
        request: Request,
        use_case: Annotated[str, Depends(may_read)],
        run: str,
        lang: str | None = None,
        table: str | None = None,
        page: Annotated[int, Query(ge=1)] = 1,
    ) -> Response:
        found = data_page(settings, use_case, run, page, table)
        language = choose(lang, request.headers.get("accept-language", ""))
        return show(
            request,
            "data_report.html.j2",
            name=use_case,
            run=run,
            page=found,
            language=language,
            languages=LANGUAGES,
            link=_linker({"lang": language.code, "table": table}),
            airflow=airflow_page(use_case, run),
        )

    return router


def _linker(kept: dict[str, Any]) -> Callable[..., str]:
    """Return what makes a query that keeps the reader's choices but for those given."""

    def link(**changed: Any) -> str:
        return "?" + urlencode({name: value for name, value in {**kept, **changed}.items() if value is not None})

    return link
