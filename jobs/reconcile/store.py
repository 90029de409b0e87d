"""Which rows a run looks at, and how it holds them: locks of an attempt, never of a host.

A lock is `processing_locked_by = "run:<id>:<attempt token>"`. It can be taken over when that attempt is over, has
stopped beating or has lost its connection (`alive`: the advisory lock in its name went with it, so the rows of a killed
process are free at once), and from strangers after five minutes; it never touches `updated_at`, which belongs to the business.
Settling is fenced by the same name, so an attempt that lost its lock changes nothing any more.

Rows that a page has listed need no lock while Horizon is asked: it has answered before they are read. They are settled
as nobody's, and one that somebody has taken meanwhile is theirs.

Rows that keep giving the same answer are looked at less and less often, so that they do not eat the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, RowMapping, TextClause, text

from jobs.core.db import Database, jsonb
from jobs.reconcile.address import parse_address
from jobs.reconcile.picture import Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows: by status, by age, or one alone."""

    status: str
    older_than: timedelta = timedelta(0)
    transaction_id: UUID | None = None
    everything: bool = False
    """Also rows that are not due yet: a person asked."""
    undated: bool = False
    """Instead of all others those whose `created_at` cannot be right: nothing can be dated or ordered by it."""
    waiting_since: datetime | None = None
    """Only rows that were created before, or that were asked for in vain several times."""


@dataclass(frozen=True, slots=True)
class Held:
    """A row of a batch, with its envelope as it is kept."""

    row: Row
    envelope_xdr: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """The last look at a row; `hopeless` answers are repeated later and later, the others at the next run."""

    transaction_id: UUID
    outcome: str
    detail: str
    server: str | None
    ledger: int | None
    request: str | None
    hopeless: bool


Key = tuple[datetime, UUID]


@contextmanager
def alive(db: Database, owner: str) -> Iterator[None]:
    """Shows every other process that `owner` lives, for the time of the block: what it locks stays its own."""
    with db.engine.connect() as conn:
        autocommit = conn.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(text("SELECT pg_advisory_lock(hashtextextended(:owner, 0))"), {"owner": owner})
        try:
            yield
        finally:
            # The server drops the lock with the connection, which may be dead already: asking it to could fail.
            conn.invalidate()


def hold_batch(
    conn: Connection, wanted: Wanted, *, owner: str, run_id: int = 0, after: Key | None, limit: int
) -> list[Held]:
    """Locks and returns the next rows that run `run_id` has not looked at, oldest first, in the caller's transaction."""
    parameters = due_parameters(wanted, run_id=run_id, after=after) | {"limit": limit, "owner": owner}
    return _in_order(conn.execute(due_statement(_HOLD, wanted), parameters).mappings())


def peek_batch(conn: Connection, wanted: Wanted, *, run_id: int = 0, after: Key | None, limit: int) -> list[Held]:
    """The same rows without locking them, for a dry run."""
    parameters = due_parameters(wanted, run_id=run_id, after=after) | {"limit": limit}
    return _in_order(conn.execute(due_statement(_PEEK, wanted), parameters).mappings())


def read_rows(conn: Connection, ids: Sequence[UUID]) -> list[Held]:
    """Rows by their ids and in that order, whatever their status."""
    return [_held(record) for record in conn.execute(text(_BY_ID), {"ids": list(ids)}).mappings()]


def peek_listed(conn: Connection, wanted: Wanted, hashes: Sequence[str], *, run_id: int) -> list[Held]:
    """The rows that hold one of these hashes (lower case) and that nobody holds, due or not: here is new proof."""
    parameters = due_parameters(replace(wanted, everything=True), run_id=run_id) | {"hashes": list(hashes)}
    return _in_order(conn.execute(due_statement(_PEEK_LISTED, wanted), parameters).mappings())


def hold_free(conn: Connection, owner: str, ids: Sequence[UUID], *, run_id: int) -> set[UUID]:
    """Locks those of the rows that nobody holds, in the caller's transaction; which these were.

    None, if the run was given up and this is a late attempt's.
    """
    parameters = {"owner": owner, "ids": list(ids), "run_id": run_id}
    return set(conn.execute(text(_HOLD_FREE), parameters).scalars()) if ids else set()


def database_now(conn: Connection) -> datetime:
    """The one clock that opens cases."""
    now: datetime = conn.execute(text("SELECT now()")).scalar_one()
    return now


