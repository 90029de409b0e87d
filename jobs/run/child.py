"""What happens inside of a child: it runs the functions of jobs, one after another, and talks with its worker.

The main thread runs the function; a second one, the voice, carries what the function counts and logs to the worker and
brings the wish to stop back. Both know nothing but the pipe that they were born with: whether a run beats, is to stop
or takes too long is for the worker to say, which lives on whatever happens here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType

import psutil
from sqlalchemy import URL
from structlog.contextvars import bound_contextvars

from jobs.core import traces
from jobs.core.db import Database
from jobs.core.jobs import find_job, load_jobs
from jobs.core.logs import configure_logging
from jobs.core.settings import Settings
from jobs.run.context import News, RunContext
from jobs.run.ends import End, Stop, failed
from jobs.run.store import RunRow

TELL_S = 0.4
KEEP_MB = 64.0  # a child that has grown by more does not go on
_OWN_THREADS = 2


@dataclass(frozen=True, slots=True)
class Setup:
    """What a child is told once."""

    url: URL
    settings: Settings


@dataclass(frozen=True, slots=True)
class Order:
    """A run that has been claimed, and the module that brings its job."""

    row: RunRow
    module: str
    traceparent: str | None = None
    """The worker's span of it, if there are traces."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the function ended, and what it last had to say.

    `heeded`: it knows that it is to stop. `clean`: it left neither threads nor processes nor much memory behind.
    """

    end: End
    news: News
    heeded: bool
    clean: bool


def live(channel: Connection) -> None:
    """The life of a child process: until the worker closes the pipe; where it does so during a run, it dies at once."""
    voice = _Voice(channel, orphaned=lambda: os.killpg(0, signal.SIGKILL))

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        # A stranger's signal (a service manager ends a whole group) is left to the worker, which drains. The worker's
        # own follows the wish to stop: the function is interrupted where it stands, and its `finally` still runs.
        if voice.context is not None and voice.context.stop is not None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: not while the function cleans up
            raise SystemExit("interrupted")

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    configure_logging(voice.setup.settings, component="run")
    traces.start_traces(voice.setup.settings, component="run")
    _serve(voice)


def live_here(channel: Connection) -> None:
    """The same in a thread of this process, which it cannot end."""
    _serve(_Voice(channel, orphaned=lambda: None))


class _Voice:
    """The child's end of the pipe."""

    def __init__(self, channel: Connection, *, orphaned: Callable[[], None]) -> None:
        self._channel = channel
        self._orphaned = orphaned
        self._sending = threading.Lock()
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self.context: RunContext | None = None
        self.setup: Setup = channel.recv()
        self._db = Database(self.setup.url)
        self._born_mb = _memory_mb()

    def orders(self) -> Iterator[tuple[Order, RunContext]]:
        """The runs to execute, until there will be no more; each has to be `end`ed."""
        threading.Thread(target=self._listen, name="voice", daemon=True).start()
        while (order := self._orders.get()) is not None:
            if self.context is not None:
                yield order, self.context
        self._db.close()

    def end(self, end: End) -> None:
        """The function of the last order has ended."""
        with self._sending:
            if (context := self.context) is not None:
                self.context = None
                self._channel.send(Ended(end, context.take(), context.heeded, self._clean()))

    def _listen(self) -> None:
        try:
            while True:
                if self._channel.poll(None if self.context is None else TELL_S):
                    match self._channel.recv():
                        case Order() as order:
                            self.context = RunContext(order.row, self._db, self.setup.settings)
                            self._orders.put(order)
                        case Stop() as stop if self.context is not None:
                            self.context.stop = stop
                self._tell()
        except (EOFError, OSError):
            if self.context is not None:
                self._orphaned()
            self._orders.put(None)

    def _tell(self) -> None:
        with self._sending:
            news = self.context.take() if self.context is not None else None
            if news is not None and (news.changed or news.lines):
                self._channel.send(news)

    def _clean(self) -> bool:
        if threading.active_count() > _OWN_THREADS + traces.is_tracing() or _memory_mb() - self._born_mb > KEEP_MB:
            return False
        try:
            # Where a process leaves orphans, they become this one's children.
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False


def _serve(voice: _Voice) -> None:
    for order, context in voice.orders():
        end = _run(order, context)
        with suppress(OSError):  # a full disk under what a job printed is no failure of its run
            sys.stdout.flush()
        traces.flush()  # whoever has heard the end may end this process
        voice.end(end)


def _run(order: Order, context: RunContext) -> End:
    with traces.under(order.traceparent), bound_contextvars(**order.row.named):
        return _call(order, context)


def _call(order: Order, context: RunContext) -> End:
    try:
        if order.row.job not in load_jobs():
            import_module(order.module)
        job = find_job(order.row.job)
        job.function(context, job.params.model_validate(dict(order.row.params)))
    except BaseException as error:  # noqa: BLE001 - the job's code may raise anything
        return failed(error)
    return End("succeeded")


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
