"""Who may do what: a table, read on the server for every action.

Pure: pages ask it what to show, and every command asks it again when it commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from jobs.core.errors import Forbidden


class Role(StrEnum):
    """What a person is to this desk; one person may be several."""

    VIEWER = "viewer"
    ON_CALL = "on-call"
    DEVELOPER = "developer"
    QA_LEAD = "qa_lead"
    DEVOPS = "devops"
    PROJECT_MANAGER = "project_manager"
    RELEASE_MANAGER = "release_manager"
    ADMINISTRATOR = "administrator"


class Right(StrEnum):
    """What can be allowed; the value completes the sentence "you may not …"."""

    VIEW = "look at this"
    RUN_JOBS = "run jobs"
    PAUSE_JOBS = "pause or resume jobs"
    STOP_RUNS = "stop runs"
    SET_FLAGS = "switch feature flags"
    START_CHECKLIST = "start a checklist"
    TICK = "tick checklist items"
    KEEP_CONTACTS = "keep the emergency contacts"
    WAIT_CASES = "let cases wait"
    LINK_CASES = "link a transaction to another hash"
    ACCEPT_CASES = "accept payments as they were found"
    FAIL_CASES = "mark transactions as failed"
    CANCEL_CASES = "cancel transactions"
    MANAGE_PEOPLE = "manage people"
    VIEW_AUDIT = "read the audit trail"


_OPERATE = {Right.RUN_JOBS, Right.PAUSE_JOBS, Right.STOP_RUNS, Right.SET_FLAGS, Right.WAIT_CASES}
# What moves money, or what is looked for on the chain, by a person's word takes more than being on call.
_DECIDE = {Right.LINK_CASES, Right.ACCEPT_CASES, Right.FAIL_CASES, Right.CANCEL_CASES}
_RELEASE = {Right.START_CHECKLIST, Right.TICK, Right.KEEP_CONTACTS}
GRANTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.VIEW}),
    Role.ON_CALL: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_OPERATE, *_RELEASE}),
    Role.DEVELOPER: frozenset({Right.VIEW, Right.TICK, Right.RUN_JOBS}),
    Role.QA_LEAD: frozenset({Right.VIEW, Right.TICK}),
    Role.DEVOPS: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_OPERATE, *_DECIDE, *_RELEASE}),
    Role.PROJECT_MANAGER: frozenset({Right.VIEW, Right.VIEW_AUDIT, Right.TICK, Right.KEEP_CONTACTS}),
    Role.RELEASE_MANAGER: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_RELEASE}),
    Role.ADMINISTRATOR: frozenset(Right),
}


class HasRoles(Protocol):
    """Anybody with roles: a person, or a token that acts for one."""

    @property
    def roles(self) -> frozenset[Role]: ...


def allowed(roles: Iterable[Role], right: Right) -> bool:
    """Whether one of the roles grants the right."""
    return any(right in GRANTS[role] for role in roles)


def require(who: HasRoles, right: Right) -> None:
    """Raises Forbidden, with the roles that could, unless one of theirs grants the right."""
    if not allowed(who.roles, right):
        able = ", ".join(role.value for role in Role if right in GRANTS[role])
        raise Forbidden(f"You may not {right.value}: that takes one of the roles {able}.")