def siblings_of(conn: Connection, hashes: Sequence[str], without: Sequence[UUID]) -> Mapping[str, list[Row]]:
    """All other rows that hold one of these hashes (lower case) and were paid, or may still be paid, by hash."""
    found: dict[str, list[Row]] = {}
    for record in conn.execute(text(_SIBLINGS), {"hashes": list(hashes), "without": list(without)}).mappings():
        row = _row(record)
        found.setdefault(row.hash or "", []).append(row)
    return found


def claims_on(conn: Connection, network: str, hashes: Sequence[str]) -> Mapping[str, dict[int, UUID]]:
    """Which operations of these canonical hashes rows were already paid by."""
    found: dict[str, dict[int, UUID]] = {}
    statement = text(
        "SELECT tx_hash, operation_index, transaction_id FROM ops.claims"
        " WHERE network = :network AND tx_hash = ANY(CAST(:hashes AS text[]))"
    )
    for claim in conn.execute(statement, {"network": network, "hashes": list(hashes)}):
        found.setdefault(claim.tx_hash, {})[claim.operation_index] = claim.transaction_id
    return found


def record_checks(conn: Connection, run_id: int, checks: Sequence[Check]) -> None:
    """Remembers the looks and when each row is worth the next one; what a look before found otherwise is kept, counted."""
    if checks:
        document = [
            {
                "id": check.transaction_id,
                "outcome": check.outcome,
                "detail": check.detail,
                "server": check.server,
                "ledger": check.ledger,
                "request": check.request,
                "hopeless": check.hopeless,
            }
            for check in sorted(checks, key=lambda check: check.transaction_id)
        ]
        conn.execute(text(_CHECK), {"rows": jsonb(document), "run_id": run_id})


def release(conn: Connection, owner: str, ids: Sequence[UUID]) -> None:
    """Lets go of rows that are still ours."""
    conn.execute(
        text(
            "UPDATE transactions SET processing_locked_at = NULL, processing_locked_by = NULL"
            " WHERE id = ANY(CAST(:ids AS uuid[])) AND processing_locked_by = :owner"
        ),
        {"owner": owner, "ids": list(ids)},
    )


def record_dry_decisions(conn: Connection, run_id: int, decisions: Sequence[Mapping[str, object]]) -> None:
    """Stores what a dry run would have done; each with id, verdict, reason and proof."""
    if decisions:
        conn.execute(
            text(
                "INSERT INTO ops.decisions (run_id, transaction_id, dry_run, verdict, reason, proof)"
                " SELECT :run_id, id, true, verdict, reason, proof"
                " FROM jsonb_to_recordset(:rows) AS a(id uuid, verdict text, reason text, proof jsonb)"
            ),
            {"run_id": run_id, "rows": jsonb(list(decisions))},
        )


def asked_by_person(conn: Connection, run_id: int) -> bool:
    """Whether somebody waits for this run, rather than a schedule."""
    trigger = conn.execute(text("SELECT trigger FROM ops.runs WHERE id = :id"), {"id": run_id}).scalar()
    return trigger in ("manual", "checklist", "api")


def due_statement(pattern: str, wanted: Wanted) -> TextClause:
    """A statement about the rows that are due; nothing from outside ever stands in its pattern."""
    due = _DUE.replace("{times}", _UNDATED if wanted.undated else _DATED)
    return text(pattern.format(due=due, columns=_COLUMNS, listed=_LISTED))


def due_parameters(wanted: Wanted, *, run_id: int = 0, after: Key | None = None) -> dict[str, object]:
    """What every such statement takes."""
    return {
        "status": wanted.status,
        "older_than": wanted.older_than,
        "id": wanted.transaction_id,
        "everything": wanted.everything,
        "waiting_since": wanted.waiting_since,
        "run": run_id,
        "after_at": after[0] if after else None,
        "after_id": after[1] if after else None,
    }


def _in_order(records: Iterable[RowMapping]) -> list[Held]:
    return sorted((_held(record) for record in records), key=lambda held: held.row.order)


def _held(record: RowMapping) -> Held:
    return Held(_row(record), record["envelope_xdr"])


def _row(record: RowMapping) -> Row:
    return Row(
        id=record["id"],
        user_id=record["user_id"],
        type=record["type"],
        status=record["status"],
        amount=record["amount"],
        currency=record["currency"],
        asset_issuer=record["asset_issuer"],
        tx_hash=record["tx_hash"],
        receiver_text=record["receiver"],
        receiver=parse_address(record["receiver"]),
        memo_type=record["memo_type"],
        memo=record["memo"],
        created_at=record["created_at"],
    )


