"""The outbox of notices: what is to be told on which channel, who may send it now, and what became of it.

At least once on every channel, and each channel by itself: one that is down is tried again and the others are left
alone. A try is counted before it is made and claimed for some seconds by the database's clock, so a sender that is
killed holds a notice up no longer than that. What was given up stays as a row, and the same notice asked for again tries
exactly those channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core import audit
from jobs.run.backoff import FIRST_S, MOST_S, retry_after_s

SEND_NOTICE = "send-notice"
TEST = "test-"
"""How the key of a test begins, of which nobody has to know that it was given up."""
ALERT = "alert-"
"""How the key of a notice begins that the alerts put in by themselves."""
RETRIES = 12
PATIENCE = "an hour and a quarter"
"""How long that takes, the wait doubling each time; what is told later tells nobody."""
CLAIM_S = 90
"""Longer than a channel may take for one notice."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice on one channel; `attempts` counts the try that is being made."""

    id: int
    key: str
    channel: str
    title: str
    body: str
    state: str
    """waiting, delivered or dead"""
    attempts: int
    created_at: datetime
    ended_at: datetime | None
    error: str | None


def put(
    conn: Connection,
    key: str,
    title: str,
    body: str,
    channels: Sequence[str],
    *,
    actor: str,
    origin: str,
    alerts: Sequence[int] = (),
) -> int:
    """Puts a notice in for these channels, with its audit row; returns on how many of them it is to be sent now.

    Where it waits or was delivered under this key, nothing changes; where it was given up, it is tried anew. `alerts` are
    the numbers of those that it tells of.
    """
    waiting = conn.execute(
        text(
            "INSERT INTO ops.notices AS n (key, channel, title, body, created_by, alerts)"
            " SELECT :key, channel, :title, :body, :actor, CAST(:alerts AS bigint[])"
            " FROM unnest(CAST(:channels AS text[])) AS channel"
            " ON CONFLICT (key, channel) DO UPDATE SET title = excluded.title, body = excluded.body, state = 'waiting',"
            "   attempts = 0, created_at = now(), created_by = excluded.created_by, next_at = now(), ended_at = NULL,"
            "   claimed_by = NULL, claimed_until = NULL, error = NULL WHERE n.state = 'dead'"
            " RETURNING n.channel"
        ),
        {
            "key": key,
            "title": title,
            "body": body,
            "actor": actor,
            "channels": list(channels),
            "alerts": list(alerts),
        },
    ).scalars()
    names = sorted(waiting)
    if names:
        new = {"title": title, "channels": names}
        audit.record(conn, audit.AuditRow(actor, "notice.added", "notice", key, origin, new=new))
    return len(names)


def claim(conn: Connection, claimant: UUID, *, key: str | None) -> Notice | None:
    """Takes the next notice that is due, of this key or of any; None if nothing is.

    What was tried least comes first: what waits for a channel that hangs keeps nothing new waiting.
    """
    row = conn.execute(text(_CLAIM), {"claimant": claimant, "key": key, "claim_s": CLAIM_S}).one_or_none()
    return None if row is None else Notice(**row._mapping)


def conclude(
    conn: Connection, claimant: UUID, notice: Notice, error: str | None, *, retries: int, actor: str, origin: str
) -> str:
    """Writes what became of a try and returns the state: delivered, waiting for the next one, or dead after the last.

    Returns `lost` where the claim had run out and another sender has taken the notice over: then it is theirs.
    """
    wait_s = (
        None
        if error is None
        else retry_after_s(attempt=notice.attempts, retries=retries, first_s=FIRST_S, most_s=MOST_S)
    )
    state = "delivered" if error is None else "waiting" if wait_s is not None else "dead"
    ours = conn.execute(
        text(
            "UPDATE ops.notices SET state = :state, error = :error, claimed_by = NULL, claimed_until = NULL,"
            " next_at = clock_timestamp() + make_interval(secs => :wait_s),"
            " ended_at = CASE WHEN :state <> 'waiting' THEN clock_timestamp() END"
            " WHERE id = :id AND claimed_by = :claimant AND state = 'waiting'"
        ),
        {"id": notice.id, "claimant": claimant, "state": state, "error": error, "wait_s": float(wait_s or 0)},
    ).rowcount
    if not ours:
        return "lost"
    if state != "waiting":
        action = "notice.delivered" if state == "delivered" else "notice.given_up"
        new = {"channel": notice.channel, "title": notice.title, "attempts": notice.attempts}
        audit.record(conn, audit.AuditRow(actor, action, "notice", notice.key, origin, new=new, reason=error))
    return state


