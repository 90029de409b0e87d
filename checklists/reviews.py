"""When a definition is to be looked at again: what its file says, or the last review that somebody recorded here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import Connection, text

from checklists.schema import Template
from checklists.tracker import MAY_CHANGE_ALL, clean
from jobs.core import audit
from jobs.core.errors import Forbidden, UsageError
from jobs.core.people import Person

SOON = timedelta(days=7)
"""Before a review falls due, it is already shown."""


def last_reviews(conn: Connection) -> dict[str, date]:
    """The day of the last recorded review by definition."""
    rows = conn.execute(
        text("SELECT template_id, max(reviewed_at) AS at FROM ops.template_reviews GROUP BY template_id")
    )
    return {row.template_id: row.at.date() for row in rows}


def next_review(template: Template, recorded: Mapping[str, date]) -> date | None:
    """The day on which a definition falls due for review; None if none is planned. Pure."""
    if template.review is None:
        return None
    return max(template.review.last, recorded.get(template.id, template.review.last)) + template.review.every


def review(conn: Connection, template: Template, actor: Person, note: str, *, origin: str) -> None:
    """Records that the definition, as it is now, was looked at by its owner, and what came of it."""
    owner = template.review.owner if template.review is not None else None
    if owner not in actor.roles and not MAY_CHANGE_ALL & actor.roles:
        raise Forbidden(f"“{template.title}” is not yours to review: that is for {owner or 'a release manager'}.")
    kept = clean(note, "The note")
    if kept is None:
        raise UsageError("Say what came of the review: what changed, or that it is right as it stands.")
    conn.execute(
        text(
            "INSERT INTO ops.template_reviews (template_id, version, reviewed_by, note)"
            " VALUES (:id, :version, :actor, :note)"
        ),
        {"id": template.id, "version": template.version, "actor": actor.email, "note": kept},
    )
    row = audit.AuditRow(
        actor.email, "template.reviewed", "template", template.id, origin, new={"version": template.version}, reason=kept
    )  # fmt: skip
    audit.record(conn, row)