_COLUMNS = """t.id, u.id AS user_id, t.type, t.status, t.amount, t.currency, t.asset_issuer, t.tx_hash, t.envelope_xdr,
       coalesce(nullif(t.destination, ''), u.wallet_public_key) AS receiver, t.memo_type, t.memo, t.created_at"""

# The lines of oddity.mistimed. Between the two of them lies what a clock that runs ahead has written: it waits.
_DATED = "t.created_at >= '2014-01-01 00:00Z' AND t.created_at <= now() - CAST(:older_than AS interval)"
_UNDATED = """(t.created_at IS NULL OR t.created_at < '2014-01-01 00:00Z'
        OR t.created_at > now() + interval '10 minutes')"""

# FAILED rows count for a day from when they failed, unless one is named; a look that is older than the row's last change does not count.
# What this run has looked at stands in its looks, and of a dry run, which writes none, in its decisions. The coalesce keeps
# PostgreSQL from looking through all decisions of the run, which grow as it goes, for each row.
_DUE = """
  FROM transactions t LEFT JOIN ops.checks c ON c.transaction_id = t.id
 WHERE t.status = :status AND t.type IS DISTINCT FROM 'SWAP'
   AND (:status <> 'FAILED' OR CAST(:id AS uuid) IS NOT NULL
        OR (t.updated_at > now() - interval '24 hours' AND t.tx_hash <> ''))
   AND (CAST(:id AS uuid) IS NULL OR t.id = :id)
   AND {times}
   AND (:everything OR c.transaction_id IS NULL OR c.next_at <= now()
        OR (c.last_at < t.updated_at AND t.updated_at <= now()))
   AND c.run_id IS DISTINCT FROM CAST(:run AS bigint)
   AND NOT (coalesce((SELECT r.dry_run FROM ops.runs r WHERE r.id = :run), false)
            AND EXISTS (SELECT FROM ops.decisions d WHERE d.transaction_id = t.id AND coalesce(d.run_id, 0) = :run))
   AND (CAST(:waiting_since AS timestamptz) IS NULL OR t.created_at < :waiting_since OR c.attempts > 3)
   AND (t.processing_locked_by IS NULL OR t.processing_locked_at IS NULL
        OR t.processing_locked_at < now() - interval '5 minutes'
        OR EXISTS (SELECT FROM ops.runs r
                    WHERE r.id = CASE WHEN t.processing_locked_by ~ '^run:[0-9]{1,18}:'
                                      THEN CAST(split_part(t.processing_locked_by, ':', 2) AS bigint) END
                      AND (r.state <> 'running'
                           OR r.attempt_token::text IS DISTINCT FROM split_part(t.processing_locked_by, ':', 3)
                           OR coalesce(r.beat_at, r.started_at) < now() - interval '30 seconds'
                           OR hashtextextended(t.processing_locked_by, 0) NOT IN (
                              SELECT (l.classid::bigint << 32) | l.objid::bigint
                                FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                               WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND d.datname = current_database()))))
   AND (CAST(:after_at AS timestamptz) IS NULL OR (t.created_at, t.id) > (:after_at, CAST(:after_id AS uuid)))
"""

_HOLD = """
WITH due AS MATERIALIZED (
    SELECT t.id, t.user_id {due} ORDER BY t.created_at, t.id LIMIT :limit FOR UPDATE OF t SKIP LOCKED)
UPDATE transactions t SET processing_locked_at = now(), processing_locked_by = :owner
  FROM due LEFT JOIN users u ON u.id = due.user_id
 WHERE t.id = due.id
RETURNING {columns}
"""

_PEEK = """
WITH due AS MATERIALIZED (SELECT t.id {due} ORDER BY t.created_at, t.id LIMIT :limit)
SELECT {columns} FROM due JOIN transactions t ON t.id = due.id LEFT JOIN users u ON u.id = t.user_id
"""

# By their keys, found first: PostgreSQL would else read every pending row, and all that the run has decided so far, for
# each page.
_LISTED = "t.id = ANY(ARRAY(SELECT id FROM transactions WHERE lower(tx_hash) = ANY(CAST(:hashes AS text[]))))"

