"""What is known about how things stand: one frozen value for each thing that can be wrong.

Read by facts.py, judged by attention.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from jobs.core.flags import FlagState
from jobs.horizon.breaker import CLOSED, Breaker


@dataclass(frozen=True, slots=True)
class JobFacts:
    """How a scheduled job has been doing. `due_by`: when its next success is late at the latest; None: never due."""

    name: str
    every: str
    enabled: bool = True
    due_by: datetime | None = None
    last_success_at: datetime | None = None
    last_run_at: datetime | None = None
    failures: int = 0
    """Runs that failed, timed out or were lost since the last success."""
    failing_since: datetime | None = None
    failed_run: int | None = None
    error: str | None = None
    missed: str | None = None
    """What the newest row about missed slots of the last hour says; None: none were missed."""
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str | None = None
    paused_reason: str | None = None


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker that has not signed off."""

    host: str
    beat_at: datetime
    scheduler_at: datetime | None
    skew_ms: float | None = None
    """Of its host's clock against the database's; above zero: ahead. None: not known."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A Horizon server: the probe's newest sample, and whether settling on it is frozen."""

    server: str
    sampled_at: datetime | None = None
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    age_s: float | None = None
    """Of the newest ledger, when it was sampled."""
    lag: int | None = None
    """Ledgers behind its own core."""
    latest_ledger: int | None = None
    """None also for a server on another network, whose ledgers say nothing about ours."""
    breaker: Breaker = CLOSED
    frozen_at: datetime | None = None
    frozen_reason: str | None = None
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingFacts:
    """Transactions of one currency that wait for the chain."""

    currency: str
    count: int
    amount: Decimal
    oldest: datetime


@dataclass(frozen=True, slots=True)
class EventFacts:
    """Events for another system that it has not taken, counted up to some thousands."""

    waiting: int = 0
    late: int = 0
    """Waiting for longer than EVENTS_LATE."""
    oldest: datetime | None = None
    oldest_of: str | None = None
    """The transaction of the oldest that waits."""
    error: str | None = None
    """Why the last try of the oldest failed."""
    dead: int = 0
    dead_since: datetime | None = None
    dead_of: str | None = None
    """The transaction of the one that was given up first."""


@dataclass(frozen=True, slots=True)
class NoticeFacts:
    """Notices of the last day that were given up on some channel, and one of them."""

    dead: int
    since: datetime
    title: str
    channel: str
    error: str


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """A check of integrity: when its last whole pass began, and what it found that is still so."""

    name: str
    as_of: datetime | None = None
    findings: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """The audit trail: what the last verification found, and the rows that no sealer has linked yet."""

    broken: str | None = None
    """A sentence; None: whole, or never verified."""
    verified_at: datetime | None = None
    unsealed: int = 0
    oldest_unsealed: datetime | None = None


@dataclass(frozen=True, slots=True)
class OverdueFacts:
    """A checklist run that is in hand and should have ended; `review`: it was expedited and nobody reviewed that."""

    run_id: int
    title: str
    due_at: datetime
    review: bool = False


@dataclass(frozen=True, slots=True)
class Overdue:
    """The open checklists that should have ended."""

    runs: Sequence[OverdueFacts] = ()
    """The oldest, each run once."""
    more: int = 0
    more_since: datetime | None = None
    """When the oldest of those was due."""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """A version that runs in production and has no release."""

    version: str
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """The last time that a backup was restored to prove it."""

    file: str
    verified_at: datetime
    problem: str | None = None
    """What was not as it had been backed up; None: nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the rules look at, read at `now` (the database's clock)."""

    now: datetime
    jobs: Sequence[JobFacts] = ()
    workers: Sequence[WorkerFacts] = ()
    last_worker_at: datetime | None = None
    servers: Sequence[ServerFacts] = ()
    probe_interval_s: float = 15.0
    pending: Sequence[PendingFacts] = ()
    late_pending: int = 0
    """Pending for longer than `pending_after`."""
    pending_after: timedelta = timedelta(minutes=30)
    cases: int = 0
    oldest_case: datetime | None = None
    checks: Sequence[CheckFacts] = ()
    flags: Sequence[FlagState] = field(default_factory=tuple)
    events: EventFacts | None = None
    """None: no receiver is configured."""
    notices: NoticeFacts | None = None
    """None: none were given up."""
    audit: AuditFacts = AuditFacts()
    overdue: Overdue = Overdue()
    unreleased: VersionFacts | None = None
    backup: BackupFacts | None = None
    """None: no backup was ever verified, which its job's own schedule tells."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how well the runs of a job go; seconds, None where there is nothing to say it from."""

    limit_s: float
    running_s: float | None = None
    """For how long the oldest run under way has been going on."""
    last_s: float | None = None
    usual_p95_s: float | None = None
    """Of the last two hundred that succeeded, among the last three hundred that ended; None with fewer than twenty."""
    ended: int = 0
    """Within the last hour, likewise the next two."""
    failed: int = 0
    missed: int = 0

    @property
    def took_s(self) -> float | None:
        """The longer of the one under way and the last one."""
        return max((seconds for seconds in (self.running_s, self.last_s) if seconds is not None), default=None)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a Horizon server answered in the last five minutes; shares of one."""

    requests: int = 0
    errors: int = 0
    p95_ms: float | None = None
    budget_left: float | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """The newest sample of one series."""

    metric: str
    subject: str
    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Measures:
    """What only alerts look at, beside the facts, read at the same moment."""

    paces: Mapping[str, Pace] = field(default_factory=dict)
    """By job."""
    answers: Mapping[str, Answers] = field(default_factory=dict)
    """By server."""
    samples: Sequence[Sampled] = ()
    probed_at: datetime | None = None
    """When PostgreSQL was last probed; None: never."""
    cases_opened: int = 0
    """Within the last hour."""
    in_cases: Mapping[str, Decimal] = field(default_factory=dict)
    """What waits in open cases and is not pending, by currency."""
    backup_at: datetime | None = None
    """When the newest backup was made; None: there is none."""
