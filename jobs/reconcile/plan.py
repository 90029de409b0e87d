"""The cheapest way to ask Horizon about many rows: by hash, by an account's pages, or by the network's.

Pure arithmetic over what is waiting. A look-up by hash costs one request a row; a page costs one for up to 200
transactions of an account, whoever's they are. So pages pay where many rows share an account and their transactions lie
close together, and old stragglers of the same account do not: each group is cut by age where the sum is least. Its
newest page tells how dense an account is. Rows that no page shows are asked by hash afterwards, so a wrong estimate
costs requests and never a decision.

Ledgers are the clock: a page's cursor is a TOID, `ledger << 32` (SEP-35). Densities are transactions per 1,000 ledgers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.horizon.model import Watermark

PAGE = 200
"""Transactions on a full page."""
NETWORK = ""
"""The scope that is every account."""
SAMPLE_FROM = 5
"""Rows that share an account from which its newest page is worth a request."""
TRIAL_FROM = 10
"""Rows from which it is worth one to see whether a dense newest page is only a burst after quiet hours."""
NETWORK_FROM = 40
"""Requests of the best other plan from which the network's newest page is worth one."""
EARLY = timedelta(minutes=15)
"""A row may be written after its transaction has landed: its pages begin so long before it."""
_QUIET = 20
"""Transactions per 1,000 ledgers of an account in its quiet hours."""
_CLOSE_S = 5


@dataclass(frozen=True, slots=True)
class Age:
    """Rows of one group and about one age: how many, and the first ledger in which one of them may be."""

    since: int
    rows: int
    oldest: datetime
    """When the oldest of them was created."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows whose transactions one account's pages would list, by age, the lowest `since` first."""

    scope: str
    ages: tuple[Age, ...]

    @property
    def rows(self) -> int:
        return sum(age.rows for age in self.ages)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a scope's newest page tells, once everything on it is settled."""

    density: int
    reaches: int
    """The first ledger that is on it as a whole; 0: it shows all there is."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Pages to read: ledgers `since` to `until` (excluded), for how many rows, and about how many requests that takes."""

    scope: str
    since: int
    until: int
    density: int
    rows: int
    pages: int
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read by pages; every other row is asked by its hash."""

    readings: tuple[Reading, ...]
    by_hash: int

    @property
    def requests(self) -> int:
        return self.by_hash + sum(reading.pages for reading in self.readings)

    @property
    def oldest(self) -> datetime | None:
        """When the oldest row of all pages was created: what is older is asked by hash in any case."""
        return min((reading.oldest for reading in self.readings), default=None)


def make_plan(groups: Iterable[Group], samples: Mapping[str, Sample], *, others: int = 0) -> Plan:
    """The plan with the fewest requests; `others` rows can only be asked by hash.

    A scope without a sample is not read. Where two ways cost the same, hashes win: they also show absence.
    """
    groups = list(groups)
    readings: list[Reading] = []
    by_hash = others
    for group in groups:
        reading = _reading(group, samples.get(group.scope))
        by_hash += group.rows - (reading.rows if reading else 0)
        if reading:
            readings.append(reading)
    plan = Plan(tuple(readings), by_hash)
    whole = _reading(Group(NETWORK, _merged(groups)), samples.get(NETWORK), trial=False)
    if whole is None:
        return plan
    network = Plan((whole,), others + sum(group.rows for group in groups) - whole.rows)
    return network if network.requests < plan.requests else plan


def to_sample(groups: Iterable[Group]) -> list[str]:
    """The accounts whose newest page is worth a request before the plan is made, most rows first."""
    worth = [group for group in groups if group.rows >= SAMPLE_FROM]
    return [group.scope for group in sorted(worth, key=lambda group: (-group.rows, group.scope))]


def sample_of(tokens: Sequence[int], latest: int, *, full: bool) -> Sample:
    """What the newest page tells (TOIDs, newest first) at ledger `latest`; not `full`: there is nothing older."""
    if not tokens or not full:
        return Sample(0, 0)
    first = tokens[-1] >> 32
    return Sample(-(-len(tokens) * 1000 // (max(latest, tokens[0] >> 32) - first + 1)), first + 1)


def pages_of(density: int, ledgers: int) -> int:
    """Requests to read `ledgers` ledgers: full pages, and the one that is not full any more."""
    return density * max(ledgers, 0) // (1000 * PAGE) + 1


def worth_going_on(reading: Reading, token: int) -> bool:
    """Whether the pages after `token` still cost less than the rows they are read for."""
    return pages_of(reading.density, reading.until - (token >> 32)) < reading.rows


def close_time(mark: Watermark) -> timedelta:
    """The average distance of two ledgers, over all that the server remembers."""
    span = mark.ledger - mark.elder_ledger
    if mark.elder_closed_at is None or span <= 0 or mark.closed_at <= mark.elder_closed_at:
        return timedelta(seconds=_CLOSE_S)
    return (mark.closed_at - mark.elder_closed_at) / span


def _reading(group: Group, sample: Sample | None, *, trial: bool = True) -> Reading | None:
    """The pages worth reading for a group; None if every row is cheaper by its hash, or was to be seen already."""
    if sample is None:
        return None
    ages = [age for age in group.ages if age.since < sample.reaches]
    best = _cheapest(group.scope, ages, sample, sample.density)
    if best is None and trial and sum(age.rows for age in ages) >= TRIAL_FROM and sample.density > _QUIET:
        # The newest page may be a burst. The first page of the reading shows it, and ends it if it is none.
        return _cheapest(group.scope, ages, sample, _QUIET)
    return best


def _cheapest(scope: str, ages: Sequence[Age], sample: Sample, density: int) -> Reading | None:
    """The cut by age at which older rows by hash and younger ones by pages cost least together."""
    best: Reading | None = None
    older, least = 0, sum(age.rows for age in ages)
    rows = least
    for place, age in enumerate(ages):
        pages = pages_of(density, sample.reaches - age.since)
        if older + pages < least:
            least = older + pages
            oldest = min(it.oldest for it in ages[place:])
            best = Reading(scope, age.since, sample.reaches, sample.density, rows - older, pages, oldest)
        older += age.rows
    return best


def _merged(groups: Iterable[Group]) -> tuple[Age, ...]:
    """The ages of all groups, by the magnitude of their distance, so that there are few."""
    every = sorted((age for group in groups for age in group.ages), key=lambda age: age.since)
    if not every:
        return ()
    newest = every[-1].since
    together: dict[int, Age] = {}
    for age in every:
        known = together.setdefault((newest - age.since).bit_length(), Age(age.since, 0, age.oldest))
        together[(newest - age.since).bit_length()] = Age(
            known.since, known.rows + age.rows, min(known.oldest, age.oldest)
        )
    return tuple(sorted(together.values(), key=lambda age: age.since))
