"""The audit trail: the database refuses to change it, and its chain was walked lately and is whole."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckResult, Unable, check, failed, passed
from checklists.checks.reach import age, plural, reading, some
from jobs.core.audit_verify import last_verification

_TABLES = ("audit", "checklist_events")
_LATELY = timedelta(days=2)


@check("audit.kept", title="The audit trail cannot be changed", params=NoParams)
def kept(context: CheckContext, params: NoParams) -> CheckResult:
    """The triggers that refuse UPDATE, DELETE and TRUNCATE are on, and verify-audit found every link."""
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
        last = last_verification(conn)
    open_ = [f"ops.{row.name}" for row in rows if row.refused != 56]
    if open_:
        return failed(
            f"Rows of {some(open_)} can be changed: a trigger is missing or switched off.",
            "Find out who switched it off, then ALTER TABLE … ENABLE TRIGGER ALL.",
        )
    if last is not None and last.broken is not None:
        return failed(
            f"{last.broken.rstrip('.')}; so said {last.verified_by} at {last.verified_at:%Y-%m-%d %H:%M} UTC.",
            "Trust nothing that came after it, and find out who did it.",
        )
    if last is None or not last.links or last.verified_at < context.now - _LATELY:
        raise Unable(f"Its chain was not verified within {age(_LATELY)}.", "Run the job verify-audit, then look again.")
    return passed(
        f"All {plural(last.links, 'link')} of its chain hold, verified {last.verified_at:%Y-%m-%d %H:%M} UTC by "
        f"{last.verified_by}; no row can be changed.",
        links=last.links,
        anchors=last.anchors,
        head=last.head.hex(),
    )
