"""The checks that run right now, beside the scripts of the pages: nobody's tick waits for somebody's check.

What a check finds is kept in the database, where every page sees it at its next look. Here stands only what is under
way in this process, by whom, and what was refused; everybody who looks at the run sees that too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from checklists.lines import TrackedItem
from checklists.proofs import PARALLEL, prove, prove_all
from dashboard import queries
from dashboard.access import origin
from dashboard.desk import desk
from jobs.core.errors import NexaError
from jobs.core.logs import get_logger
from jobs.core.people import Person

log = get_logger(__name__)
PATIENCE_S = 0.6
"""How long a click waits for its check: what is that quick shows with the click, the rest when it comes."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What runs of one checklist's checks: names by item, how far all checks of a phase are, refusals by item."""

    items: Mapping[str, str]
    phases: Mapping[str, tuple[int, int]]
    refused: Mapping[str, str]


@dataclass(slots=True)
class _Entry:
    items: dict[str, str] = field(default_factory=dict)
    phases: dict[str, tuple[int, int]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


_guard = threading.Lock()
_entries: dict[tuple[str, int], _Entry] = {}
_pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="page-check")


def under_way(run_id: int) -> UnderWay:
    """What runs now for this checklist, in this process."""
    with _guard:
        entry = _entries.get((desk().key, run_id)) or _Entry()
        return UnderWay(dict(entry.items), dict(entry.phases), dict(entry.refused))


def check_line(run_id: int, line: TrackedItem, person: Person) -> None:
    """Starts the check of one line, unless it runs already."""
    entry = _entry(run_id)
    with _guard:
        if line.id in entry.items:
            return
        entry.items[line.id] = person.name
        entry.refused.pop(line.id, None)
    here, came = desk(), origin()

    def work() -> None:
        try:
            prove(here.db, here.settings, run_id, line.id, person, origin=came)
        except NexaError as error:
            entry.refused[line.id] = str(error)
        finally:
            _over(entry, [line.id])

    _start(entry, [line.id], work)


def check_lines(run_id: int, phase_id: str, lines: Sequence[TrackedItem], person: Person) -> None:
    """Starts the checks of many lines of a phase, unless such a round runs already."""
    entry = _entry(run_id)
    with _guard:
        if phase_id in entry.phases or not lines:
            return
        entry.phases[phase_id] = (0, len(lines))
        for line in lines:
            entry.items.setdefault(line.id, person.name)
            entry.refused.pop(line.id, None)
    here, came = desk(), origin()
    ids = [line.id for line in lines]

    def work() -> None:
        try:
            wanted = [(run_id, line) for line in lines]
            for proof in prove_all(here.db, here.settings, wanted, person, origin=came):
                if proof.refused:
                    entry.refused[proof.item_id] = proof.summary
                done, total = entry.phases[phase_id]
                entry.phases[phase_id] = (done + 1, total)
                _over(entry, [proof.item_id])
        finally:
            with _guard:
                entry.phases.pop(phase_id, None)
            _over(entry, ids)

    _start(entry, ids, work)


def _entry(run_id: int) -> _Entry:
    with _guard:
        return _entries.setdefault((desk().key, run_id), _Entry())


def _start(entry: _Entry, ids: Sequence[str], work: Callable[[], None]) -> None:
    def guarded() -> None:
        try:
            work()
        except SQLAlchemyError as error:
            log.error("a check could not be kept", exc_info=error)
            entry.refused[ids[0]] = "The database does not answer: nothing was kept, run the check again."
        except Exception as error:  # a thread has nobody above it who would tell
            log.error("a check failed", exc_info=error)
            entry.refused[ids[0]] = "The check could not be run: the log has the details."

    future: Future[None] = _pool.submit(guarded)
    wait([future], PATIENCE_S)


def _over(entry: _Entry, ids: Sequence[str]) -> None:
    queries.forget()  # before the line says that nothing runs: what is read then has the result
    with _guard:
        for item_id in ids:
            entry.items.pop(item_id, None)
