"""What `nexaops up` promises its parts."""

from __future__ import annotations

from jobs import up, worker
from jobs.run import supervise


def test_it_waits_for_longer_than_a_worker_gives_its_runs_to_end() -> None:
    assert up.STOP_TIMEOUT_S > worker.DRAIN_S + supervise.STOP_GRACE_S + 10
