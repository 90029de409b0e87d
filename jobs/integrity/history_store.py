"""Audits of the history as they are kept: what was drawn, how far it is, what it showed so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, text

from jobs.core.errors import Conflict
from jobs.integrity.findings import Kept, finish_pass, keep, resolve_unseen
from jobs.integrity.model import Check, Found
from jobs.integrity.verdict import Standing
from jobs.reconcile.store import Held, database_now, read_rows


@dataclass(frozen=True, slots=True)
class Draw:
    """What a new audit looks at: so many settled transactions by a seed, or (None) all of them."""

    sample: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit under way; without an id it is a dry run's, which is kept nowhere."""

    id: int | None
    sample: int | None
    seed: int
    total: int
    cursor: UUID | None = None
    done: int = 0


def continue_or_begin(conn: Connection, draw: Draw, run_id: int) -> tuple[Audit, bool]:
    """The unfinished audit, with what it drew itself, or a new one; and whether it is the unfinished one."""
    row = conn.execute(text(_TAKE), {"run_id": run_id}).one_or_none()
    if row is not None:
        return Audit(row.id, row.sample, row.seed, row.total, row.cursor_id, row.done), True
    audit_id: int = conn.execute(
        text(
            "INSERT INTO ops.history_audits (seed, sample, total, started_run, last_run)"
            " VALUES (:seed, :sample, 0, :run_id, :run_id) RETURNING id"
        ),
        {"seed": draw.seed, "sample": draw.sample, "run_id": run_id},
    ).scalar_one()
    if draw.sample is not None:
        conn.execute(text(_KEEP_DRAWN), _parameters(draw) | {"audit": audit_id})
    audit = _counted(conn, Audit(audit_id, draw.sample, draw.seed, 0))
    conn.execute(
        text("UPDATE ops.history_audits SET total = :total WHERE id = :id"), {"total": audit.total, "id": audit_id}
    )
    return audit, False


def draw_for_nothing(conn: Connection, draw: Draw) -> Audit:
    """What a new audit would look at, kept nowhere."""
    return _counted(conn, Audit(None, draw.sample, draw.seed, 0))


def give_up(conn: Connection) -> bool:
    """Ends the unfinished audit where it stands; whether there was one."""
    ended = conn.execute(
        text("UPDATE ops.history_audits SET finished_at = now(), given_up = true WHERE finished_at IS NULL")
    )
    return bool(ended.rowcount)


def next_batch(conn: Connection, audit: Audit, cursor: UUID | None, limit: int) -> list[Held]:
    """The next rows in the order of their ids."""
    parameters = _parameters(audit) | {"audit": audit.id, "cursor": cursor, "limit": limit}
    return read_rows(conn, list(conn.execute(text(_ids(audit)), parameters).scalars()))


def advance(
    conn: Connection,
    audit: Audit,
    *,
    before: UUID | None,
    cursor: UUID,
    found: Sequence[Found],
    clear: Sequence[UUID],
    counted: Mapping[Standing, int],
    run_id: int,
) -> tuple[Kept, int]:
    """Keeps what a batch showed and moves the cursor from `before`; what was kept, and how many findings are over.

    `clear` are the rows that are confirmed now. A row that was changed while the network was asked is not judged by
    what it was. Raises Conflict when another run has taken the audit over.
    """
    moved = conn.execute(
        text(
            "UPDATE ops.history_audits SET cursor_id = :cursor, confirmed = confirmed + :confirmed,"
            " contradicted = contradicted + :contradicted, unknown = unknown + :unknown, last_run = :run_id,"
            " advanced_at = now()"
            " WHERE id = :id AND finished_at IS NULL AND cursor_id IS NOT DISTINCT FROM CAST(:before AS uuid)"
        ),
        {standing.value: counted.get(standing, 0) for standing in Standing}
        | {"cursor": cursor, "before": before, "id": audit.id, "run_id": run_id},
    )
    if not moved.rowcount:
        raise Conflict(f"Another run has taken audit {audit.id} over: this one stops.")
    now = {
        row.id: row.status
        for row in conn.execute(
            text("SELECT id, status FROM transactions WHERE id = ANY(CAST(:ids AS uuid[]))"),
            {"ids": [one.transaction_id for one in found]},
        )
    }
    still = [one for one in found if one.transaction_id is not None and now.get(one.transaction_id) == one.expected]
    kept = keep(conn, Check.HISTORY, still, run_id=run_id)
    resolved = resolve_unseen(
        conn, Check.HISTORY, before=database_now(conn), run_id=run_id, subjects=[str(row) for row in clear]
    )
    return kept, resolved


