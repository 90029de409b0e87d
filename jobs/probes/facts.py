"""Reads the facts that `attention` judges: a handful of statements, each bounded whatever the tables hold."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import Connection, text

from jobs.alerts.notices import TEST
from jobs.core.audit_seal import read_unsealed
from jobs.core.audit_verify import last_verification
from jobs.core.flags import list_flags
from jobs.core.settings import Settings
from jobs.horizon.breakers import breaker_of
from jobs.horizon.servers import servers
from jobs.integrity.findings import read_checks
from jobs.probes.attention import EVENTS_LATE, STALE_INTERVALS
from jobs.probes.model import (
    AuditFacts,
    BackupFacts,
    CheckFacts,
    EventFacts,
    Facts,
    JobFacts,
    NoticeFacts,
    PendingFacts,
    ServerFacts,
    VersionFacts,
    WorkerFacts,
)
from jobs.probes.overdue import read_overdue
from jobs.schedule.model import Schedule, fires
from jobs.schedule.store import list_schedules
from jobs.schedule.words import in_words

PROBE_JOB = "probe-horizon"
DELIVERY_JOB = "deliver-events"
_LOOK_BACK_RUNS, _MOST_ENDED = 200, 10_000

# What there is one of, in one question: each costs a way to the server and back, and every page asks.
_ONCE = text("""
    SELECT now() AS now, (SELECT max(beat_at) FROM ops.workers) AS last_worker_at, cases.n AS cases, cases.oldest AS oldest_case,
           unreleased.version, unreleased.first_seen_at, verified.file, verified.verified_at, verified.problem
    FROM (SELECT count(*) AS n, min(opened_at) AS oldest FROM ops.reconciliation_cases WHERE resolved_at IS NULL) AS cases
    LEFT JOIN (
        -- What it says it is now, that is the newest; what ran before is history.
        SELECT v.version, v.first_seen_at
        FROM (SELECT * FROM ops.app_versions ORDER BY last_seen_at DESC LIMIT 1) AS v
        WHERE NOT EXISTS (SELECT 1 FROM ops.checklist_runs WHERE kind = 'deployment'
            AND ltrim(fields ->> 'version', 'v') = ltrim(v.version, 'v'))
    ) AS unreleased ON true
    LEFT JOIN (
        SELECT file, verified_at, problem FROM ops.backups WHERE verified_at IS NOT NULL ORDER BY verified_at DESC LIMIT 1
    ) AS verified ON true
""")

# By the index of ended runs: since the last success, however many were skipped or failed, bounded where there is none.
_RUNS = text("""
    SELECT s.name, r.*
    FROM unnest(CAST(:names AS text[])) AS s (name)
    CROSS JOIN LATERAL (
        SELECT good.at AS last_success_at,
               (SELECT queued_at FROM (SELECT id, queued_at, state FROM ops.runs WHERE job = s.name
                                        ORDER BY id DESC LIMIT :look_back) AS newest
                 WHERE state NOT IN ('missed', 'skipped') ORDER BY id DESC LIMIT 1) AS last_run_at,
               bad.failures, bad.failing_since, bad.failed_run,
               (SELECT error FROM ops.runs WHERE id = bad.failed_run) AS error,
               (SELECT coalesce(error, 'no worker claimed them in time') FROM ops.runs WHERE id = missed.id) AS missed
        FROM (SELECT (SELECT finished_at FROM (SELECT finished_at, state FROM ops.runs
                                                WHERE job = s.name AND finished_at IS NOT NULL
                                                ORDER BY finished_at DESC LIMIT :ended) AS newest
                       WHERE state = 'succeeded' ORDER BY finished_at DESC LIMIT 1) AS at) AS good
        CROSS JOIN LATERAL (
            SELECT count(*) AS failures, min(finished_at) AS failing_since,
                   (array_agg(id ORDER BY finished_at DESC))[1] AS failed_run
            FROM (SELECT id, state, finished_at FROM ops.runs
                   WHERE job = s.name AND finished_at > coalesce(good.at, '-infinity')
                   ORDER BY finished_at DESC LIMIT :ended) AS since
            WHERE state IN ('failed', 'timed_out', 'lost')
        ) AS bad
        CROSS JOIN LATERAL (
            SELECT max(id) AS id FROM ops.runs
            WHERE job = s.name AND state = 'missed' AND finished_at > now() - interval '1 hour'
        ) AS missed
    ) AS r
