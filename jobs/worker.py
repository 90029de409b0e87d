"""A worker: takes runs from the queue, says when slots are due, and looks after what others left behind.

Everything that runs beside the queue is a loop that outlives a database which goes away. On SIGTERM or SIGINT it claims
nothing more, lets its runs end for a while, asks what is left to stop, and goes; the second signal takes the while away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
import time
from uuid import UUID, uuid4

from sqlalchemy import text

from jobs.alerts.away import LOOK_S, DatabaseWatch
from jobs.alerts.shipped import seed_rules
from jobs.core.audit_anchor import AnchorFile
from jobs.core.audit_seal import Sealer
from jobs.core.db import Database, first_line, open_database, require_migrated
from jobs.core.jobs import load_jobs
from jobs.core.logs import get_logger
from jobs.core.settings import Settings
from jobs.probes import host
from jobs.run import supervise
from jobs.run.app import fetch_runs, queue_app
from jobs.run.beings import NurseryGone
from jobs.run.children import Children, children_of
from jobs.run.execute import execute
from jobs.run.hosts import beat
from jobs.run.loop import DATABASE_ERRORS, Loop
from jobs.run.nursery import young_nursery
from jobs.run.rescue import rescue, rescue_lease
from jobs.schedule.broken import broken_jobs
from jobs.schedule.scheduler import Scheduler
from jobs.schedule.slots import MissedSlots
from jobs.schedule.store import follow_settings, seed_schedules

log = get_logger(__name__)

MISSED_S = 30.0
RESCUE_S = 5.0
SEAL_S = 3.0
DRAIN_S = 20.0


def run_worker(settings: Settings, concurrency: int) -> None:
    """Works until SIGTERM or SIGINT, then drains; to be called in the main thread."""
    # Their reports of a database that is away would be many; ours is one line.
    for noisy in ("psycopg.pool", "procrastinate"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    with young_nursery(), open_database(settings, pool_size=concurrency + 6) as db:
        require_migrated(db)
        with db.begin() as conn:
            seed_schedules(conn, load_jobs())
            follow_settings(conn, load_jobs(), settings)
            seed_rules(conn)
        for broken in broken_jobs():
            log.error(
                "a package's job is broken and left out", job=broken.name, module=broken.module, reason=broken.reason
            )
        with children_of(db, settings) as children:
            worker = _Worker(settings, db, children, concurrency)
            asyncio.run(worker.work())
    if worker.failed is not None:
        raise worker.failed


class _Worker:
    def __init__(self, settings: Settings, db: Database, children: Children, concurrency: int) -> None:
        self._id: UUID = uuid4()
        self._settings = settings
        self._db = db
        self._children = children
        self._concurrency = concurrency
        self.failed: NurseryGone | None = None
        self._shutdown = threading.Event()
        self._running: set[asyncio.Future[None]] = set()
        self._scheduler = Scheduler(db)
        lease = rescue_lease(self._id)
        missed = MissedSlots(db)

        def rescue_step() -> None:
            with db.begin() as conn:
                rescue(conn, lease)

        self._lease = lease
        self._loops = (
            Loop("beat", supervise.BEAT_S, self._beat),
            Loop("missed slots", MISSED_S, missed.look),
            Loop("rescue", RESCUE_S, rescue_step),
            Loop("audit chain", SEAL_S, Sealer(db, AnchorFile.of(settings)).step),
            Loop("probe-host", host.EVERY_S, host.HostProbe(db, settings).step),
            Loop("database watch", LOOK_S, DatabaseWatch(settings, db.conninfo).step),
        )

    async def work(self) -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask() -> None:
            if asked.is_set():
                self._shutdown.set()
            asked.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ask)
        self._beat()
        self._scheduler.start()
        for part in self._loops:
            part.start()
        fetching = asyncio.create_task(self._fetch(asked))
        log.info("worker started", worker=str(self._id), concurrency=self._concurrency, pid=os.getpid())
        await asked.wait()
        log.info("worker stops", running=len(self._running))
        fetching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await fetching
        await asyncio.to_thread(self._scheduler.stop)
        await self._drain()
        await asyncio.to_thread(self._sign_off)

    async def _fetch(self, asked: asyncio.Event) -> None:
        """Fetches runs until `asked` to stop; begins anew whenever the database has gone away and come back."""
        failing = False
        # Being cancelled is not enough: without a database the queue's own farewell fails, and that error takes the
        # place of the cancellation.
        while not asked.is_set():
            app = queue_app(self._db, self._perform)
            began = time.monotonic()
            try:
                async with app.open_async():
                    await fetch_runs(app, self._concurrency)
                reason = "the queue's connection was lost"
            except Exception as error:  # noqa: BLE001 - whatever ends the fetching, a worker that fetches nothing is useless
                reason = first_line(error)
            if time.monotonic() - began > 30:
                failing = False
            if not failing:
                failing = True
                log.error("no runs can be fetched; trying again", reason=reason)
            await asyncio.sleep(1.0)

    async def _perform(self, run_id: int) -> None:
        """Has one run executed, watched over by a thread which a lost connection of the queue does not end."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self._running.add(ended)
        ended.add_done_callback(self._running.discard)

        def work() -> None:
            try:
                execute(
                    self._db,
                    self._settings,
                    run_id,
                    worker_id=self._id,
                    children=self._children,
                    shutdown=self._shutdown,
                )
            except NurseryGone as error:
                # Nothing can be executed here any more; what has been fetched is found by the rescue.
                self.failed = error
                os.kill(os.getpid(), signal.SIGTERM)
            except DATABASE_ERRORS as error:
                # It stays queued, or it is lost: in both cases the rescue finds it.
                log.error("a run could not be executed", run=run_id, reason=first_line(error))
            except Exception:  # the run's own errors are in its row; this is ours, or the database's
                log.exception("a run could not be executed", run=run_id)
            finally:
                # After the last moment of a drain nobody waits for it any more.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(ended.set_result, None)

        threading.Thread(target=work, name=f"watch-{run_id}", daemon=True).start()
        await asyncio.shield(ended)

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(set(self._running), timeout=DRAIN_S)
        if self._running:
            log.warning("asking runs to stop", running=len(self._running))
            self._shutdown.set()
            await asyncio.wait(set(self._running), timeout=supervise.STOP_GRACE_S + 5)

    def _beat(self) -> None:
        self._children.let_go()
        beat(self._db, self._id, concurrency=self._concurrency, silent_s=self._scheduler.silent_s)

    def _sign_off(self) -> None:
        for part in self._loops:
            part.stop()
        try:
            self._sign_off_rows()
        except DATABASE_ERRORS as error:
            # Nothing is lost by it: whoever is silent for long enough is taken for gone.
            log.warning("the worker could not sign off", reason=first_line(error))
        log.info("worker stopped", worker=str(self._id))

    def _sign_off_rows(self) -> None:
        with self._db.begin() as conn:
            self._lease.resign(conn)
            conn.execute(
                text("UPDATE ops.workers SET beat_at = now(), stopped_at = now() WHERE id = :id"), {"id": self._id}
            )
