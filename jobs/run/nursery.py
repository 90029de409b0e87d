"""Where children come from: a process without threads and without a database, which only forks.

A worker has threads and open connections, and such a process must not be forked. So it makes a nursery while it is
young, and asks that for each child: the memory of the imported modules is shared by them all. Whoever is not young any
more and runs something now and then (a command, the dashboard) starts one as a new interpreter.

A datagram brings the nursery two descriptors: the child's end of its pipe, and one on which it writes the child's number
and later how it ended. When the worker is killed, the nursery and its children end with it: by the kernel on Linux;
elsewhere the nursery looks every second, and the children notice that their pipe is closed.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from jobs.core.jobs import load_jobs
from jobs.run import child
from jobs.run.beings import CODE, Being, ChildProcess, ChildThread, NurseryGone

_PROGRAM = "import sys; sys.path[:] = sys.argv[4:]; from jobs.run.nursery import main; main()"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


class Nursery:
    """The nursery of this process, and what its children are asked for with."""

    def __init__(self, asks: socket.socket, pid: int) -> None:
        self._asks = asks
        self._pid = pid

    def bear(self) -> Being:
        """A new child; raises NurseryGone."""
        ours, its = Pipe()
        said, says = os.pipe()
        try:
            socket.send_fds(self._asks, [b"!"], [its.fileno(), says])
        except OSError as error:
            os.close(said)
            ours.close()
            raise NurseryGone from error
        finally:
            its.close()
            os.close(says)
        return ChildProcess(ours, said)

    def close(self) -> None:
        """Ends the nursery and every child that is left."""
        self._asks.close()
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


class Here:
    """Children that are threads of this process: for whoever measures or replaces what a job does. They cannot be ended."""

    def bear(self) -> Being:
        ours, its = Pipe()
        threading.Thread(target=child.live_here, args=(its,), name="child", daemon=True).start()
        return ChildThread(ours)


_ours: Nursery | Here | None = None


@contextmanager
def using(nursery: Nursery | Here) -> Iterator[None]:
    """Lets every child of this process be born there for the time of the block."""
    global _ours  # noqa: PLW0603 - of the process; its children inherit it, and bear their own by it
    before, _ours = _ours, nursery
    try:
        yield
    finally:
        _ours = before


@contextmanager
def young_nursery() -> Iterator[None]:
    """A nursery for the time of the block, made by a fork of this process, which has neither threads nor connections yet."""
    _grow_up()
    asks, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    parent = os.getpid()
    with suppress(OSError):
        sys.stdout.flush()  # or each child would have a copy of what is not written yet
    # The kernel's sign of the parent's death follows the thread that forked: this has to be the main one.
    pid = os.fork()
    if pid == 0:
        os.setsid()
        with using(Nursery(asks, os.getpid())):
            _serve(asked, parent)
    asked.close()
    made = Nursery(asks, pid)
    try:
        with using(made):
            yield
    finally:
        made.close()


@contextmanager
def a_nursery() -> Iterator[Nursery | Here]:
    """This process's nursery; where it has none, a new interpreter for the time of the block."""
    if _ours is not None:
        yield _ours
        return
    asks, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with asked:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM]
            + [str(number) for number in (asks.fileno(), asked.fileno(), os.getpid())]
            + sys.path,
            pass_fds=(asks.fileno(), asked.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a job prints must not stand among what a command prints for others
            start_new_session=True,
        )
    made = Nursery(asks, process.pid)
    try:
        yield made
    finally:
        made.close()
        process.wait()


def main() -> NoReturn:
    """The nursery as a new interpreter; its arguments are its two sockets, its parent and where modules are."""
    asks, asked, parent = map(int, sys.argv[1:4])
    _grow_up()
    with using(Nursery(socket.socket(fileno=asks), os.getpid())):
        _serve(socket.socket(fileno=asked), parent)


def _grow_up() -> None:
    """Brings everything into memory that is shared from here on."""
    load_jobs()
    gc.collect()
    gc.freeze()  # a collection would write to, and so copy, every page of it


def _serve(asked: socket.socket, parent: int) -> NoReturn:
    """Forks whenever it is asked to, and says how each child ended."""
    try:
        _end_with(parent)
        for number in (signal.SIGTERM, signal.SIGINT):  # meant for the worker, which drains
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        says: dict[int, int] = {}
        while os.getppid() == parent:
            ready, _, _ = select.select([asked.fileno(), woken], [], [], 1.0)
            if woken in ready:
                os.read(woken, 4096)
                _bury(says)
            if asked.fileno() in ready:
                _, (channel, say), _, _ = socket.recv_fds(asked, 1, 2)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    for descriptor in (asked.detach(), woken, wake, say, *says.values()):
                        os.close(descriptor)
                    _be_born(channel, os.getppid())
                os.close(channel)
                says[pid] = say
                _say(say, pid)
    except BaseException:  # noqa: BLE001 - it must not run on into what the forked process was about to do
        traceback.print_exc()
    finally:
        os._exit(0)


def _bury(says: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            say = says.pop(pid)
            _say(say, os.waitstatus_to_exitcode(status))
            os.close(say)


def _say(say: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(say, CODE.pack(number))


def _be_born(channel: int, parent: int) -> NoReturn:
    """The child, from here to its end."""
    code = 1
    try:
        os.setsid()  # a group of its own, to be ended as one
        _end_with(parent)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
            with suppress(OSError):  # if memory runs out: rather a run than its worker, or the database
                Path("/proc/self/oom_score_adj").write_text("500")
        child.live(Connection(channel))
        code = 0
    except BaseException:  # noqa: BLE001 - as above
        traceback.print_exc()
    finally:
        os._exit(code)


def end_with_parent(number: int) -> None:
    """Asks the kernel to send this process a signal when its parent dies, however it dies; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _end_with(parent: int) -> None:
    end_with_parent(signal.SIGKILL)
    if os.getppid() != parent:  # it has died before we asked
        os._exit(1)
