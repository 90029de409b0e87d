"""Runs as they were read, for as long as they are as they were.

To read a run and put it together takes milliseconds, to ask whether anything has happened in it a fraction of one. So
whoever looks again and again (a page, for everybody who has it open) asks, and reads only what has changed. A run is
never believed without having asked: what anybody did, in whichever process, is in the next look, as without a memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from checklists.reads import ChecklistRun, Moment, load_runs, read_moments

MOST = 100
"""Runs that are remembered, of some 100 kB each; those that nobody looks at are forgotten first."""


class Remembered:
    """The memory of one process; its threads may share it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._runs: OrderedDict[int, ChecklistRun] = OrderedDict()
        self._guard = threading.Lock()

    def look(self, conn: Connection, run_ids: Sequence[int]) -> tuple[ChecklistRun, ...]:
        """The runs as they are now, in the order of their ids as given; without those that there are not."""
        moments = read_moments(conn, run_ids)
        with self._guard:
            known = {run_id: self._runs.get(run_id) for run_id in moments}
        found = {
            run_id: replace(run, read_at=moments[run_id].read_at)
            for run_id, run in known.items()
            if run is not None and is_as_read(run, moments[run_id])
        }
        fresh = load_runs(conn, [run_id for run_id in moments if run_id not in found])
        found |= {run.id: run for run in fresh}
        with self._guard:
            self._runs.update({run.id: run for run in fresh})
            for run_id in found.keys() & self._runs.keys():
                self._runs.move_to_end(run_id)
            while len(self._runs) > self._most:
                self._runs.popitem(last=False)
        return tuple(found[run_id] for run_id in run_ids if run_id in found)


def is_as_read(run: ChecklistRun, moment: Moment) -> bool:
    """Whether all that a run says is still so at a later moment. Pure."""
    turned = run.turns_at is not None and moment.read_at >= run.turns_at
    # A clock that was set back may come by a turn that the run was read after.
    return run.version == moment.version and moment.read_at >= run.read_at and not turned
