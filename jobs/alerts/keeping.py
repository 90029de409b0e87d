"""What an evaluation leaves in the tables: readings, the time that was watched, and the changes of alerts.

Each is one statement over the whole set. An alert changes only if it still is in the state that was judged, and a new one
only if there is none: what somebody else did first stays, and has its own audit row. While one begins its rule cannot be
deleted, and of a rule that has just been deleted none begins: nobody would be told in whose words it ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from jobs.alerts.model import Alert, Reading
from jobs.alerts.rules import FLAPPING_WITHIN, Change, Fold, Key
from jobs.core import audit
from jobs.core.db import jsonb

EVERY_S = 15
GAP = timedelta(seconds=4 * EVERY_S)
"""What lies longer between two evaluations was not watched."""
GONE = float("nan")
"""Kept of what is measured no more: what fired for it has ended, which a lack of data (None) would not do."""
_ENGINE = (
    "state", "value", "sentence", "link", "fired_at", "seen_at", "quiet_since", "resolved_at", "resolution", "flapping",
)  # fmt: skip
"""What only an evaluation writes; acknowledgements and tellings are others' and are left alone."""
_TYPES: Mapping[str, str] = {
    "value": "double precision", "flapping": "boolean", "fired_at": "timestamptz", "seen_at": "timestamptz",
    "quiet_since": "timestamptz", "resolved_at": "timestamptz", "began_at": "timestamptz",
}  # fmt: skip


def last_readings(conn: Connection) -> dict[tuple[str, str], float | None]:
    """What every signal and subject read last, without what is measured no more."""
    return {(row.signal, row.subject): row.value for row in conn.execute(text(_LAST))}


def ever_read(conn: Connection) -> list[tuple[str, str]]:
    """Every signal and subject of which a reading is kept."""
    return [(row.signal, row.subject) for row in conn.execute(text(_NAMED))]


def keep_readings(
    conn: Connection, readings: Sequence[Reading], known: Mapping[tuple[str, str], float | None], now: datetime
) -> int:
    """Keeps what differs from the last time, and that what is not read any more is GONE; how many rows."""
    read = {(reading.signal, reading.subject): reading.value for reading in readings}
    gone = {key: GONE for key in known if key not in read}
    changed = {key: value for key, value in read.items() if key not in known or known[key] != value} | gone
    if changed:
        conn.execute(
            text(_KEEP),
            {
                "signals": [signal for signal, _ in changed],
                "subjects": [subject for _, subject in changed],
                "values": list(changed.values()),
                "now": now,
            },
        )
    return len(changed)


def keep_watching(conn: Connection, now: datetime) -> None:
    """Says that the signals were read now: the newest stretch goes on, or after a gap another begins."""
    conn.execute(text(_WATCH), {"now": now, "gap": GAP})


def fired_lately(conn: Connection, now: datetime) -> dict[Key, int]:
    """How often what has been resolved had fired within FLAPPING_WITHIN."""
    rows = conn.execute(
        text(
            "SELECT rule, subject, count(*) AS n FROM ops.alerts WHERE fired_at > :since AND state = 'resolved'"
            " GROUP BY rule, subject"
        ),
        {"since": now - FLAPPING_WITHIN},
    )
    return {(row.rule, row.subject): row.n for row in rows}


def ended_causes(conn: Connection, alerts: Sequence[Alert]) -> dict[int, datetime]:
    """When what explains some of these alerts was resolved; without what still fires."""
    ids = [alert.folded_into for alert in alerts if alert.folded_into is not None]
    if not ids:
        return {}
    rows = conn.execute(
        text(
            "SELECT id, resolved_at FROM ops.alerts WHERE id = ANY (CAST(:ids AS bigint[])) AND resolved_at IS NOT NULL"
        ),
        {"ids": ids},
    )
    return {row.id: row.resolved_at for row in rows}


def apply(conn: Connection, changes: Sequence[Change], *, actor: str) -> list[Change]:
    """Writes the changes with their audit rows and returns those that were written; new ones with their number."""
    written = [
        *_insert(conn, [change.after for change in changes if change.before is None and change.after is not None]),
        *_update(conn, [change for change in changes if change.before is not None and change.after is not None]),
    ]
    dropped = [change.before.id for change in changes if change.before is not None and change.after is None]
    if dropped:
        conn.execute(
            text("DELETE FROM ops.alerts WHERE id = ANY (CAST(:ids AS bigint[])) AND state = 'pending'"),
            {"ids": dropped},
        )
    rows = []
    for change in written:
        alert = change.after
        if alert is not None and (change.fired or change.resolved):
            new = {"rule": alert.rule, "subject": alert.subject, "severity": alert.severity, "value": alert.value}
            action = "alert.fired" if change.fired else "alert.resolved"
            why = alert.sentence if change.fired else alert.resolution
            if change.fired and alert.flapping:
                new["flapping"] = True
            rows.append(audit.AuditRow(actor, action, "alert", str(alert.id), "job", new=new, reason=why))
    audit.record_many(conn, rows)
    return written


