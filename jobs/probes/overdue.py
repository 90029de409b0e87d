"""Open checklists that should have ended: the oldest by themselves, and how many more there are.

Each of them alerts by itself; beyond `MOST` it is the number that alerts, so that none is silent and nobody gets a
hundred notices at once.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from jobs.probes.model import Overdue, OverdueFacts

MOST = 20
# A run that is overdue with its review is one, since the earlier of the two.
_LATE = text("""
WITH late AS (
    SELECT id AS run_id, title, due_at, false AS review FROM ops.checklist_runs WHERE state = 'open' AND due_at < now()
    UNION ALL
    SELECT id, title, review_due_at, true FROM ops.checklist_runs r
    WHERE state = 'open' AND review_due_at < now() AND NOT EXISTS (
        -- The review is signed by a role that the definition itself does not name.
        SELECT 1 FROM ops.checklist_signatures s WHERE s.run_id = r.id AND s.kind = 'signed' AND s.voided_at IS NULL
        AND NOT coalesce(r.definition -> 'signoff' @> jsonb_build_array(jsonb_build_object('role', s.role)), false))
), runs AS (
    SELECT DISTINCT ON (run_id) * FROM late ORDER BY run_id, due_at
), placed AS (
    SELECT *, row_number() OVER (ORDER BY due_at, run_id) AS place, count(*) OVER () AS number FROM runs
)
SELECT run_id, title, due_at, review, place, number FROM placed WHERE place <= :most + 1 ORDER BY place
""")


def read_overdue(conn: Connection) -> Overdue:
    """What is overdue now, the oldest first."""
    rows = conn.execute(_LATE, {"most": MOST}).all()
    runs = tuple(OverdueFacts(row.run_id, row.title, row.due_at, row.review) for row in rows[:MOST])
    if len(rows) <= MOST:
        return Overdue(runs)
    return Overdue(runs, rows[0].number - MOST, rows[MOST].due_at)
