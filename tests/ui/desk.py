"""Runs a page as somebody, without a server."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from streamlit.testing.v1 import AppTest

from dashboard import queries
from dashboard.desk import open_desk
from jobs.core.db import Database
from jobs.core.settings import Settings

FOLDER = Path(__file__).parents[2] / "dashboard"


def run_page(db: Database, settings: Settings, name: str, person: UUID | None, /, **query: str) -> AppTest:
    """The page `dashboard/pages/<name>.py`, or the whole frame for "app", as this person sees it."""
    open_desk(settings, db)
    queries.forget()
    file = FOLDER / "app.py" if name == "app" else FOLDER / "pages" / f"{name}.py"
    page = AppTest.from_file(str(file), default_timeout=20)
    page.user = {"person": str(person)} if person is not None else {}
    for key, value in query.items():
        page.query_params[key] = value
    return page.run()


def seen(page: AppTest) -> str:
    """Everything the page says, markup and all."""
    said = [element.proto.body for element in page.get("html")]
    said += [str(element.value) for element in [*page.error, *page.markdown, *page.warning]]
    return "\n".join(said)
