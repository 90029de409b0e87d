"""The rules that come with the desk, as data, and how they get into the table.

Thresholds that are settings are in the signals already: `horizon.verdict` and `pending.late` judge by them. Holds are as
long as what is watched takes to recover by itself; what follows from something waits at least as long as its cause, so
that it is folded before anybody is told of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import Connection, text

from jobs.alerts.model import Rule, Step
from jobs.alerts.store import rule_values
from jobs.core import audit
from jobs.core.db import jsonb

MINUTE, HOUR, DAY = 60, 3_600, 86_400
TEAM = (Step(0, "team"),)
PAGE = (Step(0, "team"), Step(0, "on-call"), Step(15 * MINUTE, "on-call"), Step(30 * MINUTE, "role:devops"))
_CHAIN = ("reconcile-*", "retry-failed", "sync-wallets", "audit-history")
"""Jobs that ask Horizon: when none of its servers can be trusted they cannot do well."""
ON_CHAIN = ", ".join(_CHAIN)
OFF_CHAIN = ", ".join(f"!{name}" for name in _CHAIN)
NO_HORIZON, NO_WORKER, NO_SCHEDULER, NO_DATABASE = "horizon-down", "no-worker", "no-scheduler", "database-silent"
_NOBODY_WORKS = (NO_WORKER, NO_SCHEDULER)


def _rule(
    name: str,
    title: str,
    signal: str,
    condition: tuple[str, float],
    severity: Literal["warn", "critical"],
    *,
    subject: str = "*",
    for_s: int = 0,
    folds_into: tuple[str, ...] = (),
    runbook: str | None = None,
) -> Rule:
    comparison, threshold = condition
    critical = severity == "critical"
    return Rule(
        name=name,
        title=title,
        signal=signal,
        comparison=comparison,
        threshold=threshold,
        severity=severity,
        steps=PAGE if critical else TEAM,
        subject=subject,
        for_s=for_s,
        repeat_s=30 * MINUTE if critical else 4 * HOUR,
        folds_into=folds_into,
        runbook=runbook,
        shipped=True,
        changed_by="system",
    )


_RULES = (
    # Job failures
    _rule("job-failing", "A job keeps failing", "job.failures", (">=", 3), "critical", subject=OFF_CHAIN,
          folds_into=(*_NOBODY_WORKS, NO_DATABASE), runbook="rollback-critical"),
    _rule("job-failed", "A job failed", "job.failures", (">=", 1), "warn", subject=OFF_CHAIN, for_s=2 * MINUTE,
          folds_into=("job-failing", *_NOBODY_WORKS, NO_DATABASE)),
    _rule("chain-job-failing", "A job that asks Horizon keeps failing", "job.failures", (">=", 3), "critical",
          subject=ON_CHAIN, for_s=MINUTE, folds_into=(NO_HORIZON, *_NOBODY_WORKS, NO_DATABASE),
          runbook="rollback-critical"),
    _rule("chain-job-failed", "A job that asks Horizon failed", "job.failures", (">=", 1), "warn",
          subject=ON_CHAIN, for_s=2 * MINUTE, folds_into=("chain-job-failing", NO_HORIZON, *_NOBODY_WORKS, NO_DATABASE)),
    # High error rates
    _rule("job-error-rate", "Many runs of a job fail", "job.error_share", (">=", 0.2), "warn", subject=OFF_CHAIN,
          for_s=5 * MINUTE, folds_into=("job-failing", *_NOBODY_WORKS, NO_DATABASE)),
    _rule("chain-job-error-rate", "Many runs of a job that asks Horizon fail", "job.error_share", (">=", 0.2), "warn",
          subject=ON_CHAIN, for_s=5 * MINUTE, folds_into=("chain-job-failing", NO_HORIZON, *_NOBODY_WORKS, NO_DATABASE)),
    # Slow execution
    _rule("job-slow", "A job is much slower than usual", "job.slowness", (">=", 3), "warn", for_s=2 * MINUTE,
          folds_into=(NO_HORIZON, NO_DATABASE)),
    _rule("job-near-limit", "A job is near its time limit", "job.limit_share", (">=", 0.9), "warn", for_s=MINUTE,
          folds_into=(NO_HORIZON, NO_DATABASE)),
    # Missed runs
    _rule("job-overdue", "A job is overdue", "job.overdue_s", (">", 0), "critical", subject=OFF_CHAIN, for_s=MINUTE,
          folds_into=("job-failing", *_NOBODY_WORKS, NO_DATABASE), runbook="rollback-critical"),
    _rule("chain-job-overdue", "A job that asks Horizon is overdue", "job.overdue_s", (">", 0), "critical",
          subject=ON_CHAIN, for_s=MINUTE, folds_into=("chain-job-failing", NO_HORIZON, *_NOBODY_WORKS, NO_DATABASE),
          runbook="rollback-critical"),
    _rule("job-missed", "A job misses slots again and again", "job.missed", (">=", 3), "warn", for_s=2 * MINUTE,
          folds_into=("job-overdue", "chain-job-overdue", *_NOBODY_WORKS, NO_DATABASE)),
    # Workers
    _rule(NO_WORKER, "No worker runs", "workers.alive", ("<", 1), "critical", runbook="disaster-recovery"),
    _rule(NO_SCHEDULER, "No scheduler runs", "schedulers.alive", ("<", 1), "critical", for_s=30, folds_into=(NO_WORKER,),
          runbook="disaster-recovery"),
    _rule("worker-lost", "A worker fell silent", "workers.lost", (">=", 1), "warn", for_s=MINUTE,
          folds_into=(NO_WORKER,)),
    _rule("scheduler-silent", "A scheduler is silent", "schedulers.silent", (">=", 1), "warn", for_s=MINUTE,
          folds_into=_NOBODY_WORKS),
    _rule("clock-skew", "A host's clock is off", "clock.skew_ms", (">", 2_000), "warn", for_s=5 * MINUTE),
    # Database connection
    _rule(NO_DATABASE, "PostgreSQL cannot be probed", "database.silent_s", (">", 150), "critical", for_s=MINUTE,
          folds_into=_NOBODY_WORKS, runbook="disaster-recovery"),
    _rule("database-slow", "PostgreSQL is slow to connect", "database.connect_ms", (">", 1_000), "warn", for_s=2 * MINUTE),
    _rule("database-unreachable", "PostgreSQL hardly accepts connections", "database.connect_ms", (">", 5_000), "critical",
          for_s=2 * MINUTE, runbook="disaster-recovery"),
    _rule("database-connections", "PostgreSQL runs out of connections", "database.connections_ratio", (">=", 0.8), "warn",
          for_s=2 * MINUTE),
    _rule("database-connections-critical", "PostgreSQL has hardly a connection left", "database.connections_ratio",
          (">=", 0.95), "critical", for_s=MINUTE, runbook="disaster-recovery"),
    _rule("database-locks", "Locks are waited for", "database.locks_waiting", (">=", 5), "warn", for_s=3 * MINUTE),
    _rule("database-old-transaction", "A transaction stays open", "database.oldest_transaction_s", (">", 30 * MINUTE),
          "warn"),
    _rule("database-replication", "A replica is behind", "database.replication_lag_s", (">", 60), "warn",
          for_s=5 * MINUTE),
    _rule("database-dead-rows", "Many rows are dead", "database.dead_ratio", (">=", 0.4), "warn", for_s=6 * HOUR),
    _rule("database-full-soon", "PostgreSQL's disk is full within a week", "database.full_days", ("<", 7), "warn",
          for_s=HOUR, folds_into=("disk-full", "disk-full-soon")),
    # Stellar API
    _rule(NO_HORIZON, "No Horizon server can be trusted", "horizon.usable", ("<", 1), "critical", for_s=30,
          folds_into=_NOBODY_WORKS, runbook="rollback-stellar"),
    _rule("horizon-critical", "A Horizon server is critical", "horizon.verdict", (">=", 2), "critical", for_s=30,
          folds_into=(NO_HORIZON,), runbook="rollback-stellar"),
    _rule("horizon-warn", "A Horizon server does poorly", "horizon.verdict", (">=", 1), "warn", for_s=2 * MINUTE,
          folds_into=("horizon-critical", NO_HORIZON)),
    _rule("horizon-silent", "A Horizon server is not probed", "horizon.silent_s", (">", 0), "critical", for_s=MINUTE,
          folds_into=(*_NOBODY_WORKS, NO_DATABASE), runbook="rollback-stellar"),
    _rule("horizon-frozen", "Settling is frozen", "horizon.frozen", (">=", 1), "critical", folds_into=(NO_HORIZON,),
          runbook="rollback-stellar"),
    _rule("horizon-left", "A Horizon server was left", "horizon.left", (">=", 1), "warn", for_s=2 * MINUTE,
          folds_into=("horizon-critical", NO_HORIZON)),
    _rule("horizon-errors", "Horizon answers with errors", "horizon.error_share", (">", 0.25), "warn", for_s=2 * MINUTE,
          folds_into=("horizon-critical", NO_HORIZON, "horizon-warn")),
    _rule("horizon-slow", "Horizon answers slowly", "horizon.p95_ms", (">", 10_000), "warn", for_s=2 * MINUTE,
          folds_into=("horizon-critical", NO_HORIZON, "horizon-warn")),
    _rule("horizon-budget", "The request budget runs out", "horizon.budget_left", ("<", 0.05), "warn", for_s=2 * MINUTE,
          folds_into=("horizon-critical", "horizon-warn")),
    _rule("status-page", "The network reports an incident", "status_page.indicator", (">=", 2), "warn", for_s=2 * MINUTE),
    # Money
    _rule("pending-late", "Transactions are pending for too long", "pending.late", (">=", 1), "warn", for_s=5 * MINUTE,
          folds_into=("pending-old", NO_HORIZON, "horizon-frozen", *_NOBODY_WORKS)),
    _rule("pending-old", "A transaction has been pending for hours", "pending.oldest_s", (">", 6 * HOUR), "critical",
          for_s=5 * MINUTE, folds_into=(NO_HORIZON, "horizon-frozen", *_NOBODY_WORKS), runbook="rollback-critical"),
    _rule("money-at-stake", "Much money is at stake", "money.at_stake", (">", 1_000_000), "warn", for_s=15 * MINUTE),
    _rule("cases-open", "Cases wait for a decision", "cases.open", (">=", 1), "warn", for_s=2 * MINUTE,
          folds_into=("cases-old",)),
    _rule("cases-many", "Many cases were opened", "cases.opened", (">=", 20), "critical", runbook="rollback-data"),
    _rule("cases-old", "A case has waited for a day", "cases.oldest_s", (">", DAY), "critical"),
    _rule("ledger-mismatch", "The books do not balance", "integrity.findings", (">=", 1), "critical", subject="books",
          runbook="rollback-data"),
    _rule("wallet-drift", "Wallets do not hold what the books say", "integrity.findings", (">=", 1), "warn",
          subject="wallets", for_s=15 * MINUTE),
    _rule("history-mismatch", "The network contradicts what was settled", "integrity.findings", (">=", 1), "critical",
          subject="history", runbook="rollback-data"),
    _rule("events-late", "Events are late", "events.late", (">=", 1), "warn", for_s=5 * MINUTE),
    _rule("events-dead", "Events were given up", "events.dead", (">=", 1), "critical"),
    _rule("notices-dead", "The team was not told", "notices.dead", (">=", 1), "critical"),
    # Hosts
    _rule("disk-filling", "A disk fills up", "host.disk_used_ratio", (">=", 0.85), "warn", for_s=10 * MINUTE,
          folds_into=("disk-full",)),
    _rule("disk-full", "A disk is nearly full", "host.disk_used_ratio", (">=", 0.95), "critical", for_s=2 * MINUTE,
          runbook="disaster-recovery"),
    _rule("disk-full-soon", "A disk is full within a week", "host.disk_full_days", ("<", 7), "warn", for_s=HOUR,
          folds_into=("disk-full",)),
    _rule("memory-short", "A host runs out of memory", "host.memory_used_ratio", (">=", 0.95), "warn", for_s=10 * MINUTE),
    _rule("cpu-busy", "A host's processors are busy", "host.cpu_ratio", (">=", 0.95), "warn", for_s=30 * MINUTE),
    # The desk itself
    _rule("backup-old", "The newest backup is old", "backup.age_s", (">", 26 * HOUR), "critical", for_s=30 * MINUTE,
          runbook="disaster-recovery"),
    _rule("backup-broken", "A backup does not restore", "backup.broken", (">=", 1), "critical",
          runbook="disaster-recovery"),
    _rule("checklist-overdue", "A checklist is overdue", "checklist.overdue_s", (">", 0), "warn"),
    _rule("audit-broken", "The audit trail was changed", "audit.broken", (">=", 1), "critical"),
    _rule("audit-unsealed", "The audit trail is not sealed", "audit.unsealed_s", (">", 2 * MINUTE), "warn",
          for_s=2 * MINUTE, folds_into=_NOBODY_WORKS),
    _rule("flag-switched", "A flag is switched", "flag.unusual", (">=", 1), "warn", for_s=15 * MINUTE),
    _rule("version-unreleased", "A version runs without a release", "version.unreleased", (">=", 1), "warn",
          for_s=5 * MINUTE),
    _rule("certificate-ends", "A certificate ends soon", "certificate.days_left", ("<", 21), "warn",
          folds_into=("certificate-ends-now",)),
    _rule("certificate-ends-now", "A certificate ends within days", "certificate.days_left", ("<", 5), "critical"),
    _rule("secret-old", "A secret is to be renewed", "secret.age_days", (">", 180), "warn"),
    _rule("secret-differs", "Hosts disagree about a secret", "secret.values", (">", 1), "warn", for_s=5 * MINUTE),
)  # fmt: skip

SHIPPED: Mapping[str, Rule] = {rule.name: rule for rule in _RULES}


def seed_rules(conn: Connection) -> list[str]:
    """Adds the shipped rules that are not there yet and returns their names.

    One that nobody has edited (its version is still 1) follows this version's definition; an edited one stays as it is.
    """
    rows = conn.execute(text(_SEED), {"rules": jsonb([rule_values(rule) for rule in SHIPPED.values()])}).all()
    audit.record_many(
        conn,
        [
            audit.AuditRow(
                "system", "rule.added" if row.added else "rule.followed", "alert_rule", row.name, "migration"
            )
            for row in rows
        ],
    )
    return [row.name for row in rows if row.added]


# Ordered, so that two workers that start at the same moment wait for each other instead of for each other's rows.
_SEED = """
INSERT INTO ops.alert_rules AS r (name, title, signal, subject, comparison, threshold, for_s, severity, steps, repeat_s,
                                  folds_into, runbook, enabled, shipped, changed_by)
