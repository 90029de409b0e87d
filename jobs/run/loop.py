"""A thread that does one thing again and again, and that a database which goes away does not end.

The first failure is one line, the return is one line; what lies between is silence and another try.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jobs.core.db import first_line
from jobs.core.logs import get_logger

log = get_logger(__name__)

# The database does not answer, or not now: the same statement may work the next time.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeout)
DATABASE_ERRORS = (DBAPIError, PoolTimeout, psycopg.Error)


class Loop:
    """Calls `step` every `every_s` seconds, the first time at once, until told to stop."""

    def __init__(self, name: str, every_s: float, step: Callable[[], object]) -> None:
        self.name = name
        self._every_s = every_s
        self._step = step
        self._stop = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float = 5.0) -> None:
        """Asks the thread to end and waits for it."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._step()
            except DATABASE_ERRORS as error:
                self._failed(first_line(error))
            except Exception as error:  # noqa: BLE001 - the thread must survive whatever a step does
                self._failed(f"{type(error).__name__}: {error}", exc_info=not self._failing)
            else:
                if self._failing:
                    self._failing = False
                    log.info("works again", loop=self.name)
            self._stop.wait(self._every_s)

    def _failed(self, reason: str, *, exc_info: bool = False) -> None:
        if not self._failing and not self._stop.is_set():
            self._failing = True
            log.error("fails, and tries again", loop=self.name, reason=reason, exc_info=exc_info)
