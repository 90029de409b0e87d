"""The children of one worker: each executes one run at a time, and is kept warm for the next.

A new child costs the machine about as much as twenty runs that do nothing. So one that has left nothing behind, neither
threads nor processes nor much memory, goes on; whatever else happened to it, it ends with its run.
"""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.run.beings import Being
from jobs.run.child import Ended, Order, Setup
from jobs.run.context import News
from jobs.run.ends import Stop
from jobs.run.nursery import Here, Nursery, a_nursery

TERM_S = 2.0
IDLE_S = 20.0  # as long as the probes of a quiet desk need one


class Died(Exception):
    """The child has died in the middle; `code` as in `Being.exit_code`."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Child:
    """One child; not for several threads."""

    def __init__(self, being: Being, setup: Setup) -> None:
        self._being = being
        self._dead = False
        self._clean = True
        self.idle_since = time.monotonic()
        with suppress(OSError):  # it has died already: whoever hears it is told
            being.channel.send(setup)

    @property
    def fit(self) -> bool:
        """Whether it can take another run."""
        return self._clean and not self._dead

    @property
    def alive(self) -> bool:
        """Whether an idle one still waits: what is to be heard of it could only be its end."""
        return not self._being.channel.poll(0)

    def order(self, order: Order) -> None:
        """Begins a run; from here on it has to be heard."""
        self._clean = False
        with suppress(OSError):
            self._being.channel.send(order)

    def tell(self, stop: Stop) -> None:
        """Tells its function to stop."""
        with suppress(OSError):
            self._being.channel.send(stop)

    def hear(self, within_s: float) -> News | Ended | None:
        """What it has to say within that time; raises Died."""
        try:
            if not self._being.channel.poll(within_s):
                return None
            heard: News | Ended = self._being.channel.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._dead = True
            raise Died(self._being.exit_code()) from None
        if isinstance(heard, Ended):
            self._clean = heard.clean
        return heard

    def memory_mb(self) -> float:
        """What it and the processes that it started hold, shared memory included."""
        return self._being.memory_mb()

    def put_an_end(self, *, politely: bool) -> list[News]:
        """Ends its run and returns the last that it had to say; politely: its function is interrupted first.

        It dies, with all that it started, when it is given back.
        """
        last: list[News] = []
        deadline = time.monotonic()
        if politely:
            self._being.interrupt()
            deadline += TERM_S
        with suppress(Died):
            while (heard := self.hear(max(0.0, deadline - time.monotonic()))) is not None:
                last.append(heard.news if isinstance(heard, Ended) else heard)
                if isinstance(heard, Ended):
                    break
        self._dead = True
        return last

    def leave(self, *, kill: bool) -> None:
        """Nobody needs it any more."""
        if kill:
            self._being.kill()
        else:
            self._being.dismiss()


class Children:
    """The warm ones; for several threads."""

    def __init__(self, nursery: Nursery | Here, setup: Setup) -> None:
        self._nursery = nursery
        self._setup = setup
        self._lock = threading.Lock()
        self._idle: list[Child] = []

    @contextmanager
    def lend(self) -> Iterator[Child]:
        """A child for one run; raises NurseryGone."""
        child = self._warm() or Child(self._nursery.bear(), self._setup)
        try:
            yield child
        finally:
            if child.fit:
                self._keep(child)
            else:
                child.leave(kill=True)

    def _warm(self) -> Child | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                child = self._idle.pop()
            if child.alive:
                return child
            child.leave(kill=True)

    def _keep(self, child: Child) -> None:
        """The one that came last goes first, so that the others can be let go."""
        child.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(child)

    def let_go(self) -> None:
        """Ends those that nobody has needed for long; to be called now and then."""
        now = time.monotonic()
        with self._lock:
            long = [child for child in self._idle if now - child.idle_since > IDLE_S]
            self._idle = [child for child in self._idle if child not in long]
        for child in long:
            child.leave(kill=False)

    def close(self) -> None:
        """Lets the idle ones go."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            child.leave(kill=False)


@contextmanager
def children_of(db: Database, settings: Settings) -> Iterator[Children]:
    """Children that work on this database with these settings, for the time of the block."""
    with a_nursery() as nursery:
        children = Children(nursery, Setup(db.url, settings))
        try:
            yield children
        finally:
            children.close()