""")

_SERVERS = text("""
    SELECT h.server, h.frozen_at, h.frozen_reason, h.blocked_until, s.at, s.verdict, s.reasons, s.age_s, s.lag,
           s.latest_ledger, s.passphrase, h.failures, h.openings, h.left_at, h.left_reason, h.retry_at, h.trial_until
    FROM ops.horizon_servers h
    LEFT JOIN LATERAL (
        SELECT at, verdict, reasons, age_s, lag, latest_ledger, passphrase FROM ops.horizon_samples
        WHERE server = h.server ORDER BY at DESC LIMIT 1
    ) AS s ON true
    WHERE h.server = ANY (CAST(:servers AS text[]))
    ORDER BY h.server
""")

_PENDING = text("""
    SELECT coalesce(currency, '') AS currency, count(*) AS n,
           coalesce(sum(amount) FILTER (WHERE amount < 'Infinity'), 0) AS amount,
           coalesce(min(created_at), now()) AS oldest,
           count(*) FILTER (WHERE created_at < now() - CAST(:after AS interval)) AS late
    FROM transactions WHERE status = 'PENDING' GROUP BY 1 ORDER BY count(*) DESC, currency
""")

_EVENTS = text("""
    WITH waiting AS (
        SELECT id, created_at FROM ops.outbox WHERE sent_at IS NULL AND dead_at IS NULL ORDER BY id LIMIT :most
    ), dead AS (
        SELECT dead_at FROM ops.outbox WHERE dead_at IS NOT NULL ORDER BY dead_at LIMIT :most
    ), oldest AS (
        SELECT transaction_id, error FROM ops.outbox
        WHERE sent_at IS NULL AND dead_at IS NULL ORDER BY id LIMIT 1
    )
    SELECT (SELECT count(*) FROM waiting) AS waiting,
           (SELECT count(*) FROM waiting WHERE created_at < now() - CAST(:late AS interval)) AS late,
           (SELECT min(created_at) FROM waiting) AS oldest,
           (SELECT transaction_id::text FROM oldest) AS oldest_of,
           (SELECT error FROM oldest) AS error,
           (SELECT count(*) FROM dead) AS dead,
           (SELECT min(dead_at) FROM dead) AS dead_since,
           (SELECT transaction_id::text FROM ops.outbox WHERE dead_at IS NOT NULL ORDER BY dead_at LIMIT 1) AS dead_of
""")
_MOST_EVENTS = 10_000
# Of tests nobody has to know; and after a day it is no news any more.
_NOTICES = text("""
    SELECT count(*) OVER () AS dead, min(ended_at) OVER () AS since, title, channel, coalesce(error, '') AS error
    FROM ops.notices WHERE state = 'dead' AND ended_at > now() - interval '1 day' AND key NOT LIKE :tests
    ORDER BY ended_at DESC LIMIT 1
""")


def read_facts(conn: Connection, settings: Settings) -> Facts:
    """The facts of this moment, by the database's clock."""
    once = conn.execute(_ONCE).one()
    schedules = list_schedules(conn)
    after = timedelta(minutes=settings.pending_warn_min)
    pending = conn.execute(_PENDING, {"after": after}).all()
    return Facts(
        now=once.now,
        jobs=_jobs(conn, schedules, once.now),
        workers=_workers(conn),
        last_worker_at=once.last_worker_at,
        servers=_servers(conn, settings),
        probe_interval_s=_probe_interval(schedules),
        pending=[PendingFacts(row.currency, row.n, row.amount, row.oldest) for row in pending],
        late_pending=sum(row.late for row in pending),
        pending_after=after,
        cases=once.cases,
        oldest_case=once.oldest_case,
        checks=[CheckFacts(one.check.value, one.as_of, one.findings, one.oldest) for one in read_checks(conn)],
        flags=list_flags(conn),
        events=_events(conn, schedules),
        notices=_notices(conn),
        audit=_audit(conn),
        overdue=read_overdue(conn),
        unreleased=VersionFacts(once.version, once.first_seen_at) if once.version is not None else None,
        backup=BackupFacts(once.file, once.verified_at, once.problem) if once.file is not None else None,
    )


