"""Statements that take minutes, and end when their run is to stop.

A run learns that it has to stop by asking; a thread that waits for PostgreSQL asks nothing. So another one asks for it,
and cancels what the connection is doing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

LOOK_S = 0.5


class Stopped(Exception):
    """The run was asked to stop, and did; caught by the job that began it."""


@contextmanager
def heeding(conn: psycopg.Connection[Any], should_stop: Callable[[], bool]) -> Iterator[None]:
    """Cancels the statement under way on `conn` once the run is to stop; the block then ends with Stopped."""
    over, cut = threading.Event(), threading.Event()

    def watch() -> None:
        # Again and again: a wish that comes between two statements must end the second one.
        while not over.wait(LOOK_S):
            if should_stop():
                cut.set()
                with suppress(psycopg.Error):
                    conn.cancel_safe()

    watcher = threading.Thread(target=watch, name="heeding", daemon=True)
    watcher.start()
    try:
        yield
    except psycopg.errors.QueryCanceled as error:
        if cut.is_set():
            raise Stopped from error
        raise
    finally:
        over.set()
        watcher.join()
