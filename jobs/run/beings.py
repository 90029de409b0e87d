"""A child as its worker sees it: a pipe, the memory that it holds, and the ways in which it ends."""

from __future__ import annotations

import os
import select
import signal
import struct
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Protocol

import psutil

from jobs.core.errors import NexaError

BIRTH_S = 20.0  # on a machine that is very busy
KILL_S = 5.0
CODE = struct.Struct("!i")
"""How the nursery writes a child's number, and its exit code."""


class NurseryGone(NexaError):
    """Nobody is left who could begin a run."""

    def __init__(self) -> None:
        super().__init__("The process that begins runs has died: start this one again.")


class Being(Protocol):
    """A child, as its worker sees it."""

    channel: Connection

    def memory_mb(self) -> float:
        """What it and the processes that it started hold, shared memory included."""
        ...

    def exit_code(self) -> int | None:
        """How it ended, a signal below zero, once its pipe is closed; None if nobody knows."""
        ...

    def interrupt(self) -> None:
        """Sends SIGTERM to it and to what it started."""
        ...

    def kill(self) -> None:
        """Ends it and what it started at once."""
        ...

    def dismiss(self) -> None:
        """Lets one that does nothing end by itself."""
        ...


class ChildProcess:
    """A child process."""

    def __init__(self, channel: Connection, said: int) -> None:
        self.channel = channel
        self._said = said
        pid = self._hear(BIRTH_S)
        if pid is None:
            self.dismiss()
            raise NurseryGone
        self.pid = pid
        self._known: list[psutil.Process] = []

    def memory_mb(self) -> float:
        held = 0
        for process in self._family():
            with suppress(psutil.Error):
                held += process.memory_info().rss
        return held / 1e6

    def exit_code(self) -> int | None:
        return self._hear(KILL_S)

    def interrupt(self) -> None:
        self._known = self._family()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._known += self._family()
        self._signal(signal.SIGKILL)
        self._hear(KILL_S)
        self.dismiss()

    def dismiss(self) -> None:
        self.channel.close()
        os.close(self._said)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        for process in self._known:  # some may have groups of their own
            with suppress(psutil.Error):
                process.send_signal(number)

    def _family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.Error:
            return []

    def _hear(self, within_s: float) -> int | None:
        if not select.select([self._said], [], [], within_s)[0]:
            return None
        heard = os.read(self._said, CODE.size)
        return CODE.unpack(heard)[0] if len(heard) == CODE.size else None


class ChildThread:
    """A child that is a thread."""

    def __init__(self, channel: Connection) -> None:
        self.channel = channel

    def memory_mb(self) -> float:
        return 0.0

    def exit_code(self) -> int | None:
        return None

    def interrupt(self) -> None:
        """Nobody can interrupt a thread."""

    def kill(self) -> None:
        self.dismiss()

    def dismiss(self) -> None:
        self.channel.close()
