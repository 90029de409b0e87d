"""The process that is measured: one run of `reconcile-pending` through the product's own path, and nothing else.

It reads the settings from its environment as every process does, and prints one line of JSON.
"""

from __future__ import annotations

import sys

import orjson

from jobs.bench.database import JOB
from jobs.bench.profile import Profile
from jobs.core.cli import one_line_errors
from jobs.core.db import open_database
from jobs.core.logs import configure_logging
from jobs.core.settings import load_settings
from jobs.run.execute import execute
from jobs.run.nursery import Here, using
from jobs.run.store import request_run


def main() -> None:
    settings = load_settings()
    configure_logging(settings, component="bench")
    params = orjson.loads(sys.argv[1])
    with open_database(settings) as db:
        with db.begin() as conn:
            run_id = request_run(conn, job=JOB, params=params, actor="bench", origin="cli", queued=False)
        with using(Here()), Profile() as profile:
            run = execute(db, settings, run_id, worker_id=None)
    measured = {
        "state": run.state,
        "error": run.error,
        "seconds": run.duration_s,
        "counters": run.counters,
        "cpu_s": profile.cpu_s,
        "cpu": profile.shares(),
        "memory_mb": {"start": round(profile.start_mb, 1), "peak": round(profile.peak_mb, 1)},
    }
    sys.stdout.buffer.write(orjson.dumps(measured))


if __name__ == "__main__":
    with one_line_errors():
        main()
