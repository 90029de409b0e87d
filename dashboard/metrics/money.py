"""Money that waits, the books, and what proves them: events, notices, the audit chain, backups, checklists."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric
from sqlalchemy import Connection, text

from dashboard.metrics.families import MOST_LABELS, age, bounded, figure, gauge, stamp
from jobs.probes.model import Facts

_BACKUP = text("SELECT made_at, bytes FROM ops.backups ORDER BY made_at DESC LIMIT 1")
_LISTS = text("""
SELECT count(*) AS open, count(*) FILTER (WHERE due_at < now()) AS overdue FROM ops.checklist_runs WHERE state = 'open'
""")


def money(facts: Facts) -> Iterator[Metric]:
    """Transactions and cases that wait."""
    waiting = facts.pending  # by currency, the most first
    yield gauge("pending_transactions", "Transactions that wait for the chain.", ["currency"],
                bounded({item.currency: float(item.count) for item in waiting}))  # fmt: skip
    yield gauge("pending_amount", "What they come to, in the currency's own unit.", ["currency"],
                [((item.currency,), float(item.amount)) for item in waiting[:MOST_LABELS]])  # fmt: skip
    oldest = sorted(waiting, key=lambda item: item.oldest)[:MOST_LABELS]
    yield gauge("pending_oldest_seconds", "Age of the oldest of them.", ["currency"],
                [((item.currency,), age(item.oldest, facts.now)) for item in oldest])  # fmt: skip
    yield figure(
        "pending_late", "Of them, those that have waited longer than NEXAOPS_PENDING_WARN_MIN.", facts.late_pending
    )
    yield figure("cases_open", "Cases that wait for a decision.", facts.cases)
    yield figure("case_oldest_seconds", "Age of the oldest of them; 0 without any.", age(facts.oldest_case, facts.now))


def told(facts: Facts) -> Iterator[Metric]:
    """Events for another system, where one is configured, and notices to the team."""
    receiver = [] if facts.events is None else [facts.events]
    yield gauge("events_waiting", "Events that the other system has not taken yet, up to 10,000.",
                rows=[((), events.waiting) for events in receiver])  # fmt: skip
    yield gauge("events_late", "Of them, those that have waited for a quarter of an hour.",
                rows=[((), events.late) for events in receiver])  # fmt: skip
    yield gauge("events_dead", "Events that were given up, up to 10,000.",
                rows=[((), events.dead) for events in receiver])  # fmt: skip
    yield gauge("event_oldest_seconds", "Age of the oldest that waits; 0 without any.",
                rows=[((), age(events.oldest, facts.now)) for events in receiver])  # fmt: skip
    yield figure(
        "notices_dead", "Notices of the last day that a channel never took.", facts.notices.dead if facts.notices else 0
    )


def books(facts: Facts) -> Iterator[Metric]:
    """What differs, and since when it is known that nothing else does."""
    yield gauge("integrity_findings_open", "What differs in the books.", ["check"],
                [((check.name,), check.findings) for check in facts.checks])  # fmt: skip
    yield gauge("integrity_proved_timestamp_seconds", "When its last whole pass began.", ["check"],
                [((check.name,), stamp(check.as_of)) for check in facts.checks])  # fmt: skip
    audit = facts.audit
    yield figure("audit_intact", "Whether the audit chain held when it was last verified; no value: it never was.",
                 None if audit.verified_at is None else audit.broken is None)  # fmt: skip
    yield figure(
        "audit_verified_timestamp_seconds", "When the audit chain was last verified.", stamp(audit.verified_at)
    )
    yield figure("audit_unsealed_rows", "Rows of the audit trail that wait for their link.", audit.unsealed)
    yield figure("audit_unsealed_oldest_seconds", "For how long the oldest of them has; 0 without any.",
                 age(audit.oldest_unsealed, facts.now))  # fmt: skip
    backup = facts.backup
    yield figure("backup_verified_timestamp_seconds", "When a backup was last restored to prove it.",
                 stamp(backup.verified_at) if backup else None)  # fmt: skip
    yield figure("backup_restores", "Whether that one restored whole; no value: none was tried.",
                 backup.problem is None if backup else None)  # fmt: skip
    yield figure("unreleased_version", "Whether a version without a release runs in production.",
                 facts.unreleased is not None)  # fmt: skip


def upkeep(conn: Connection) -> Iterator[Metric]:
    """The newest backup, and the checklists in hand."""
    newest = conn.execute(_BACKUP).one_or_none()
    yield figure("backup_made_timestamp_seconds", "Of the newest backup: everything committed before is in it.",
                 stamp(newest.made_at) if newest else None)  # fmt: skip
    yield figure("backup_size_bytes", "Of the newest backup.", newest.bytes if newest else None)
    lists = conn.execute(_LISTS).one()
    yield figure("checklists_open", "Checklists in hand.", lists.open)
    yield figure("checklists_overdue", "Of them, those that should have ended.", lists.overdue)
