"""A worker as a process of its own, for test_worker.py: with jobs of its own, and if asked with a faster clock."""

from __future__ import annotations

import sys
import time

from pydantic import Field

from jobs import worker
from jobs.core.jobs import Every, Params, Run, job
from jobs.core.logs import configure_logging
from jobs.core.settings import load_settings
from jobs.run import rescue, supervise


class Length(Params):
    seconds: float = Field(0.0, description="How long it takes.")


@job(name="test-tick", title="t", does="Ends at once.", schedule=Every(1), timeout_s=20, params=Params)
def tick(run: Run, _params: Params) -> None:
    run.count("ticks")


@job(name="test-long", title="t", does="Takes its time.", schedule=Every(86400), timeout_s=60, retries=1, params=Length)
def long(run: Run, params: Length) -> None:
    until = time.monotonic() + params.seconds
    while time.monotonic() < until and not run.should_stop():
        time.sleep(0.05)


@job(name="test-stubborn", title="t", does="Hears nothing.", schedule=Every(86400), timeout_s=60, params=Length)
def stubborn(_run: Run, params: Length) -> None:
    time.sleep(params.seconds)


JOBS = {"test-tick", "test-long", "test-stubborn"}


def _hurry() -> None:
    """The same rules, a tenth of the times."""
    supervise.BEAT_S, supervise.STOP_GRACE_S = 0.5, 1.0
    rescue.LOST_AFTER_S, rescue.SETTLE_S, rescue.LEASE_S = 3.0, 1.5, 2.0
    worker.RESCUE_S, worker.DRAIN_S = 0.5, 3.0


if __name__ == "__main__":
    settings = load_settings()
    configure_logging(settings, component="worker")
    if "--hurry" in sys.argv:
        _hurry()
    worker.run_worker(settings, 3)
