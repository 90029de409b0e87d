"""A worker for the chaos test: with a faster clock of its own, which a signal steps forward or back."""

from __future__ import annotations

import signal
from datetime import UTC, datetime

import time_machine

from jobs import worker
from jobs.core.logs import configure_logging
from jobs.core.settings import load_settings
from tests.db.worker_process import _hurry

STEP_S = 7.0
FORWARD, BACK = signal.SIGUSR1, signal.SIGUSR2


if __name__ == "__main__":
    _hurry()
    worker.MISSED_S = 1.0
    # All of this process's clocks but the monotonic one, as where a time server corrects a host.
    clock = time_machine.travel(datetime.now(UTC), tick=True).start()
    signal.signal(FORWARD, lambda *_: clock.shift(STEP_S))
    signal.signal(BACK, lambda *_: clock.shift(-STEP_S))
    settings = load_settings()
    configure_logging(settings, component="worker")
    worker.run_worker(settings, 4)