_PEEK_LISTED = """
WITH due AS MATERIALIZED (SELECT t.* {due} AND {listed} AND t.processing_locked_by IS NULL)
SELECT {columns} FROM due t LEFT JOIN users u ON u.id = t.user_id
"""

_HOLD_FREE = """
WITH free AS MATERIALIZED (
    SELECT id FROM transactions WHERE id = ANY(CAST(:ids AS uuid[])) AND processing_locked_by IS NULL
       AND EXISTS (SELECT FROM ops.runs r WHERE r.id = :run_id AND r.state = 'running'
                                            AND concat('run:', r.id, ':', r.attempt_token) = :owner)
     ORDER BY id FOR UPDATE SKIP LOCKED)
UPDATE transactions t SET processing_locked_at = now(), processing_locked_by = :owner FROM free WHERE t.id = free.id
RETURNING t.id
"""

_BY_ID = f"""
SELECT {_COLUMNS} FROM transactions t LEFT JOIN users u ON u.id = t.user_id
 WHERE t.id = ANY(CAST(:ids AS uuid[])) ORDER BY t.id
"""  # noqa: S608 - a part of this file

_SIBLINGS = f"""
SELECT {_COLUMNS} FROM transactions t LEFT JOIN users u ON u.id = t.user_id
 WHERE lower(t.tx_hash) = ANY(CAST(:hashes AS text[])) AND t.id <> ALL(CAST(:without AS uuid[]))
   AND (t.status IN ('PENDING', 'SUCCESS') OR (t.status = 'FAILED' AND t.updated_at > now() - interval '24 hours'))
"""  # noqa: S608 - a part of this file

# Backoff: 30 s, doubling to 30 min, while the answer stays the same; a young row is looked at by every run.
# A row's lock keeps its look from changing between the statement's snapshot, which `left_behind` reads, and its update.
_CHECK = """
WITH asked AS MATERIALIZED (
    SELECT a.*, now() + CASE WHEN a.hopeless
                              AND coalesce(t.created_at NOT BETWEEN now() - interval '15 minutes' AND now(), true)
                             THEN interval '30 seconds' ELSE interval '0' END AS next_at
      FROM jsonb_to_recordset(:rows) AS a(id uuid, outcome text, detail text, server text, ledger bigint, request text,
                                          hopeless boolean)
      JOIN transactions t ON t.id = a.id
), left_behind AS (
    INSERT INTO ops.looks AS l (transaction_id, outcome, server, times, first_at, last_at, detail, request, ledger, run_id)
    SELECT c.transaction_id, c.outcome, coalesce(c.server, ''), c.times, c.first_at, c.last_at, c.detail, c.request,
           c.ledger, c.run_id
      FROM asked a JOIN ops.checks c ON c.transaction_id = a.id
     WHERE (c.outcome, c.server) IS DISTINCT FROM (a.outcome, a.server)
        ON CONFLICT (transaction_id, outcome, server) DO UPDATE
       SET times = l.times + EXCLUDED.times, last_at = EXCLUDED.last_at, detail = EXCLUDED.detail,
           request = EXCLUDED.request, ledger = EXCLUDED.ledger, run_id = EXCLUDED.run_id
)
INSERT INTO ops.checks AS c (transaction_id, outcome, detail, server, ledger, request, run_id, next_at)
SELECT id, outcome, detail, server, ledger, request, :run_id, next_at FROM asked
    ON CONFLICT (transaction_id) DO UPDATE
   SET attempts = CASE WHEN c.outcome = EXCLUDED.outcome THEN c.attempts + 1 ELSE 1 END,
       (times, first_at) = (SELECT CASE WHEN same THEN c.times + 1 ELSE 1 END, CASE WHEN same THEN c.first_at ELSE now() END
                              FROM (SELECT (c.outcome, c.server) IS NOT DISTINCT FROM (EXCLUDED.outcome, EXCLUDED.server)
                                           AS same) AS compared),
       last_at = now(), outcome = EXCLUDED.outcome, detail = EXCLUDED.detail, server = EXCLUDED.server,
       ledger = EXCLUDED.ledger, request = EXCLUDED.request, run_id = EXCLUDED.run_id,
       next_at = CASE WHEN EXCLUDED.next_at <= now() THEN EXCLUDED.next_at
                      WHEN c.outcome <> EXCLUDED.outcome THEN EXCLUDED.next_at
                      ELSE now() + least(interval '30 minutes', interval '30 seconds' * power(2, least(c.attempts, 10)))
                 END
"""
