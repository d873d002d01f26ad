"""Serves the data report, in the reader's language."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from ml.config import Settings
from ml.desk.access import may_read
from ml.desk.data_report import data_page
from ml.desk.data_trend import trend, trend_picture
from ml.desk.page import Show
from ml.desk.run_list import airflow_page


def data_reports(settings: Settings, show: Show) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/data/{use_case}/{run}")
    def data(
        request: Request,
        use_case: Annotated[str, Depends(may_read)],
        run: str,
        table: str | None = None,
        columns: Literal["all"] | None = None,
        page: Annotated[int, Query(ge=1)] = 1,
    ) -> Response:
        found = data_page(settings, use_case, run, page, table, are_all_columns=columns == "all")
        runs = trend(settings, use_case, run, found.report)
        return show(
            request,
            "data_report.html.j2",
            name=use_case,
            run=run,
            page=found,
            trend=runs,
            trend_picture=trend_picture(runs),
            airflow=airflow_page(use_case, run),
        )

    return router
