"""The breakers' state in `ops.horizon_servers`, shared by all workers: read with the newest samples, changed under a lock.

The rules are pure; a change reads the row, applies one rule by the database's clock and writes it back while nobody
else can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row, text

from jobs.core.db import Database
from jobs.horizon.breaker import Breaker, allows, tried
from jobs.horizon.ranking import Candidate, Seen

FRESH_S = 60
"""A sample that is older says nothing about now: four intervals of the probe."""

_COLUMNS = "failures, openings, left_at, left_reason, retry_at, trial_until"
_CANDIDATES = text("""
SELECT n.server, n.position - 1 AS position, clock_timestamp() AS now, COALESCE(h.failures, 0) AS failures,
       COALESCE(h.openings, 0) AS openings, h.left_at, h.left_reason, h.retry_at, h.trial_until,
       h.frozen_at IS NOT NULL AS frozen, s.at IS NOT NULL AS seen, s.latest_ledger, s.age_s, s.lag, s.latency_ms,
       s.passphrase
FROM unnest(CAST(:servers AS text[])) WITH ORDINALITY AS n (server, position)
LEFT JOIN ops.horizon_servers AS h ON h.server = n.server
LEFT JOIN LATERAL (
    SELECT * FROM ops.horizon_samples
    WHERE server = n.server AND at > clock_timestamp() - make_interval(secs => :fresh) ORDER BY at DESC LIMIT 1
) AS s ON true
ORDER BY n.position
""")
_ROW = text("INSERT INTO ops.horizon_servers (server) VALUES (:server) ON CONFLICT DO NOTHING")
_LOCK = text(f"""
SELECT {_COLUMNS}, clock_timestamp() AS now FROM ops.horizon_servers WHERE server = :server FOR UPDATE
""")  # noqa: S608 - the columns are this file's own
_WRITE = text("""
UPDATE ops.horizon_servers
SET failures = :failures, openings = :openings, left_at = :left_at, left_reason = :left_reason, retry_at = :retry_at,
    trial_until = :trial_until, updated_at = clock_timestamp()
WHERE server = :server
""")


def read_candidates(conn: Connection, servers: Sequence[str], stand_in: str | None) -> tuple[list[Candidate], datetime]:
    """What the database knows of each server, and its clock; `servers` are labels in their order, at least one."""
    rows = conn.execute(_CANDIDATES, {"servers": [*servers, *([stand_in] if stand_in else [])], "fresh": FRESH_S}).all()
    return [
        Candidate(
            server=row.server,
            position=row.position,
            stand_in=row.server == stand_in,
            breaker=breaker_of(row),
            frozen=row.frozen,
            seen=Seen(row.latest_ledger, row.age_s, row.lag, row.latency_ms, row.passphrase) if row.seen else None,
        )
        for row in rows
    ], rows[0].now


def breaker_of(row: Row[tuple[object, ...]]) -> Breaker:
    """The breaker in a row that has its columns."""
    return Breaker(row.failures, row.openings, row.left_at, row.left_reason, row.retry_at, row.trial_until)


def claim_try(db: Database, server: str, *, in_turn: bool = True) -> bool:
    """Begins a use of a server: False if another worker was faster; without `in_turn` nobody's turn is awaited."""
    granted = False

    def claim(breaker: Breaker, now: datetime) -> Breaker:
        nonlocal granted
        granted = not in_turn or allows(breaker, now)
        return tried(breaker, now) if granted else breaker

    change(db, server, claim)
    return granted


def change(db: Database, server: str, rule: Callable[[Breaker, datetime], Breaker]) -> Breaker:
    """Applies a rule to a server's breaker, by the database's clock; the breaker as it is then."""
    with db.begin() as conn:
        conn.execute(_ROW, {"server": server})
        row = conn.execute(_LOCK, {"server": server}).one()
        before = breaker_of(row)
        after = rule(before, row.now)
        if after != before:
            conn.execute(
                _WRITE,
                {
                    "server": server,
                    "failures": after.failures,
                    "openings": after.openings,
                    "left_at": after.left_at,
                    "left_reason": after.left_reason,
                    "retry_at": after.retry_at,
                    "trial_until": after.trial_until,
                },
            )
    return after
