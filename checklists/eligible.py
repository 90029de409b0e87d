"""Whether there are people enough to sign a list, so that nobody starts one that can never be closed.

Pure. Roles that take part in a separation (`not`, from either side) are each to be signed by somebody else: a matching
of roles with distinct people who hold them, found by augmenting paths (Kuhn, 1955; a definition has at most eight roles).
Where there is none, Hall's theorem names the culprits: some roles that together have fewer people than they are. Roles
that are separated from nobody may fall to anybody who holds them, also to one person twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from checklists.grammar import SignOff
from jobs.core.permissions import Role


@dataclass(frozen=True, slots=True)
class Shortage:
    """Roles that cannot all be filled at once, and the e-mails of everybody who could take one of them."""

    roles: tuple[SignOff, ...]
    people: tuple[str, ...]

    def words(self, names: Mapping[str, str]) -> str:
        """One sentence with what to do; `names` by e-mail."""
        titles = _listed(line.title for line in self.roles)
        if not self.people:
            return f"nobody with an open account can sign as {titles}: give somebody the role"
        known = _listed(names.get(email, email) for email in self.people)
        return (
            f"{titles} must be signed by {len(self.roles)} different people, and there {'is' if len(self.people) == 1 else 'are'}"
            f" only {known}: give somebody else one of these roles"
        )


def separated(lines: Iterable[SignOff]) -> dict[Role, frozenset[Role]]:
    """For each role those that somebody else must sign: `not` says it of both sides."""
    lines = tuple(lines)
    return {
        line.role: frozenset(line.not_) | {other.role for other in lines if line.role in other.not_} for line in lines
    }


def shortage(
    lines: Sequence[SignOff],
    holders: Mapping[str, Collection[Role]],
    barred: Mapping[Role, Collection[str]] | None = None,
) -> Shortage | None:
    """What is missing for all lines to be signed; None if distinct people can.

    `holders` has the roles of everybody with an open account, by e-mail; `barred` who cannot sign a line all the same.
    """
    barred = barred or {}
    able = {
        line.role: sorted(
            email for email, roles in holders.items() if line.role in roles and email not in barred.get(line.role, ())
        )
        for line in lines
    }
    if nobodys := tuple(line for line in lines if not able[line.role]):
        return Shortage(nobodys, ())
    apart = separated(lines)
    taken: dict[str, Role] = {}
    for line in lines:
        if not apart[line.role]:
            continue
        seen: set[str] = set()
        if not _place(line.role, able, taken, seen):
            stuck = {line.role, *(taken[email] for email in seen)}
            return Shortage(tuple(other for other in lines if other.role in stuck), tuple(sorted(seen)))
    return None


def _place(role: Role, able: Mapping[Role, Sequence[str]], taken: dict[str, Role], seen: set[str]) -> bool:
    """Finds somebody for the role, moving others to somebody else where that helps; `seen` collects who was asked."""
    for email in able[role]:
        if email in seen:
            continue
        seen.add(email)
        if email not in taken or _place(taken[email], able, taken, seen):
            taken[email] = role
            return True
    return False


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
