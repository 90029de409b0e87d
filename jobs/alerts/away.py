"""A worker that cannot reach the database tells the team by itself, because everything else that tells needs it.

From memory, without the outbox, once when it has been away for a minute and once when it is back. Each worker says which
host it is: one that is cut off is not the database that is down.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from jobs.alerts.notices import RETRIES
from jobs.core.logs import get_logger
from jobs.core.settings import Settings
from jobs.probes.attention import span
from jobs.run.backoff import FIRST_S, MOST_S, retry_after_s

log = get_logger(__name__)
LOOK_S = 10.0
PATIENCE_S = 60.0


@dataclass
class Outage:
    """For how long the database has been away, by a clock that only goes forward; pure but for its memory."""

    since: float | None = None
    told: bool = False
    lasted_s: float = field(default=0.0, init=False)

    def see(self, *, answers: bool, now: float) -> str | None:
        """What is to be told now, `away` or `back`, once each; None: nothing."""
        if answers:
            back, self.told = self.told, False
            self.lasted_s = 0.0 if self.since is None else now - self.since
            self.since = None
            return "back" if back else None
        self.since = now if self.since is None else self.since
        if self.told or now - self.since < PATIENCE_S:
            return None
        self.told = True
        return "away"


@dataclass
class _Owed:
    """What a channel has not taken yet, and when it is tried again."""

    title: str
    body: str
    attempts: int = 0
    next_at: float = 0.0


class DatabaseWatch:
    """Looks whether the database answers, on a connection of its own; `step` is for a loop."""

    def __init__(self, settings: Settings, conninfo: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._conninfo = conninfo
        self._clock = clock
        self._outage = Outage()
        self._host = socket.gethostname()
        self._owed: dict[str, _Owed] = {}

    def step(self) -> None:
        """One look; tells the channels what they are owed, each as often as the outbox would."""
        match self._outage.see(answers=self._answers(), now=self._clock()):
            case "away":
                self._owe(
                    f"Critical: the worker on {self._host} cannot reach the database",
                    f"For {span(PATIENCE_S)} it has not answered: nothing is settled there, and no alert is evaluated."
                    " What is told now comes from this worker alone; it says when the database is back.",
                )
            case "back":
                self._owe(
                    f"Over: the worker on {self._host} reaches the database again",
                    f"It was away for {span(self._outage.lasted_s)}.",
                )
        if self._owed:
            self._tell()

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self._conninfo) as conn:
                conn.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _owe(self, title: str, body: str) -> None:
        # Apprise is 0.2 s of imports, which a worker whose database never goes away has not to pay.
        from jobs.alerts.channels import channels_of  # noqa: PLC0415

        self._owed = {channel.name: _Owed(title, body) for channel in channels_of(self._settings)}

    def _tell(self) -> None:
        from jobs.alerts.channels import find_channel  # noqa: PLC0415

        for name, owed in list(self._owed.items()):
            if self._clock() < owed.next_at:
                continue
            channel = find_channel(self._settings, name)
            why = channel.send(owed.title, owed.body) if channel is not None else None
            if why is None:
                del self._owed[name]
                continue
            owed.attempts += 1
            wait_s = retry_after_s(attempt=owed.attempts, retries=RETRIES, first_s=FIRST_S, most_s=MOST_S)
            if wait_s is None:
                del self._owed[name]
                log.error("a channel did not take it, and it is given up", channel=name, why=why)
            else:
                owed.next_at = self._clock() + wait_s
                log.warning("a channel did not take it; trying again", channel=name, why=why)