def _jobs(conn: Connection, schedules: list[Schedule], now: datetime) -> list[JobFacts]:
    rows = {
        row.name: row
        for row in conn.execute(
            _RUNS,
            {
                "names": [schedule.name for schedule in schedules],
                "look_back": _LOOK_BACK_RUNS,
                "ended": _MOST_ENDED,
            },
        )
    }
    found = []
    for schedule in schedules:
        row = rows[schedule.name]
        paused = schedule.paused(now)
        found.append(
            JobFacts(
                name=schedule.name,
                every=in_words(schedule),
                enabled=schedule.enabled,
                due_by=_due_by(schedule, row.last_success_at),
                last_success_at=row.last_success_at,
                last_run_at=row.last_run_at,
                failures=row.failures,
                failing_since=row.failing_since,
                failed_run=row.failed_run,
                error=row.error,
                missed=row.missed,
                paused_at=schedule.paused_at if paused else None,
                paused_until=schedule.paused_until if paused else None,
                paused_by=schedule.paused_by if paused else None,
                paused_reason=schedule.paused_reason if paused else None,
            )
        )
    return found


def _due_by(schedule: Schedule, last_success: datetime | None) -> datetime | None:
    """When the next success is late: after the first fire of a cron schedule, the third of an interval, and its time."""
    since = max(last_success or schedule.live_since, schedule.live_since)
    slots = STALE_INTERVALS if schedule.kind == "interval" else 1
    due = next(islice(fires(schedule, since), slots - 1, None), None)
    return None if due is None else due + timedelta(seconds=schedule.jitter_s + schedule.timeout_s + schedule.grace_s)


def _workers(conn: Connection) -> list[WorkerFacts]:
    # A worker that died without a word is named for an hour.
    rows = conn.execute(
        text(
            "SELECT host, beat_at, scheduler_at, skew_ms FROM ops.workers"
            " WHERE stopped_at IS NULL AND beat_at > now() - interval '1 hour' ORDER BY host, started_at"
        )
    )
    return [WorkerFacts(**row._mapping) for row in rows]


def _servers(conn: Connection, settings: Settings) -> list[ServerFacts]:
    return [
        ServerFacts(
            server=row.server,
            sampled_at=row.at,
            verdict=row.verdict,
            reasons=tuple(str(reason["sentence"]) for reason in row.reasons or () if reason.get("verdict") != "ok"),
            age_s=row.age_s,
            lag=row.lag,
            latest_ledger=row.latest_ledger if row.passphrase == settings.passphrase else None,
            breaker=breaker_of(row),
            frozen_at=row.frozen_at,
            frozen_reason=row.frozen_reason,
            blocked_until=row.blocked_until,
        )
        for row in conn.execute(_SERVERS, {"servers": list(servers(settings))})
    ]


def _events(conn: Connection, schedules: list[Schedule]) -> EventFacts | None:
    """None where no receiver is configured: a worker that starts switches the schedule as its settings say."""
    if not any(schedule.name == DELIVERY_JOB and schedule.enabled for schedule in schedules):
        return None
    row = conn.execute(_EVENTS, {"most": _MOST_EVENTS, "late": EVENTS_LATE}).one()
    return EventFacts(**row._mapping)


def _audit(conn: Connection) -> AuditFacts:
    unsealed, verified = read_unsealed(conn), last_verification(conn)
    broken, at = (None, None) if verified is None else (verified.broken, verified.verified_at)
    return AuditFacts(broken, at, unsealed.count, unsealed.oldest)


def _notices(conn: Connection) -> NoticeFacts | None:
    row = conn.execute(_NOTICES, {"tests": f"{TEST}%"}).one_or_none()
    return None if row is None else NoticeFacts(**row._mapping)


def _probe_interval(schedules: list[Schedule]) -> float:
    for schedule in schedules:
        if schedule.name == PROBE_JOB and schedule.kind == "interval" and schedule.expression.isdecimal():
            return float(schedule.expression)
    return 15.0