SELECT n.name, n.title, n.signal, n.subject, n.comparison, n.threshold, n.for_s, n.severity, n.steps, n.repeat_s,
       ARRAY(SELECT jsonb_array_elements_text(n.folds_into)), n.runbook, n.enabled, true, 'system'
  FROM jsonb_to_recordset(:rules) AS n (
       name text, title text, signal text, subject text, comparison text, threshold double precision, for_s integer,
       severity text, steps jsonb, repeat_s integer, folds_into jsonb, runbook text, enabled boolean)
 ORDER BY n.name
    ON CONFLICT (name) DO UPDATE
   SET title = excluded.title, signal = excluded.signal, subject = excluded.subject, comparison = excluded.comparison,
       threshold = excluded.threshold, for_s = excluded.for_s, severity = excluded.severity, steps = excluded.steps,
       repeat_s = excluded.repeat_s, folds_into = excluded.folds_into, runbook = excluded.runbook,
       enabled = excluded.enabled, changed_at = now(), changed_by = 'system'
 WHERE r.shipped AND r.version = 1
   AND (r.title, r.signal, r.subject, r.comparison, r.threshold, r.for_s, r.severity, r.steps, r.repeat_s, r.folds_into,
        r.runbook, r.enabled) IS DISTINCT FROM
       (excluded.title, excluded.signal, excluded.subject, excluded.comparison, excluded.threshold, excluded.for_s,
        excluded.severity, excluded.steps, excluded.repeat_s, excluded.folds_into, excluded.runbook, excluded.enabled)
RETURNING r.name, r.xmax = 0 AS added
"""
