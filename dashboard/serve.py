"""Serves the dashboard until SIGTERM or Ctrl-C."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp

from checklists.load import definition_folders
from jobs.core.db import open_database, require_migrated
from jobs.core.errors import NexaError
from jobs.core.logs import get_logger
from jobs.core.sentry import start_sentry
from jobs.core.settings import Settings
from jobs.core.traces import start_traces

log = get_logger(__name__)
ROOT = Path(__file__).resolve().parents[1]
_MOST_MESSAGE_BYTES = 4 * 1024 * 1024


def serve(settings: Settings, port: int | None = None) -> None:
    """Blocks while the dashboard runs; raises NexaError if the port cannot be had."""
    with (
        listen(settings.dashboard_address, port or settings.dashboard_port) as listener,
        # Enough for fifty people who look at once: a connection beyond it is opened for one read and closed again.
        open_database(settings, pool_size=20) as db,
    ):
        require_migrated(db)
        definition_folders()  # remembered while the .env that names them is in reach
        # Streamlit looks for .streamlit/config.toml in the working directory, wherever we were started from.
        os.chdir(ROOT)
        start_traces(settings, component="dashboard")
        start_sentry(settings, component="dashboard")
        from dashboard.asgi import build_app  # noqa: PLC0415 - other commands must not pay for Streamlit

        host, bound = listener.getsockname()[:2]
        log.info("dashboard listens", address=f"http://{host}:{bound}")
        for number in (signal.SIGTERM, signal.SIGINT):
            # uvicorn shuts down and then raises the signal again: ours leaves through the blocks around it.
            signal.signal(number, _leave)
        server(build_app(settings, db)).run(sockets=[listener])


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def listen(address: str, port: int) -> socket.socket:
    """A listening socket; bound before anything else starts, so that a taken port is said at once."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Named as TCP, for asyncio takes Nagle's algorithm off such sockets only: with it, what a page sends after its first
    # message waits until the browser has acknowledged that one, which it puts off for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "another program uses it" if taken else (error.strerror or str(error)).lower()
        raise NexaError(
            f"The dashboard cannot listen on {address}:{port}: {reason}; choose another with --port."
        ) from error
    return listener


def server(app: ASGIApp) -> uvicorn.Server:
    """uvicorn around the application, with open WebSockets given two seconds at the end."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws_max_size=_MOST_MESSAGE_BYTES,
            timeout_graceful_shutdown=2,
        )
    )
