"""The sealer: links every committed row of the audit trail to the chain, a few seconds after it was written.

Writers wait for nobody: they insert as ever, in their own transactions. The sealer takes one lock among sealers, links
what it can see in batches of one statement, and takes their ids out of those that are still to be sealed. At the first
start after an upgrade these are all rows there are: a million of them are some two hundred batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.core.audit_anchor import AnchorFile
from jobs.core.audit_chain import START, Head
from jobs.core.db import Database
from jobs.core.errors import NexaError

BATCH = 5_000
MOST_HOLES = 1_000
"""Stretches of ids without a row that are remembered: ids whose transactions were rolled back, or are very slow."""
MOST_COUNTED = 10_000
_LOCK = 0x7365616C  # "seal"


@dataclass(frozen=True, slots=True)
class Unsealed:
    """Committed rows without a link, counted up to MOST_COUNTED, and the time that the oldest bears."""

    count: int
    oldest: datetime | None


class Sealer:
    """What a worker does every few seconds: seal, and write the head down outside of the database."""

    def __init__(self, db: Database, anchors: AnchorFile) -> None:
        self._db = db
        self._anchors = anchors

    def step(self) -> None:
        """Seals everything there is; once a minute, if the chain has grown, its head goes to the file and the log.

        Raises NexaError, and writes nothing down, if the chain no longer holds what was written down the last time.
        """
        seal(self._db)
        last = self._anchors.last()
        with self._db.read() as conn:
            head = read_head(conn)
            kept = read_hash(conn, last.seq) if last is not None else None
        if last is not None and kept != last.hash:
            raise NexaError(
                f"The audit trail no longer holds link {last.seq} as it was written down at {last.at}: it was cut off or "
                "rewritten. `nexaops audit verify` says where."
            )
        self._anchors.write(head, last=last)


def seal(db: Database) -> int:
    """Links every row that is committed, in batches; how many. Several sealers may do so at once."""
    sealed = 0
    while True:
        with db.begin() as conn:
            linked = _seal_batch(conn)
        sealed += linked
        if linked < BATCH:
            return sealed


def read_head(conn: Connection) -> Head:
    """The last link."""
    row = conn.execute(text("SELECT seq, hash FROM ops.audit_chain ORDER BY seq DESC LIMIT 1")).one_or_none()
    return Head() if row is None else Head(row.seq, bytes(row.hash))


def read_hash(conn: Connection, seq: int) -> bytes | None:
    """The hash of one link; None if there is no such link."""
    found = conn.execute(text("SELECT hash FROM ops.audit_chain WHERE seq = :seq"), {"seq": seq}).scalar()
    return None if found is None else bytes(found)


def read_unsealed(conn: Connection) -> Unsealed:
    """What waits for its link."""
    row = conn.execute(text(_WAITING), {"most": MOST_COUNTED}).one()
    return Unsealed(row.waiting, row.oldest)


def _seal_batch(conn: Connection) -> int:
    # A statement sees what was committed before it began: so the lock comes in one of its own, and the next one sees the
    # links and the ids that whoever held it before has left.
    conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    return int(conn.execute(text(_SEAL), {"most": BATCH, "start": START, "holes": MOST_HOLES}).scalar_one())


# The race: an id is given when a row is written and seen when its transaction commits, so id 7 may come to light after
# id 8 was sealed. That is why no highest id says what is done: `ids` holds exactly those without a link, and a row gets
# its link at the first look that sees it, wherever its id lies.
_SEAL = """
WITH head AS (
    SELECT seq, hash FROM ops.audit_chain ORDER BY seq DESC LIMIT 1
), found AS (
    SELECT f.id, f.written, coalesce((SELECT seq FROM head), 0) + row_number() OVER (ORDER BY f.id) AS seq
      FROM ops.audit_unsealed u
     CROSS JOIN LATERAL unnest(u.ids) AS r (ids)
     CROSS JOIN LATERAL (
           SELECT a.id, a AS written FROM ops.audit a
            WHERE a.id >= lower(r.ids) AND (upper_inf(r.ids) OR a.id < upper(r.ids)) ORDER BY a.id LIMIT :most) AS f
     ORDER BY f.id LIMIT :most
), hashed AS (
    SELECT id, seq,
           ops.audit_chained(coalesce((SELECT hash FROM head), :start),
                             ops.audit_encoding(seq, statement_timestamp(), written))
               OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) AS hash
      FROM found
), linked AS (
    INSERT INTO ops.audit_chain (seq, audit_id, prev_hash, hash, sealed_at)
    SELECT seq, id, coalesce(lag(hash) OVER (ORDER BY seq), (SELECT hash FROM head), :start), hash,
           statement_timestamp()
      FROM hashed ORDER BY seq
    RETURNING audit_id
), left_over AS (
    SELECT u.ids - coalesce((SELECT range_agg(int8range(audit_id, audit_id, '[]')) FROM linked), '{}') AS ids
      FROM ops.audit_unsealed u
), remembered AS (
    UPDATE ops.audit_unsealed u
       SET ids = coalesce((SELECT range_agg(r.ids)
                             FROM (SELECT ids FROM unnest(l.ids) AS r (ids) ORDER BY ids DESC LIMIT :holes) AS r), '{}')
      FROM left_over l WHERE EXISTS (SELECT FROM linked)
)
SELECT count(*) FROM linked
"""

_WAITING = """
SELECT count(*) AS waiting, min(a.at) AS oldest
  FROM (SELECT f.at
          FROM ops.audit_unsealed u
         CROSS JOIN LATERAL unnest(u.ids) AS r (ids)
         CROSS JOIN LATERAL (
               SELECT at FROM ops.audit
                WHERE id >= lower(r.ids) AND (upper_inf(r.ids) OR id < upper(r.ids)) ORDER BY id LIMIT :most) AS f
         LIMIT :most) AS a
"""
