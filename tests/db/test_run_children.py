"""A run may crash, hang, leak or fork: it ends, it says why, and whoever runs it lives on."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.run import children as children_room
from jobs.run import supervise
from jobs.run.beings import NurseryGone
from jobs.run.children import Children, children_of
from jobs.run.nursery import Nursery, using
from jobs.run.store import RunRow, list_logs, list_runs, stop_run
from tests.db.running import Doing, limit

JOBS = {"test-todo", "test-alone"}
pytestmark = pytest.mark.usefixtures("child_processes")


@pytest.fixture
def children(db: Database, settings: Settings) -> Iterator[Children]:
    """Those of one worker."""
    with children_of(db, settings) as children:
        yield children


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is told to stop has half a second."""
    monkeypatch.setattr(supervise, "STOP_GRACE_S", 0.5)


@pytest.fixture
def ruthless(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nearly no time to clean up, for those who cannot."""
    monkeypatch.setattr(children_room, "TERM_S", 0.1)


def said(db: Database, run_id: int) -> list[str]:
    with db.read() as conn:
        return [line.event for line in list_logs(conn, run_id)]


def gone(pid: int) -> bool:
    """Whether a process has ended, at the latest in a moment."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def once_at_work(db: Database, action: Callable[[RunRow], None]) -> None:
    """Does something to the run that is under way, as soon as it has said which process it is."""

    def act() -> None:
        while True:
            with db.read() as conn:
                found = [run for run in list_runs(conn, state="running") if "pid" in run.counters]
            if found:
                action(found[0])
                return
            time.sleep(0.05)

    threading.Thread(target=act, daemon=True).start()


def sends(number: int) -> Callable[[RunRow], None]:
    return lambda run: os.kill(run.counters["pid"], number)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("crash", "Its process was ended by SIGSEGV: it crashed."),
        ("vanish", "Its process ended by itself in the middle of the run, with exit code 7."),
    ],
)
def test_a_process_that_dies_fails_its_run_which_is_tried_again(
    db: Database, run_it: Doing, children: Children, how: str, sentence: str
) -> None:
    run = run_it(how, children=children)
    assert (run.state, run.error_class, run.error) == ("failed", "ProcessDied", sentence)
    with db.read() as conn:
        assert [retry.state for retry in list_runs(conn) if retry.retry_of == run.id] == ["queued"]
    assert run_it("count", children=children).state == "succeeded"


def test_a_process_killed_from_outside_says_what_that_mostly_means(db: Database, run_it: Doing) -> None:
    once_at_work(db, sends(signal.SIGKILL))
    assert run_it("hang").error == "Its process was ended by SIGKILL: killed from outside, mostly for lack of memory."


def test_what_hangs_is_interrupted_and_then_its_process_is_over(db: Database, run_it: Doing, impatient: None) -> None:
    limit(db, 1)
    run = run_it("hang")
    assert (run.state, run.error) == (
        "timed_out",
        "Its time limit of 1 s was reached. It did not stop within 0.5 s of being told, and its process was killed.",
    )
    assert said(db, run.id) == ["cleaned up"]
    assert gone(run.counters["pid"])


def test_a_stop_ends_even_what_lets_nobody_else_have_the_interpreter(
    db: Database, run_it: Doing, ruthless: None
) -> None:
    def stop(run: RunRow) -> None:
        with db.begin() as conn:
            stop_run(conn, run.id, "bob@example.org", "enough")

    once_at_work(db, stop)
    run = run_it("hang-for-good")
    assert run.state == "stopped"
    assert str(run.error).startswith("Stopped by bob@example.org. It did not stop within")
    assert gone(run.counters["pid"])


def test_a_run_that_was_stopped_by_the_kernel_ends_at_its_time_limit(
    db: Database, run_it: Doing, ruthless: None
) -> None:
    limit(db, 2)
    once_at_work(db, sends(signal.SIGSTOP))
    assert run_it("hang").state == "timed_out"


def test_what_a_run_started_ends_with_it_wherever_it_has_gone(db: Database, run_it: Doing, impatient: None) -> None:
    limit(db, 1)
    run = run_it("start-others")
    assert run.state == "timed_out"
    assert gone(run.counters["child False"])
    assert gone(run.counters["child True"])


def test_a_run_that_takes_all_the_memory_ends_with_a_sentence(db: Database, settings: Settings) -> None:
    run = Doing(db, settings.model_copy(update={"run_memory_mb": 300}))("take-memory")
    assert (run.state, run.error_class) == ("failed", "MemoryLimit")
    assert "more than the 300 MB of NEXAOPS_RUN_MEMORY_MB, and was killed." in str(run.error)


@pytest.mark.parametrize(("how", "goes_on"), [("pid", True), ("leave-thread", False), ("leave-process", False)])
def test_a_child_goes_on_if_it_has_left_nothing_behind(
    run_it: Doing, children: Children, how: str, goes_on: bool
) -> None:
    first = run_it(how, children=children).counters["pid"]
    assert (run_it("pid", children=children).counters["pid"] == first) is goes_on
    assert goes_on or gone(first)


def test_an_idle_child_that_was_killed_is_replaced(run_it: Doing, children: Children) -> None:
    first = run_it("pid", children=children).counters["pid"]
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    time.sleep(0.2)  # its last thread closes the pipe after the process is seen to be gone
    assert run_it("pid", children=children).state == "succeeded"


def test_a_run_may_need_another_which_has_a_child_of_its_own(run_it: Doing) -> None:
    run = run_it("another")
    assert run.state == "succeeded", run.trace
    assert run.counters["other"] not in (run.counters["pid"], 0)
    assert gone(run.counters["other"])


def test_no_child_has_a_connection_of_its_parent(db: Database, run_it: Doing) -> None:
    with db.read():
        run = run_it("sockets")
        links = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
        ours = {str(link) for link in links if str(link).startswith("socket:")}
    with db.read() as conn:
        (line,) = list_logs(conn, run.id)
    # What they share is the nursery's: a child may need one of its own.
    assert len(ours & set(line.fields["names"])) == 1


def test_without_a_nursery_nothing_begins_and_the_run_stays_queued(db: Database, settings: Settings) -> None:
    asks, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    asked.close()
    with asks, using(Nursery(asks, 0)), pytest.raises(NurseryGone, match="start this one again"):
        Doing(db, settings)("count")
    with db.read() as conn:
        assert [run.state for run in list_runs(conn)] == ["queued"]
