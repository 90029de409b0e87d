"""Watches over one run that a child executes: saves what it says, beats for it, and ends it when it has to end.

It is the worker that beats, and the worker that judges: a function that blocks, takes all the memory or stops its own
process cannot keep either from happening. Whoever is told to stop has STOP_GRACE_S to do so; then its process is killed
with all that it started.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import func, select, update

from jobs.core import traces
from jobs.core.db import Database, first_line, jsonb
from jobs.core.flags import Flag, read_flags
from jobs.core.jobs import Job
from jobs.core.logs import get_logger
from jobs.run.child import Ended, Order
from jobs.run.children import Child, Died
from jobs.run.context import News
from jobs.run.ends import End, Stop, died, killed, stopped, too_large
from jobs.run.loop import DATABASE_AWAY
from jobs.run.store import RUNS, RunRow, add_logs

log = get_logger(__name__)

TICK_S = 0.8  # a switch or a stop acts within a second
BEAT_S = 10.0
STOP_GRACE_S = 10.0  # for a function that has been told to stop


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that is ours now, with its limits."""

    row: RunRow
    job: Job
    timeout_s: int
    memory_mb: int


class Supervisor:
    """Of one run; not for several threads."""

    def __init__(self, db: Database, claim: Claim, child: Child) -> None:
        self._db = db
        self._claim = claim
        self._child = child
        self.news = News(claim.row.counters)
        """What has not been saved yet."""
        self._stop: Stop | None = None
        self._must_end = float("inf")
        self._began = self._beaten = time.monotonic()
        self._away = False

    def watch(self, shutdown: threading.Event | None, follow: Callable[[News], None] | None) -> End:
        """Has the run executed and returns how it ended; calls `follow` at every look."""
        traceparent = traces.headers().get(traces.TRACEPARENT)
        self._child.order(Order(self._claim.row, self._claim.job.function.__module__, traceparent))
        look_at = self._began + TICK_S
        try:
            while True:
                heard = self._child.hear(max(0.0, look_at - time.monotonic()))
                if isinstance(heard, Ended):
                    self.news = self.news.then(heard.news)
                    return self._ended(heard)
                if heard is not None:
                    self.news = self.news.then(heard)
                if (now := time.monotonic()) < look_at:
                    continue
                look_at = now + TICK_S
                if (end := self._look(now, leaving=shutdown is not None and shutdown.is_set())) is not None:
                    return end
                if follow is not None:
                    follow(self.news)
        except Died as error:
            return died(error.code)

    def _ended(self, ended: Ended) -> End:
        # A function that fails while it stops has failed; one that never looked has finished.
        if ended.end.state == "succeeded" and self._stop is not None and ended.heeded:
            return stopped(self._stop)
        return ended.end

    def _look(self, now: float, *, leaving: bool) -> End | None:
        used = self._child.memory_mb()
        if used > self._claim.memory_mb:
            self._put_an_end(politely=False)
            return too_large(used, self._claim.memory_mb)
        if now >= self._must_end and self._stop is not None:
            self._put_an_end(politely=True)
            return killed(self._stop, STOP_GRACE_S)
        wish = self._pulse(now) or self._own_wish(now, leaving=leaving)
        if wish is not None and self._stop is None:
            self._stop, self._must_end = wish, now + STOP_GRACE_S
            self._child.tell(wish)
        return None

    def _own_wish(self, now: float, *, leaving: bool) -> Stop | None:
        if leaving:
            return Stop("stopped", "Its process was shut down.", again=True)
        limit = self._claim.timeout_s
        # It is told a little before its time is up, so that it can end properly.
        if now >= self._began + limit - min(5.0, limit / 10):
            return Stop("timed_out", f"Its time limit of {limit} s was reached.")
        return None

    def _put_an_end(self, *, politely: bool) -> None:
        for last in self._child.put_an_end(politely=politely):
            self.news = self.news.then(last)

    def _pulse(self, now: float) -> Stop | None:
        """Saves what is new, beats, and returns the wish to stop if somebody has it."""
        beat = now - self._beaten >= BEAT_S
        try:
            wish = self._save(beat=beat)
        except DATABASE_AWAY as error:
            # The run goes on, and whether it is lost is decided when the database is back.
            if not self._away:
                log.warning("a run cannot beat", reason=first_line(error))
            self._away = True
            return None
        self._away = False
        self._beaten = now if beat else self._beaten
        self.news = replace(self.news, changed=False, lines=())
        return wish

    def _save(self, *, beat: bool) -> Stop | None:
        run, news = self._claim.row, self.news
        ours = (RUNS.c.id == run.id, RUNS.c.state == "running", RUNS.c.attempt_token == run.attempt_token)
        with self._db.begin() as conn:
            add_logs(conn, run.id, news.lines)
            if news.changed or beat:
                statement = update(RUNS).where(*ours).values(**progress(news), beat_at=func.clock_timestamp())
                row = conn.execute(statement.returning(RUNS.c.stop_by)).one_or_none()
            else:
                row = conn.execute(select(RUNS.c.stop_by).where(*ours)).one_or_none()
            flags = read_flags(conn)
        if row is None:
            return Stop("lost", "The run was given up: it had not beaten for too long.")
        if row.stop_by is not None:
            return Stop("stopped", f"Stopped by {row.stop_by}.")
        flag = self._claim.job.flag
        if flag is not None and not flags.get(flag, True):
            return Stop("stopped", f"The flag {flag.value} was switched off.")
        if flags.get(Flag.DRY_RUN, False) and not run.dry_run:
            return Stop("stopped", "The flag dryRun was switched on while this run was writing.")
        return None


def progress(news: News) -> dict[str, object]:
    """How far a run is, as columns of its row."""
    return {
        "counters": jsonb(dict(news.counters)),
        "progress_done": news.done,
        "progress_total": news.total,
    }
