"""Who is on call at an instant, and whose turn comes when: pure.

A turn begins at the hand-over's time on the wall of the rota's zone, so many days after the one before it: a week in
which the clock is changed is an hour longer or shorter, and the hand-over stays at nine in the morning. A hand-over that
the clock skips comes later by what was skipped; of one that comes twice the first counts (PEP 495, `fold=0`).

Turns go on in both directions without end: a rota that is entered for next Monday leaves nobody without a person tonight.
Of overrides that overlap the newest holds. So at every instant exactly one person of a rota is on call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Rota:
    """People who take turns of `turn_days`, beginning on `starts_on` at `handover` by the wall's clock of `zone`.

    Of several rotas the one with the lowest `place` is called first. `people` are e-mail addresses, in turn.
    """

    name: str
    place: int
    zone: str
    starts_on: date
    handover: time
    turn_days: int
    people: tuple[str, ...]
    version: int = 1
    changed_at: datetime | None = None
    changed_by: str = ""

    def begins(self, number: int) -> datetime:
        """When turn `number` begins, in UTC; number 0 is the first person's first."""
        wall = datetime.combine(self.starts_on + timedelta(days=number * self.turn_days), self.handover)
        return wall.replace(tzinfo=ZoneInfo(self.zone)).astimezone(UTC)

    def turn_at(self, at: datetime) -> int:
        """The number of the turn in which an instant falls."""
        number = (at.astimezone(ZoneInfo(self.zone)).date() - self.starts_on).days // self.turn_days
        while self.begins(number) > at:
            number -= 1
        while self.begins(number + 1) <= at:
            number += 1
        return number

    def person(self, number: int) -> str:
        return self.people[number % len(self.people)]


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in from a time to a time; `ended_at`: it was taken back then."""

    id: int
    rota: str
    person: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_at: datetime
    created_by: str
    ended_at: datetime | None = None

    @property
    def until(self) -> datetime:
        """When it ends, or ended: never before it began."""
        return self.ends_at if self.ended_at is None else max(self.starts_at, min(self.ends_at, self.ended_at))

    def holds(self, at: datetime) -> bool:
        return self.starts_at <= at < self.until


@dataclass(frozen=True, slots=True)
class Turn:
    """One person on call from a time up to before another; `override`: they stand in for whose turn it is."""

    person: str
    starts_at: datetime
    ends_at: datetime
    override: Override | None = None


def turns(rota: Rota, overrides: Sequence[Override], since: datetime, until: datetime) -> list[Turn]:
    """The turns that touch `since` up to before `until`, each in its whole length, with the overrides cut in.

    `overrides` are those of this rota; the turns abut.
    """
    touching = [one for one in overrides if one.starts_at < until and one.until > since]
    # What an override cuts is cut in its whole length, so that its first and last moments are its own.
    first = rota.turn_at(min([since, *(one.starts_at for one in touching)]))
    last = rota.turn_at(max([until, *(one.until for one in touching)]))
    begins = [rota.begins(number) for number in range(first, last + 2)]
    cuts = {at for one in overrides for at in (one.starts_at, one.until) if begins[0] < at < begins[-1]}

    def whose(piece: tuple[datetime, datetime]) -> tuple[int, Override | None]:
        override = max((one for one in overrides if one.holds(piece[0])), key=lambda one: one.id, default=None)
        return (rota.turn_at(piece[0]), None) if override is None else (-1, override)

    found = []
    for (number, override), same in groupby(pairwise(sorted({*begins, *cuts})), key=whose):
        pieces = list(same)
        person = rota.person(number) if override is None else override.person
        found.append(Turn(person, pieces[0][0], pieces[-1][1], override))
    return [turn for turn in found if turn.starts_at < until and turn.ends_at > since]


def on_call(rota: Rota, overrides: Sequence[Override], at: datetime) -> Turn:
    """The turn in which an instant falls."""
    return turns(rota, overrides, at, at + timedelta(microseconds=1))[0]