def finish(conn: Connection, audit: Audit, run_id: int) -> int:
    """Ends an audit that looked at everything it drew; how many findings are over because their row is settled no more.

    The sample has served: it goes, the audit stays.
    """
    started = conn.execute(
        text("UPDATE ops.history_audits SET finished_at = now() WHERE id = :id AND finished_at IS NULL RETURNING *"),
        {"id": audit.id},
    ).one_or_none()
    if started is None:
        return 0
    conn.execute(text("DELETE FROM ops.history_sample WHERE audit_id = :id"), {"id": audit.id})
    if proved := started.confirmed + started.contradicted:  # where the network knew nothing, nothing was proved
        finish_pass(conn, Check.HISTORY, as_of=started.started_at, looked_at=proved, run_id=run_id)
    return conn.execute(text(_NO_LONGER_SETTLED), {"check": Check.HISTORY.value, "run_id": run_id}).rowcount


def _counted(conn: Connection, audit: Audit) -> Audit:
    total: int = conn.execute(
        text(f"SELECT count(*) FROM ({_ids(audit)}) AS ids"),  # noqa: S608 - the parts are ours
        _parameters(audit) | {"audit": audit.id, "cursor": None, "limit": None},
    ).scalar_one()
    return replace(audit, total=total)


def _parameters(of: Draw | Audit) -> dict[str, object]:
    return {"sample": of.sample, "seed": str(of.seed), "check": Check.HISTORY.value}


_SETTLED = "t.status IN ('SUCCESS', 'FAILED') AND t.type IN ('DEPOSIT', 'WITHDRAW')"

# What is open is looked at again by every sample. md5 is the same in every version of PostgreSQL.
_DRAWN = f"""
    (SELECT t.id FROM transactions t WHERE {_SETTLED} ORDER BY md5(CAST(:seed AS text) || ' ' || t.id), t.id LIMIT :sample)
    UNION
    SELECT f.transaction_id FROM ops.integrity_findings f JOIN transactions t ON t.id = f.transaction_id
     WHERE f.check_name = :check AND f.resolved_at IS NULL AND {_SETTLED}
"""  # noqa: S608

_KEEP_DRAWN = f"""
INSERT INTO ops.history_sample (audit_id, transaction_id) SELECT :audit, id FROM ({_DRAWN}) AS drawn
"""  # noqa: S608


def _ids(audit: Audit) -> str:
    """The ids after a cursor, of everything, of a sample that was kept, or of one that a dry run draws each time."""
    source = "transactions t"
    if audit.sample is not None:
        kept = "SELECT transaction_id AS id FROM ops.history_sample WHERE audit_id = :audit"
        source = f"({_DRAWN if audit.id is None else kept}) AS drawn JOIN transactions t ON t.id = drawn.id"
    return (
        f"SELECT t.id FROM {source} WHERE {_SETTLED}"  # noqa: S608
        " AND (CAST(:cursor AS uuid) IS NULL OR t.id > :cursor) ORDER BY t.id LIMIT :limit"
    )


_TAKE = """
UPDATE ops.history_audits SET last_run = :run_id WHERE finished_at IS NULL
RETURNING id, sample, seed, total, cursor_id, confirmed + contradicted + unknown AS done
"""

_NO_LONGER_SETTLED = f"""
UPDATE ops.integrity_findings f SET resolved_at = now(), resolved_run = :run_id
 WHERE f.check_name = :check AND f.resolved_at IS NULL
   AND NOT EXISTS (SELECT FROM transactions t WHERE t.id = f.transaction_id AND {_SETTLED})
"""  # noqa: S608
