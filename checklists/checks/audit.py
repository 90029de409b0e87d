"""The audit trail: it is there, it grows, and the database refuses to change it."""

from __future__ import annotations

from sqlalchemy import text

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckResult, Unable, check, failed, passed
from checklists.checks.reach import plural, reading, some

_TABLES = ("audit", "checklist_events")


@check("audit.kept", title="The audit trail cannot be changed", params=NoParams)
def kept(context: CheckContext, params: NoParams) -> CheckResult:
    """The triggers that refuse UPDATE, DELETE and TRUNCATE are on, and there are rows."""
    with reading(context) as conn:
        rows = conn.execute(
            text(
                # 8, 16 and 32: DELETE, UPDATE and TRUNCATE in pg_trigger.tgtype; O and A: fires for ordinary sessions
                "SELECT n.name, coalesce(bit_or(t.tgtype::int & 56) FILTER (WHERE t.tgenabled IN ('O', 'A')), 0) AS refused"
                " FROM unnest(CAST(:tables AS text[])) AS n (name)"
                " LEFT JOIN pg_trigger t ON t.tgrelid = to_regclass('ops.' || n.name) AND NOT t.tgisinternal"
                " AND t.tgfoid = to_regproc('ops.refuse_change')::oid GROUP BY 1"
            ),
            {"tables": list(_TABLES)},
        ).all()
        first = conn.execute(text("SELECT count(*) AS n, min(at) AS since, max(at) AS newest FROM ops.audit")).one()
    open_ = [f"ops.{row.name}" for row in rows if row.refused != 56]
    if open_:
        return failed(
            f"Rows of {some(open_)} can be changed: a trigger is missing or switched off.",
            "Find out who switched it off, then ALTER TABLE … ENABLE TRIGGER ALL.",
        )
    if not first.n:
        raise Unable("The audit trail has no row yet.", "Look again when something was done.")
    return passed(
        f"{plural(first.n, 'row')} since {first.since:%Y-%m-%d}, and none can be changed.",
        rows=first.n,
        since=first.since.isoformat(),
        newest=first.newest.isoformat(),
    )
