"""Least privilege: what each role may do is a table, and refusing names who could."""

from uuid import UUID

import pytest

from jobs.core.errors import Forbidden
from jobs.core.people import Person
from jobs.core.permissions import GRANTS, SCOPES, Right, Role, Scope, allowed, require


def test_every_role_may_look_and_only_the_administrator_may_manage_people() -> None:
    assert all(Right.VIEW in rights for rights in GRANTS.values())
    assert [role for role, rights in GRANTS.items() if Right.MANAGE_PEOPLE in rights] == [Role.ADMINISTRATOR]


def test_a_viewer_may_only_look() -> None:
    assert GRANTS[Role.VIEWER] == {Right.VIEW}


def test_one_of_several_roles_is_enough() -> None:
    assert allowed([Role.VIEWER, Role.DEVOPS], Right.SET_FLAGS)


def test_refusal_names_the_roles_that_could() -> None:
    lead = Person(UUID(int=0), "q@nexafx.test", "Q", frozenset({Role.QA_LEAD, Role.VIEWER}))
    require(lead, Right.TICK)
    with pytest.raises(Forbidden, match=r"switch feature flags.*on-call, devops, administrator"):
        require(lead, Right.SET_FLAGS)


def test_no_scope_of_a_token_reaches_people_money_or_the_audit_trail() -> None:
    assert set(SCOPES) == set(Scope)
    assert set(SCOPES.values()) == {
        Right.VIEW,
        Right.RUN_JOBS,
        Right.STOP_RUNS,
        Right.PAUSE_JOBS,
        Right.SET_FLAGS,
        Right.START_CHECKLIST,
        Right.TICK,
        Right.EVIDENCE,
    }
