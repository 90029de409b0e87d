"""The dashboard as one ASGI application: our routes, the gate, and Streamlit behind it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from streamlit.runtime.pages_manager import PagesManager

from dashboard import health
from dashboard.access import show_error
from dashboard.api.app import Api
from dashboard.desk import open_desk
from dashboard.doors import security_headers, to_log
from dashboard.gate import Gate, SessionBook
from dashboard.login import Doorkeeper
from dashboard.navigation import PATHS
from dashboard.shell import shell_routes
from dashboard.wall import Wall
from jobs.core.db import Database
from jobs.core.jobs import load_jobs
from jobs.core.logs import get_logger
from jobs.core.settings import Settings

log = get_logger(__name__)
_HEAVY = ("pandas", "plotly.graph_objects", "dashboard.charts")


def build_app(settings: Settings, db: Database) -> st.App:
    """The whole dashboard; one a process, because Streamlit keeps one runtime a process."""
    open_desk(settings, db)
    # Streamlit guesses from a folder named `pages` that its older way is meant, in which a page runs without app.py;
    # it drops the guess only when app.py has run once, which the first visitor's deep link would not make it do.
    PagesManager.uses_pages_directory = False
    book = SessionBook(db)
    return st.App(
        Path(__file__).with_name("app.py"),
        routes=[
            *health.routes(settings, db),
            *Doorkeeper(settings, db, book).routes(),
            Api(settings, db, book).mount(),
            *Wall(settings, db).routes(),
            *shell_routes(PATHS),
        ],
        middleware=[Middleware(Gate, settings=settings, book=book)],
        lifespan=_lifespan,
        on_script_error=show_error,
        exception_handlers={Exception: _failed},
    )


def _failed(request: Request, error: Exception) -> Response:
    number = uuid4().hex[:8]
    log.error("a request failed", error_id=number, path=to_log(request.scope["path"]), exc_info=error)
    sentence = f"Something failed on our side. The log has the details under {number}."
    return PlainTextResponse(sentence, 500, headers=dict(security_headers(request.scope["path"])))


@asynccontextmanager
async def _lifespan(_app: st.App) -> AsyncIterator[dict[str, Any]]:
    # Imported before the first visitor comes, and then taken out of the collector's sight: Streamlit collects after
    # every rerun, and walking these modules' objects would take most of its time.
    for name in _HEAVY:
        import_module(name)
    load_jobs()
    gc.collect()
    gc.freeze()
    yield {}
