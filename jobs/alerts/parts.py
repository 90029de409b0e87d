"""What an incident bundle holds: each part a statement whose rows become lines of JSON, the newest first.

Every part is bounded, and nobody's data is in it beyond ids: cases without what was paid, the trail without what it says
of people and contacts, notices without their text.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, text

from jobs.core.schema import revision
from jobs.core.settings import Settings, variables
from jobs.horizon.servers import label_of


@dataclass(frozen=True, slots=True)
class Part:
    """One member: its name, the statement with `:since`, `:until` and `:most`, and how many rows it may have."""

    name: str
    statement: str
    most: int


PARTS = (
    Part(
        "runs.jsonl",
        "SELECT id, job, schedule, slot, trigger, triggered_by, reason, params, dry_run, state, attempt, retry_of, worker_id,"
        " host, queued_at, started_at, finished_at, stop_by, counters, progress_done, progress_total, error_class, error,"
        " trace FROM ops.runs WHERE queued_at < :until AND (finished_at IS NULL OR finished_at >= :since)"
        " ORDER BY id DESC LIMIT :most",
        20_000,
    ),
    Part(
        "run_logs.jsonl",
        "SELECT l.run_id, l.at, l.level, l.event, l.fields FROM"
        " (SELECT id FROM ops.runs WHERE queued_at < :until AND (finished_at IS NULL OR finished_at >= :since)"
        "   AND state IN ('failed', 'timed_out', 'lost', 'stopped', 'running') ORDER BY id DESC LIMIT 200) r"
        " JOIN ops.run_logs l ON l.run_id = r.id ORDER BY l.run_id DESC, l.id DESC LIMIT :most",
        100_000,
    ),
    Part(
        "horizon_samples.jsonl",
        "SELECT * FROM ops.horizon_samples WHERE at >= :since AND at < :until ORDER BY at DESC LIMIT :most",
        20_000,
    ),
    Part(
        "horizon_requests.jsonl",
        "SELECT * FROM ops.horizon_requests WHERE minute >= :since AND minute < :until ORDER BY minute DESC LIMIT :most",
        20_000,
    ),
    Part(
        "samples.jsonl",
        "SELECT s.subject, s.metric, x.at, x.value FROM ops.samples x JOIN ops.series s ON s.id = x.series"
        " WHERE x.at >= :since AND x.at < :until ORDER BY x.at DESC LIMIT :most",
        100_000,
    ),
    Part("horizon_servers.jsonl", "SELECT * FROM ops.horizon_servers ORDER BY server LIMIT :most", 100),
    Part("flags.jsonl", "SELECT * FROM ops.flags ORDER BY name LIMIT :most", 100),
    Part("schedules.jsonl", "SELECT * FROM ops.schedules ORDER BY name LIMIT :most", 1_000),
    Part(
        "workers.jsonl",
        "SELECT * FROM ops.workers WHERE stopped_at IS NULL OR stopped_at >= :since ORDER BY started_at DESC LIMIT :most",
        1_000,
    ),
    Part("leases.jsonl", "SELECT * FROM ops.leases ORDER BY name LIMIT :most", 100),
    Part(
        "open_cases.jsonl",
        "SELECT id, transaction_id, reason, opened_at FROM ops.reconciliation_cases WHERE resolved_at IS NULL"
        " ORDER BY id DESC LIMIT :most",
        20_000,
    ),
    Part(
        "notices.jsonl",
        "SELECT id, key, channel, state, attempts, created_at, ended_at, error FROM ops.notices"
        " WHERE created_at < :until AND (ended_at IS NULL OR ended_at >= :since) ORDER BY id DESC LIMIT :most",
        1_000,
    ),
    Part(
        "alerts.jsonl",
        "SELECT * FROM ops.alerts WHERE began_at < :until AND (resolved_at IS NULL OR resolved_at >= :since)"
        " ORDER BY id DESC LIMIT :most",
        5_000,
    ),
    Part(
        "alert_readings.jsonl",
        # And of each the last one before: a reading stands until the next.
        "SELECT * FROM (SELECT * FROM ops.alert_readings WHERE at >= :since AND at < :until UNION ALL"
        " (SELECT DISTINCT ON (signal, subject) * FROM ops.alert_readings WHERE at < :since"
        "  ORDER BY signal, subject, at DESC)) AS found ORDER BY at DESC LIMIT :most",
        50_000,
    ),
    Part("alert_rules.jsonl", "SELECT * FROM ops.alert_rules ORDER BY name LIMIT :most", 1_000),
    Part(
        "silences.jsonl",
        "SELECT * FROM ops.silences WHERE starts_at < :until AND least(ends_at, ended_at) >= :since"
        " ORDER BY id DESC LIMIT :most",
        1_000,
    ),
    Part(
        "incidents.jsonl",
        "SELECT i.*, (SELECT jsonb_agg(a.alert_id ORDER BY a.alert_id) FROM ops.incident_alerts a"
        "   WHERE a.incident_id = i.id) AS alerts,"
        " (SELECT jsonb_agg(jsonb_build_object('at', e.at, 'author', e.author, 'kind', e.kind, 'body', e.body) ORDER BY e.id)"
        "   FROM ops.incident_entries e WHERE e.incident_id = i.id) AS entries"
        " FROM ops.incidents i WHERE began_at < :until AND (resolved_at IS NULL OR resolved_at >= :since)"
        " ORDER BY id DESC LIMIT :most",
        200,
    ),
    Part(
        "audit.jsonl",
        "SELECT id, at, actor, action, entity, entity_id, reason, origin,"
        " CASE WHEN entity NOT IN ('person', 'contact') THEN old END AS old,"
        " CASE WHEN entity NOT IN ('person', 'contact') THEN new END AS new"
        " FROM ops.audit WHERE at >= :since AND at < :until ORDER BY id DESC LIMIT :most",
        50_000,
    ),
)


def shown_settings(settings: Settings) -> dict[str, Any]:
    """Every setting by its variable, fit to be read by anybody: secrets only as set or not, addresses without keys."""
    return {variables(field)[0]: _shown(getattr(settings, name)) for name, field in Settings.model_fields.items()}


def versions(conn: Connection) -> dict[str, Any]:
    """What runs here: the database, its migrations, this machine's Python and every installed package."""
    return {
        "postgresql": conn.execute(text("SELECT version()")).scalar_one(),
        "migration": revision(conn),
        "python": sys.version,
        "platform": platform.platform(),
        "packages": {one.name: one.version for one in sorted(distributions(), key=lambda one: one.name.lower())},
    }


def _shown(value: object) -> Any:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value() else "not set"
    if isinstance(value, Mapping):  # commands: what they are given may be secret
        return sorted(value)
    if isinstance(value, tuple):
        return [_shown(each) for each in value]
    if isinstance(value, str) and "://" in value:
        return label_of(value)
    return str(value) if isinstance(value, Path) else value
