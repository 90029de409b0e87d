"""Access: which role may do what, and who has it."""

from __future__ import annotations

from sqlalchemy import text

from checklists.checks.database import NoParams
from checklists.checks.model import CheckContext, CheckResult, Unable, check, gathered
from checklists.checks.reach import plural, reading, some
from jobs.core.people import list_people
from jobs.core.permissions import GRANTS, Right, Role, allowed


@check("access.matrix", title="Who may do what", params=NoParams)
def matrix(context: CheckContext, params: NoParams) -> CheckResult:
    """Every right with its roles, every account with its roles and last login, and what looks odd about them."""
    with reading(context) as conn:
        people = [person for person in list_people(conn) if person.disabled_at is None]
        last = {
            row.person_id: row.at
            for row in conn.execute(text("SELECT person_id, max(seen_at) AS at FROM ops.sessions GROUP BY person_id"))
        }
    if not people:
        raise Unable("Nobody has an account.", "Add people with `nexaops users add`.")
    administrators = [person.email for person in people if Role.ADMINISTRATOR in person.roles]
    idle = [person.email for person in people if person.id not in last]
    return gathered(
        f"{plural(len(people), 'account')}, {plural(len(administrators), 'administrator')}"
        + (f"; never signed in: {some(idle)}." if idle else "."),
        rights={right.name.lower(): [role.value for role in Role if right in GRANTS[role]] for right in Right},
        accounts={
            person.email: ", ".join(sorted(person.roles))
            + (f", last seen {last[person.id]:%Y-%m-%d}" if person.id in last else ", never signed in")
            for person in people
        },
        may_move_money=[person.email for person in people if allowed(person.roles, Right.ACCEPT_CASES)],
    )
