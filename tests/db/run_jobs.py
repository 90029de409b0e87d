"""A job that does whatever it is told, also the worst: for tests of what executes it, in a process of its own.

It stands alone, because each child that runs it has to import it first.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from pydantic import Field

from jobs.core.errors import TransientError, UsageError
from jobs.core.flags import Flag
from jobs.core.jobs import Every, Params, Run, job
from jobs.run.execute import execute
from jobs.run.store import request_run

SEED = "S" + "A" * 55
MB = 1_000_000


class Todo(Params):
    how: str = Field("count", description="What to do.")


def _count(run: Run) -> None:
    run.count("seen", 3)
    run.count("seen", 2)
    run.progress(5, 5)
    run.info("looked", rows=5, password="hunter2")
    run.warning(f"a seed {SEED} in a line\x00", detail=f"{SEED}\x00")


def _until_stopped(run: Run) -> None:
    while not run.should_stop():
        run.count("batches")
        time.sleep(0.02)


def _raise(error: BaseException) -> Callable[[Run], None]:
    def fail(_run: Run) -> None:
        raise error

    return fail


def _finish_unasked(run: Run) -> None:
    # It never looks: so it was not stopped, it has finished.
    time.sleep(2.0)
    run.count("seen")


def _hang(run: Run) -> None:
    run.count("pid", os.getpid())
    try:
        time.sleep(60)
    finally:
        run.info("cleaned up")


def _hang_for_good(run: Run) -> None:
    """Nothing but SIGKILL reaches it: it blocks in C and lets nobody else have the interpreter."""
    run.count("pid", os.getpid())
    time.sleep(0.5)
    ctypes.PyDLL(None).sleep(60)


def _start_others(run: Run) -> None:
    """One child in its own group, one that left it."""
    for own in (False, True):
        process = subprocess.Popen(["sleep", "60"], start_new_session=own)
        run.count(f"child {own}", process.pid)
    _hang(run)


def _take_memory(run: Run) -> None:
    held = []
    while not run.should_stop():
        held.append(bytearray(os.urandom(MB)) * 20)
        time.sleep(0.05)


def _leave_thread(run: Run) -> None:
    run.count("pid", os.getpid())
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def _leave_process(run: Run) -> None:
    run.count("pid", os.getpid())
    # The one in between ends: so nobody but the child process itself can still know the other.
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.Popen(['sleep', '60'])"], check=True)


def _name_sockets(run: Run) -> None:
    links = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    run.info("sockets", names=[str(link) for link in links if str(link).startswith("socket:")])


def _talk(run: Run) -> None:
    for number in range(150):
        run.info("line", number=number)
        time.sleep(0.02)


def _log_oddities(run: Run) -> None:
    run.info("odd\x00 \ud800", big=2**80, nested={"zero": ["\x00", {1: object}]}, amount=Decimal("1.50"), half="\ud800")


def _run_another(run: Run) -> None:
    """As a check does that needs a run."""
    with run.db.begin() as conn:
        number = request_run(conn, job="test-todo", params={"how": "pid"}, actor="a run", queued=False)
    other = execute(run.db, run.settings, number, worker_id=None)
    run.count("pid", os.getpid())
    run.count("other", other.counters["pid"])


HOW: dict[str, Callable[[Run], None]] = {
    "count": _count,
    "pid": lambda run: run.count("pid", os.getpid()),
    "another": _run_another,
    "until-stopped": _until_stopped,
    "break": _raise(ZeroDivisionError(f"by zero, with {SEED}")),
    "refuse": _raise(UsageError("It will never work.")),
    "pass": _raise(TransientError("It may work the next time.")),
    "exit": _raise(SystemExit(3)),
    "unasked": _finish_unasked,
    "hang": _hang,
    "hang-for-good": _hang_for_good,
    "start-others": _start_others,
    "take-memory": _take_memory,
    "leave-thread": _leave_thread,
    "leave-process": _leave_process,
    "crash": lambda _run: os.kill(os.getpid(), signal.SIGSEGV),
    "vanish": lambda _run: os._exit(7),
    "sockets": _name_sockets,
    "note-dry": lambda run: run.info("dry" if run.dry_run else "wet"),
    "talk": _talk,
    "odd": _log_oddities,
}


@job(
    name="test-todo",
    title="t",
    does="What it is told.",
    schedule=Every(3600),
    timeout_s=30,
    retries=1,
    flag=Flag.CLEANUP,
    params=Todo,
)
def todo(run: Run, params: Todo) -> None:
    HOW[params.how](run)


@job(name="test-alone", title="t", does="One at a time.", schedule=None, timeout_s=30, params=Todo, at_most=1)
def alone(run: Run, params: Todo) -> None:
    HOW[params.how](run)
