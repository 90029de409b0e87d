"""The cheapest way to ask Horizon about many rows: by hash, by an account's pages, or by the network's.

Pure arithmetic over what is waiting. A look-up by hash costs one request a row; a page costs one for up to 200
transactions of an account, whoever's they are. So pages pay where many rows share an account and their transactions lie
close together, and old stragglers of the same account do not: each group is cut by age where the sum is least. How many
pages that takes is told by the newest page and by probes, pages at other places of the same reading (density.py), and is
never less than the rows themselves need. Rows that no page shows are asked by hash afterwards, so a wrong estimate costs
requests and never a decision.

Ledgers are the clock: a page's cursor is a TOID, `ledger << 32` (SEP-35).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from jobs.horizon.model import Watermark
from jobs.reconcile.density import Known

PAGE = 200
"""Transactions on a full page."""
NETWORK = ""
"""The scope that is every account."""
SAMPLE_FROM = 5
"""Rows that share an account from which its newest page is worth a request."""
TRIAL_FROM = 10
"""Rows from which it is worth one to see whether a dense newest page is only a burst after quiet hours."""
PROBES = 4
"""Rounds of probes before a plan is taken as it is."""
PROBE_FROM = 8
"""Pages of a gap between two known places from which one of them is worth being read beforehand."""
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
    middle: int
    """The middle of them: where many lie close together, it lies among them."""

    def add(self, other: Age) -> Age:
        """Both together."""
        rows = self.rows + other.rows
        middle = (self.middle * self.rows + other.middle * other.rows) // rows
        return Age(min(self.since, other.since), rows, min(self.oldest, other.oldest), middle)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows whose transactions one account's pages would list, by age, the lowest `since` first."""

    scope: str
    ages: tuple[Age, ...]

    @property
    def rows(self) -> int:
        return sum(age.rows for age in self.ages)


@dataclass(frozen=True, slots=True)
class Reading:
    """Pages to read: ledgers `since` to `until` (excluded), for how many rows, and about how many requests that takes."""

    scope: str
    since: int
    until: int
    known: Known
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


def make_plan(groups: Iterable[Group], known: Mapping[str, Known], *, others: int = 0) -> Plan:
    """The plan with the fewest requests, up to one an account; `others` rows can only be asked by hash.

    A scope of which nothing is known is not read. Where two ways cost the same, hashes win: they also show absence.
    """
    groups = list(groups)
    readings: list[Reading] = []
    by_hash = others
    for group in groups:
        reading = _reading(group, known.get(group.scope))
        by_hash += group.rows - (reading.rows if reading else 0)
        if reading:
            readings.append(reading)
    plan = Plan(tuple(readings), by_hash)
    whole = _reading(Group(NETWORK, _merged(groups)), known.get(NETWORK))
    if whole is None:
        return plan
    network = Plan((whole,), others + sum(group.rows for group in groups) - whole.rows)
    # The network's pages come one after another, those of accounts at the same time. What an account's last page is
    # short of being full is not worth that.
    return network if network.requests + len(plan.readings) < plan.requests else plan


def to_sample(groups: Iterable[Group]) -> list[str]:
    """The accounts whose newest page is worth a request before the plan is made, most rows first."""
    worth = [group for group in groups if group.rows >= SAMPLE_FROM]
    return [group.scope for group in sorted(worth, key=lambda group: (-group.rows, group.scope))]


def to_probe(groups: Iterable[Group], known: Mapping[str, Known], plan: Plan, *, pages: int = 0) -> dict[str, int]:
    """The ledger of each scope at which one more page would tell most before its pages are read; empty: none would.

    First where a reading begins, which is a page of it; then within a gap that takes many pages and whose edges differ.
    Readings of fewer than so many `pages` are left alone.
    """
    found: dict[str, int] = {}
    planned = {reading.scope: reading for reading in plan.readings}
    for group in [Group(NETWORK, ())] if NETWORK in planned else groups:
        reading, told = planned.get(group.scope), known.get(group.scope)
        if told is None:
            continue
        if reading is None and len(told.stretches) == 1 and group.rows >= TRIAL_FROM:
            reading = _cheapest(group, told, quiet=True)  # a dense newest page may be only a burst
        ledger = None if reading is None or reading.pages < pages else _unsure(group, told, reading)
        if ledger is not None:
            found[group.scope] = ledger
    return found


def _unsure(group: Group, known: Known, reading: Reading) -> int | None:
    """Where in a reading the next probe is worth its request; None: nowhere."""
    if known.stretches[0].until > reading.since:
        return reading.since
    widest: tuple[int, int] | None = None
    for older, younger in pairwise(known.stretches):
        first, last = max(older.until, reading.since), min(younger.since, reading.until)
        if last <= first:
            continue
        within = [age for age in group.ages if first < age.middle < last]
        rows, told = sum(age.rows for age in within), known.transactions(first, last)
        differ = max(older.ends, younger.begins) > 2 * min(older.ends, younger.begins)
        pages = max(rows, told) // PAGE
        if pages >= PROBE_FROM and (differ or rows > told) and (widest is None or pages > widest[0]):
            # Where the most rows are, there the transactions are too.
            widest = pages, max(within, key=lambda age: age.rows).middle if within else (first + last) // 2
    return None if widest is None else widest[1]


def pages_of(transactions: int) -> int:
    """Requests to read so many transactions: full pages, and the one that is not full any more."""
    return transactions // PAGE + 1


def worth_going_on(reading: Reading, token: int) -> bool:
    """Whether the pages after `token` still cost less than the rows they are read for."""
    return pages_of(reading.known.transactions(token >> 32, reading.until)) < reading.rows


def close_time(mark: Watermark) -> timedelta:
    """The average distance of two ledgers, over all that the server remembers."""
    span = mark.ledger - mark.elder_ledger
    if mark.elder_closed_at is None or span <= 0 or mark.closed_at <= mark.elder_closed_at:
        return timedelta(seconds=_CLOSE_S)
    return (mark.closed_at - mark.elder_closed_at) / span


def _reading(group: Group, known: Known | None) -> Reading | None:
    """The pages worth reading for a group; None if every row is cheaper by its hash, or was to be seen already."""
    return None if known is None else _cheapest(group, known)


def _cheapest(group: Group, known: Known, *, quiet: bool = False) -> Reading | None:
    """The cut by age at which older rows by hash and younger ones by pages cost least together.

    `quiet` takes it that the account was quiet before its newest page.
    """
    ages = [age for age in group.ages if known.begin(age.since) < known.reaches]
    best: Reading | None = None
    rows = least = sum(age.rows for age in ages)
    older = 0
    for place, age in enumerate(ages):
        since = known.begin(age.since)
        ledgers = known.reaches - since
        told = _QUIET * ledgers // 1000 if quiet else known.transactions(since, known.reaches)
        pages = pages_of(told if quiet else max(told, rows - older))
        if older + pages < least:
            least = older + pages
            oldest = min(it.oldest for it in ages[place:])
            best = Reading(group.scope, since, known.reaches, known, rows - older, pages, oldest)
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
        magnitude = (newest - age.since).bit_length()
        together[magnitude] = age if magnitude not in together else together[magnitude].add(age)
    return tuple(sorted(together.values(), key=lambda age: age.since))
