"""Serves what there is about one version, and about two beside each other."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from ml.config import Settings
from ml.desk import document
from ml.desk.access import may_read
from ml.desk.compare_picture import change_picture, part_pictures
from ml.desk.compare_view import compare_page
from ml.desk.live_view import run_of
from ml.desk.page import HEADERS, Show, language_of, sent
from ml.desk.version_view import version_page

UseCaseName = Annotated[str, Depends(may_read)]


def versions(settings: Settings, show: Show) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    _documents(router, settings, show)

    @router.get("/version/{use_case}/{digest}")
    def version(request: Request, use_case: UseCaseName, digest: str) -> Response:
        return show(request, "version.html.j2", name=use_case, page=version_page(settings, use_case, digest))

    @router.get("/compare/{use_case}")
    def comparison(request: Request, use_case: UseCaseName, one: str = "", other: str = "") -> Response:
        page, language = compare_page(settings, use_case, one or None, other or None), language_of(request)
        drawn = page.found and {
            "change": change_picture(page.found, language),
            "parts": part_pictures(page.found, language),
        }
        return show(request, "compare.html.j2", has_form=True, name=use_case, page=page, drawn=drawn)

    return router


def _documents(router: APIRouter, settings: Settings, show: Show) -> None:
    @router.get("/version/{use_case}/{digest}/card")
    def card(use_case: UseCaseName, digest: str) -> Response:
        return sent(document.card(settings, use_case, digest, run_of(settings, use_case, digest)))

    @router.get("/version/{use_case}/{digest}/gate")
    def gate(request: Request, use_case: UseCaseName, digest: str) -> Response:
        judged = document.gate(settings, use_case, digest, run_of(settings, use_case, digest))
        return show(request, "gate.html.j2", name=use_case, judged=judged, run=None, digest=digest)

    @router.get("/version/{use_case}/{digest}/record")
    def record(use_case: UseCaseName, digest: str) -> Response:
        return JSONResponse(
            document.record(settings, use_case, digest, run_of(settings, use_case, digest)), headers=HEADERS
        )
