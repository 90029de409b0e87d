"""The command `nexaops dashboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from dashboard.serve import serve
from jobs.core.logs import configure_logging
from jobs.core.settings import load_settings


def dashboard(
    port: Annotated[int | None, typer.Option(help="The port to listen on; NEXAOPS_DASHBOARD_PORT otherwise.")] = None,
) -> None:
    """Serve the dashboard."""
    settings = load_settings()
    configure_logging(settings, component="dashboard")
    serve(settings, port)