def count_due(conn: Connection) -> int:
    """How many notices could be sent now."""
    due = text("SELECT count(*) FROM ops.notices WHERE state = 'waiting' AND next_at <= now()")
    return int(conn.execute(due).scalar_one())


def list_notices(conn: Connection, *, limit: int = 50) -> list[Notice]:
    """The newest first."""
    rows = conn.execute(
        text(f"SELECT {_COLUMNS} FROM ops.notices n ORDER BY n.created_at DESC, n.id DESC LIMIT :limit"),  # noqa: S608
        {"limit": limit},
    )
    return [Notice(**row._mapping) for row in rows]


def sent_by_people(conn: Connection, channels: Sequence[str], since: datetime, limit: int = 200) -> list[Notice]:
    """What people sent on these channels from `since` on, the newest first, so many a channel: neither tests nor alerts."""
    rows = conn.execute(
        text(
            f"SELECT {_COLUMNS} FROM unnest(CAST(:channels AS text[])) AS wanted (channel) CROSS JOIN LATERAL"  # noqa: S608
            " (SELECT * FROM ops.notices WHERE channel = wanted.channel AND created_at >= :since"
            "   AND NOT starts_with(key, :test) AND NOT starts_with(key, :alert)"
            "   ORDER BY created_at DESC, id DESC LIMIT :limit) n"
            " ORDER BY n.created_at DESC, n.id DESC"
        ),
        {"channels": list(channels), "since": since, "test": TEST, "alert": ALERT, "limit": limit},
    )
    return [Notice(**row._mapping) for row in rows]


def newest_on(conn: Connection, channels: Sequence[str], *, ended_since: datetime | None = None) -> dict[str, Notice]:
    """The newest notice on each of these channels, tests included; those on which there never was one are left out.

    With `ended_since` the newest that was delivered or given up, of those put in from then on.
    """
    rows = conn.execute(
        text(
            f"SELECT {_COLUMNS} FROM unnest(CAST(:channels AS text[])) AS wanted (channel) CROSS JOIN LATERAL"  # noqa: S608
            " (SELECT * FROM ops.notices WHERE channel = wanted.channel"
            "   AND (CAST(:since AS timestamptz) IS NULL OR (state <> 'waiting' AND created_at >= :since))"
            "   ORDER BY created_at DESC LIMIT 1) n"
        ),
        {"channels": list(channels), "since": ended_since},
    )
    return {row.channel: Notice(**row._mapping) for row in rows}


def given_up_on(conn: Connection, channels: Sequence[str], since: datetime) -> dict[str, int]:
    """How many notices were given up on each of these channels from `since` on, without tests; channels with none are left out."""
    rows = conn.execute(
        text(
            "SELECT channel, count(*) AS n FROM ops.notices WHERE state = 'dead' AND ended_at >= :since"
            " AND NOT starts_with(key, :test) AND channel = ANY (CAST(:channels AS text[])) GROUP BY channel"
        ),
        {"channels": list(channels), "since": since, "test": TEST},
    )
    return {row.channel: row.n for row in rows}


_COLUMNS = "n.id, n.key, n.channel, n.title, n.body, n.state, n.attempts, n.created_at, n.ended_at, n.error"

_CLAIM = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM ops.notices
     WHERE state = 'waiting' AND next_at <= clock_timestamp()
       AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())
       AND (CAST(:key AS text) IS NULL OR key = :key)
     ORDER BY attempts, next_at, id LIMIT 1
       FOR UPDATE SKIP LOCKED
)
UPDATE ops.notices n
   SET claimed_by = :claimant, claimed_until = clock_timestamp() + make_interval(secs => :claim_s),
       attempts = n.attempts + 1
  FROM due WHERE n.id = due.id
RETURNING {_COLUMNS}
"""  # noqa: S608 - a part of this file
