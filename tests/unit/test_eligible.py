"""Rule 8: a list starts only if distinct people can sign what is separated; otherwise the roles are named."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from checklists.eligible import Shortage, separated, shortage
from checklists.grammar import SignOff
from jobs.core.permissions import Role

ROLES = (Role.DEVELOPER, Role.QA_LEAD, Role.DEVOPS, Role.PROJECT_MANAGER)
HOLDERS = st.dictionaries(st.sampled_from("abcde"), st.sets(st.sampled_from(ROLES), min_size=1))
APART = st.sets(st.tuples(st.sampled_from(ROLES), st.sampled_from(ROLES)).filter(lambda pair: pair[0] is not pair[1]))


def lines(apart: set[tuple[Role, Role]]) -> tuple[SignOff, ...]:
    return tuple(
        SignOff.model_validate(
            {"role": role, "meaning": "verified", "not": [other for one, other in sorted(apart) if one is role]}
        )
        for role in ROLES
    )


@given(HOLDERS, APART)
def test_it_agrees_with_trying_everybody_for_everything(
    holders: dict[str, set[Role]], apart: set[tuple[Role, Role]]
) -> None:
    wanted = lines(apart)
    alone = [line.role for line in wanted if separated(wanted)[line.role]]
    possible = all(any(role in roles for roles in holders.values()) for role in ROLES) and any(
        len(set(chosen)) == len(chosen) and all(role in holders[who] for role, who in zip(alone, chosen, strict=True))
        for chosen in product(holders, repeat=len(alone))
    )
    found = shortage(wanted, holders)
    assert (found is None) is possible
    if found is not None:
        # Hall: those roles have fewer people than they are, counting everybody who holds one of them.
        named = {line.role for line in found.roles}
        able = {who for who, roles in holders.items() if roles & named}
        assert set(found.people) == able
        assert len(able) < len(named)


def test_the_sentence_names_the_roles_the_people_and_what_to_do() -> None:
    developer, qa_lead = lines({(Role.QA_LEAD, Role.DEVELOPER)})[:2]
    assert Shortage((developer, qa_lead), ("a",)).words({"a": "Ana"}) == (
        "Developer and QA Lead must be signed by 2 different people, and there is only Ana:"
        " give somebody else one of these roles"
    )
    assert Shortage((qa_lead,), ()).words({}) == (
        "nobody with an open account can sign as QA Lead: give somebody the role"
    )
