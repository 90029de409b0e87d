"""Jobs, the queue, workers and switches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from prometheus_client.core import Metric
from sqlalchemy import Connection, text

from dashboard.metrics.families import figure, gauge, stamp
from jobs.probes.attention import alive, is_overdue, schedules
from jobs.probes.model import Facts
from jobs.run.fleet import read_fleet

_NAMED_FOR = timedelta(hours=1)  # a worker that is silent for longer was let go


def jobs(facts: Facts) -> Iterator[Metric]:
    """How the scheduled jobs do."""
    all_ = [((job.name,), job) for job in facts.jobs]
    yield gauge("job_last_success_timestamp_seconds", "When a job last succeeded.", ["job_name"],
                [(name, stamp(job.last_success_at)) for name, job in all_])  # fmt: skip
    yield gauge("job_failures_in_a_row", "Failures since the last success.", ["job_name"],
                [(name, job.failures) for name, job in all_])  # fmt: skip
    yield gauge("job_due_timestamp_seconds", "When its next success is late, at the latest.", ["job_name"],
                [(name, stamp(job.due_by)) for name, job in all_])  # fmt: skip
    yield gauge("job_overdue", "Whether it is to run and has gone too long without a success.", ["job_name"],
                [(name, is_overdue(job, facts.now)) for name, job in all_])  # fmt: skip
    yield gauge("job_missed", "Whether it missed slots in the last hour.", ["job_name"],
                [(name, job.missed is not None) for name, job in all_])  # fmt: skip
    yield gauge("job_enabled", "Whether its schedule is on.", ["job_name"], [(name, job.enabled) for name, job in all_])
    yield gauge("job_paused", "Whether a person paused it.", ["job_name"],
                [(name, job.paused_at is not None) for name, job in all_])  # fmt: skip


def switches(facts: Facts) -> Iterator[Metric]:
    """Feature flags."""
    rows = [((state.flag.value,), float(state.value)) for state in facts.flags]
    yield gauge("flag", "Feature flags, 1 is on.", ["flag"], rows)


def life(facts: Facts) -> Iterator[Metric]:
    """Whether anybody works, and says when it is time to."""
    beating = alive(facts)
    yield figure("workers", "Workers that beat.", len(beating))
    scheduling = sum(schedules(worker, facts.now) for worker in beating)
    yield figure("workers_scheduling", "Workers that beat and whose scheduler lives.", scheduling)


def fleet(conn: Connection) -> Iterator[Metric]:
    """The queue, and each worker by host and process."""
    found = read_fleet(conn, ())
    running = conn.execute(text("SELECT count(*) FROM ops.runs WHERE state = 'running'")).scalar_one()
    waiting = [item.oldest for item in found.queue if item.oldest is not None]
    yield figure("queue_depth", "Runs that wait for a worker.", sum(item.queued for item in found.queue))
    yield figure(
        "queue_later", "Runs that wait for their time, such as retries.", sum(item.later for item in found.queue)
    )
    oldest = (found.now - min(waiting)).total_seconds() if waiting else 0.0
    yield figure("queue_oldest_seconds", "For how long the oldest has waited for a worker; 0 without any.", oldest)
    yield figure("runs_running", "Runs under way.", running)
    # One that was killed may have had the number of the one that came after it, as in containers: the newest beat counts.
    named = {(one.host, str(one.pid)): one for one in reversed(found.workers) if found.now - one.beat_at < _NAMED_FOR}
    workers = list(named.items())
    labels = ["host", "pid"]
    yield gauge("worker_beat_timestamp_seconds", "A worker's newest beat; one that signed off has none.", labels,
                [(who, stamp(one.beat_at)) for who, one in workers])  # fmt: skip
    yield gauge("worker_scheduler_timestamp_seconds", "When its scheduler last showed signs of life.", labels,
                [(who, stamp(one.scheduler_at)) for who, one in workers])  # fmt: skip
    yield gauge("worker_memory_bytes", "Memory of its process and all that it started.", labels,
                [(who, one.memory_bytes) for who, one in workers])  # fmt: skip
    yield gauge("worker_load1", "Load average of one minute of its host.", labels,
                [(who, one.load_1m) for who, one in workers])  # fmt: skip
    yield gauge("worker_cores", "Cores of its host.", labels, [(who, one.cores) for who, one in workers])
    yield gauge("worker_clock_skew_seconds", "Its host's clock against the database's; above zero it is ahead.", labels,
                [(who, None if one.skew_ms is None else one.skew_ms / 1000) for who, one in workers])  # fmt: skip
    yield gauge("worker_runs", "Runs that it executes.", labels, [(who, len(one.runs)) for who, one in workers])
    yield gauge("worker_concurrency", "Runs that it may execute at the same time.", labels,
                [(who, one.concurrency) for who, one in workers])  # fmt: skip