def apply_folds(conn: Connection, folds: Sequence[Fold], *, actor: str) -> int:
    """Writes which alerts follow from which, with their audit rows; how many."""
    if not folds:
        return 0
    rows = jsonb([{"id": one.alert.id, "was": one.alert.folded_into, "into": one.into} for one in folds])
    done = set(conn.execute(text(_FOLD), {"rows": rows}).scalars())
    audit.record_many(
        conn,
        [
            audit.AuditRow(
                actor,
                "alert.unfolded" if one.into is None else "alert.folded",
                "alert",
                str(one.alert.id),
                "job",
                new=None if one.into is None else {"into": one.into},
            )
            for one in folds
            if one.alert.id in done
        ],
    )
    return len(done)


def _insert(conn: Connection, alerts: Sequence[Alert]) -> list[Change]:
    if not alerts:
        return []
    rows = conn.execute(text(_INSERT), {"rows": jsonb([asdict(alert) for alert in alerts])})
    ids = {(row.rule, row.subject): row.id for row in rows}
    return [
        Change(None, replace(alert, id=ids[alert.rule, alert.subject]))
        for alert in alerts
        if (alert.rule, alert.subject) in ids
    ]


def _update(conn: Connection, changes: Sequence[Change]) -> list[Change]:
    if not changes:
        return []
    rows = [
        {**asdict(change.after), "was": change.before.state}
        for change in changes
        if change.after is not None and change.before is not None
    ]
    done = set(conn.execute(text(_UPDATE), {"rows": jsonb(rows)}).scalars())
    return [change for change in changes if change.after is not None and change.after.id in done]


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in names)


_BORN = ("rule", "signal", "subject", "severity", "began_at", *_ENGINE)
_INSERT = f"""
INSERT INTO ops.alerts ({", ".join(_BORN)})
SELECT {", ".join(f"n.{name}" for name in _BORN)}
  FROM jsonb_to_recordset(:rows) AS n ({_columns(_BORN)}) JOIN ops.alert_rules r ON r.name = n.rule
   FOR KEY SHARE OF r
    ON CONFLICT (rule, subject) WHERE state <> 'resolved' DO NOTHING
RETURNING id, rule, subject
"""  # noqa: S608 - names of this file, here and below
_UPDATE = f"""
UPDATE ops.alerts a SET {", ".join(f"{name} = n.{name}" for name in _ENGINE)},
       folded_into = CASE WHEN n.state = 'resolved' THEN NULL ELSE a.folded_into END
  FROM jsonb_to_recordset(:rows) AS n (id bigint, was text, {_columns(_ENGINE)})
 WHERE a.id = n.id AND a.state = n.was
RETURNING a.id
"""  # noqa: S608
_FOLD = """
UPDATE ops.alerts a SET folded_into = n."into"
  FROM jsonb_to_recordset(:rows) AS n (id bigint, was bigint, "into" bigint)
 WHERE a.id = n.id AND a.state = 'firing' AND a.folded_into IS NOT DISTINCT FROM n.was
RETURNING a.id
"""

# A loose scan of the primary key: a handful of steps whatever the table holds.
_SIGNALS = """
WITH RECURSIVE named AS (
    (SELECT signal, subject FROM ops.alert_readings ORDER BY signal, subject LIMIT 1)
    UNION ALL
    SELECT n.signal, n.subject FROM named s CROSS JOIN LATERAL (
        SELECT signal, subject FROM ops.alert_readings r WHERE (r.signal, r.subject) > (s.signal, s.subject)
        ORDER BY signal, subject LIMIT 1) AS n
)
"""
_NAMED = f"{_SIGNALS} SELECT signal, subject FROM named"  # noqa: S608 - parts of this file, here and below
_LAST = f"""{_SIGNALS}
SELECT n.signal, n.subject, l.value FROM named n CROSS JOIN LATERAL (
    SELECT value FROM ops.alert_readings r WHERE r.signal = n.signal AND r.subject = n.subject ORDER BY at DESC LIMIT 1
) AS l WHERE l.value IS DISTINCT FROM 'NaN'
"""  # noqa: S608
_KEEP = """
INSERT INTO ops.alert_readings (signal, subject, at, value)
SELECT signal, subject, :now, value
  FROM unnest(CAST(:signals AS text[]), CAST(:subjects AS text[]), CAST(:values AS double precision[]))
       AS n (signal, subject, value)
    ON CONFLICT (signal, subject, at) DO UPDATE SET value = excluded.value
"""
_WATCH = """
WITH newest AS (
    UPDATE ops.alert_watches SET until = greatest(until, :now)
     WHERE began_at = (SELECT max(began_at) FROM ops.alert_watches) AND until >= CAST(:now AS timestamptz) - CAST(:gap AS interval)
    RETURNING began_at
)
INSERT INTO ops.alert_watches (began_at, until) SELECT :now, :now WHERE NOT EXISTS (SELECT FROM newest)
    ON CONFLICT (began_at) DO NOTHING
"""
