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
    PAUSE_JOBS = "pause jobs or change when they run"
    STOP_RUNS = "stop runs"
    SET_FLAGS = "switch feature flags"
    START_CHECKLIST = "start a checklist"
    TICK = "tick checklist items"
    KEEP_CONTACTS = "keep the emergency contacts"
    SEND_NOTICES = "send notices to the team"
    ACT_ON_ALERTS = "act on alerts and incidents"
    EDIT_ALERTS = "change what alerts and who is told"
    SHARE_WALL = "share the wall view"
    EVIDENCE = "leave evidence on checklist items"
    WAIT_CASES = "let cases wait"
    LINK_CASES = "link a transaction to another hash"
    ACCEPT_CASES = "accept payments as they were found"
    FAIL_CASES = "mark transactions as failed"
    CANCEL_CASES = "cancel transactions"
    MANAGE_PEOPLE = "manage people"
    VIEW_AUDIT = "read the audit trail"


class Scope(StrEnum):
    """What a token may be used for; several can be given to one token."""

    READ = "read"
    RUN_JOBS = "jobs:run"
    STOP_RUNS = "jobs:stop"
    PAUSE_JOBS = "jobs:pause"
    SET_FLAGS = "flags:set"
    START_CHECKLISTS = "checklists:start"
    TICK = "checklists:tick"
    EVIDENCE = "checklists:evidence"


_OPERATE = {
    Right.RUN_JOBS, Right.PAUSE_JOBS, Right.STOP_RUNS, Right.SET_FLAGS, Right.WAIT_CASES, Right.ACT_ON_ALERTS,
    Right.EDIT_ALERTS, Right.SHARE_WALL,
}  # fmt: skip
# What moves money, or what is looked for on the chain, by a person's word takes more than being on call.
_DECIDE = {Right.LINK_CASES, Right.ACCEPT_CASES, Right.FAIL_CASES, Right.CANCEL_CASES}
_CHECK = {Right.TICK, Right.EVIDENCE}
_TELL = {Right.KEEP_CONTACTS, Right.SEND_NOTICES}
_RELEASE = {Right.START_CHECKLIST, Right.ACT_ON_ALERTS, *_TELL, *_CHECK}
GRANTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.VIEW}),
    Role.ON_CALL: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_OPERATE, *_RELEASE}),
    Role.DEVELOPER: frozenset({Right.VIEW, Right.RUN_JOBS, *_CHECK}),
    Role.QA_LEAD: frozenset({Right.VIEW, *_CHECK}),
    Role.DEVOPS: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_OPERATE, *_DECIDE, *_RELEASE}),
    Role.PROJECT_MANAGER: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_TELL, *_CHECK}),
    Role.RELEASE_MANAGER: frozenset({Right.VIEW, Right.VIEW_AUDIT, *_RELEASE}),
    Role.ADMINISTRATOR: frozenset(Right),
}


SCOPES: Mapping[Scope, Right] = {
    Scope.READ: Right.VIEW,
    Scope.RUN_JOBS: Right.RUN_JOBS,
    Scope.STOP_RUNS: Right.STOP_RUNS,
    Scope.PAUSE_JOBS: Right.PAUSE_JOBS,
    Scope.SET_FLAGS: Right.SET_FLAGS,
    Scope.START_CHECKLISTS: Right.START_CHECKLIST,
    Scope.TICK: Right.TICK,
    Scope.EVIDENCE: Right.EVIDENCE,
}


class Actor(Protocol):
    """Whoever changes something: a person by their roles, or a token by its scopes."""

    @property
    def email(self) -> str:
        """How records name them: a person's address, `cli:<user>` or `token:<name>`."""
        ...

    @property
    def roles(self) -> frozenset[Role]:
        """Whose lines of a checklist are theirs."""
        ...

    @property
    def rights(self) -> frozenset[Right]: ...

    def way_to(self, right: Right) -> str:
        """What a right takes that they lack, to complete "that takes …"."""
        ...


def allowed(roles: Iterable[Role], right: Right) -> bool:
    """Whether one of the roles grants the right."""
    return any(right in GRANTS[role] for role in roles)


def require(who: Actor, right: Right) -> None:
    """Raises Forbidden, with what it takes, unless the right is theirs."""
    if right not in who.rights:
        raise Forbidden(f"You may not {right.value}: that takes {who.way_to(right)}.")
