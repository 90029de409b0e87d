"""Least privilege: what each role may do is a table, and refusing names who could."""

import pytest

from jobs.core.errors import Forbidden
from jobs.core.permissions import GRANTS, Right, Role, allowed, require


class Somebody:
    def __init__(self, *roles: Role) -> None:
        self.roles = frozenset(roles)


def test_every_role_may_look_and_only_the_administrator_may_manage_people() -> None:
    assert all(Right.VIEW in rights for rights in GRANTS.values())
    assert [role for role, rights in GRANTS.items() if Right.MANAGE_PEOPLE in rights] == [Role.ADMINISTRATOR]


def test_a_viewer_may_only_look() -> None:
    assert GRANTS[Role.VIEWER] == {Right.VIEW}


def test_one_of_several_roles_is_enough() -> None:
    assert allowed([Role.VIEWER, Role.DEVOPS], Right.SET_FLAGS)


def test_refusal_names_the_roles_that_could() -> None:
    with pytest.raises(Forbidden, match=r"switch feature flags.*on-call, devops, administrator"):
        require(Somebody(Role.QA_LEAD), Right.SET_FLAGS)
