"""What needs a person now, worst first, in sentences: the decision behind the overview, /health and the sentences of alerts.

Pure: facts and the clock come in, problems go out. A sentence says what is wrong, since when, and what was found; its
link leads one click closer to the cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import urlencode

from jobs.core.flags import DEFAULTS
from jobs.horizon.breaker import Breaker, State, state_of
from jobs.probes.model import CheckFacts, Facts, JobFacts, Overdue, ServerFacts, WorkerFacts
from jobs.run.skew import in_words, is_skewed

BEAT_LOST_S = 30
"""A worker beats every 10 s; after this long it counts as lost."""
FAILURES_CRITICAL = 3
CASE_CRITICAL = timedelta(hours=24)
STALE_INTERVALS = 3
SEAL_LATE = timedelta(minutes=2)
EVENTS_LATE = timedelta(minutes=15)
"""An event that has waited longer for its receiver is named."""
OTHERS = "others"
"""The subject that stands for all those of a kind that are too many to be named one by one."""


class Severity(StrEnum):
    """How soon somebody has to look; the order is the order of the list."""

    CRITICAL = "critical"
    WARN = "warn"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that needs a person: a sentence, since when (None: not known), and where to look.

    `signal` and `subject` name what it is about as alerts do (jobs/alerts/signals.py): by them it finds its alert.
    """

    severity: Severity
    sentence: str
    since: datetime | None
    link: str
    signal: str
    subject: str = ""


def find_problems(facts: Facts) -> list[Problem]:
    """All problems, worst first, and within a severity the oldest first."""
    found = [
        *_workers(facts),
        *_servers(facts),
        *_jobs(facts),
        *_money(facts),
        *_books(facts),
        *_events(facts),
        *_notices(facts),
        *_audit(facts),
        *_backup(facts),
        *_lists(facts),
        *_switches(facts),
    ]
    order = list(Severity)
    return sorted(found, key=lambda item: (order.index(item.severity), item.since or facts.now))


def worst(problems: Sequence[Problem]) -> Severity | None:
    """The severity that stands for all; None when all is well."""
    return problems[0].severity if problems else None


def moment(at: datetime, now: datetime) -> str:
    """A time as a sentence says it: "02:14 UTC", with the day when it was not within the last twenty hours."""
    at = at.astimezone(UTC)
    return at.strftime("%H:%M UTC" if abs(now - at) < timedelta(hours=20) else "%-d %b %H:%M UTC")


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit: "12 s", "4 min", "3 h", "5 d"."""
    seconds = max(seconds, 0.0)
    for limit, size, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86_400)} d"


def is_overdue(job: JobFacts, now: datetime) -> bool:
    """Whether a job that is to run has gone too long without a success."""
    return is_live(job) and job.due_by is not None and now > job.due_by


def is_live(job: JobFacts) -> bool:
    """Whether a job is to run at all."""
    return job.enabled and job.paused_at is None


def alive(facts: Facts) -> list[WorkerFacts]:
    """The workers that beat."""
    return [worker for worker in facts.workers if (facts.now - worker.beat_at).total_seconds() <= BEAT_LOST_S]


def schedules(worker: WorkerFacts, now: datetime) -> bool:
    """Whether a worker's scheduler shows signs of life."""
    return worker.scheduler_at is not None and (now - worker.scheduler_at).total_seconds() <= BEAT_LOST_S


def _jobs(facts: Facts) -> list[Problem]:
    found = []
    for job in facts.jobs:
        if not is_live(job):
            continue
        link = f"/run?{urlencode({'id': job.failed_run})}" if job.failed_run is not None else _runs_of(job.name)
        if job.failures:
            times = "once" if job.failures == 1 else f"{job.failures} times"
            since = f" since {moment(job.failing_since, facts.now)}" if job.failing_since else ""
            why = f": {_short(job.error)}" if job.error else ""
            severity = Severity.CRITICAL if job.failures >= FAILURES_CRITICAL else Severity.WARN
            sentence = f"{job.name} has failed {times}{since}{why}"
            found.append(Problem(severity, sentence, job.failing_since, link, "job.failures", job.name))
        elif is_overdue(job, facts.now):
            last = f"since {moment(job.last_success_at, facts.now)}" if job.last_success_at else "yet"
            sentence = f"{job.name} has not succeeded {last}, though it is due {job.every}"
            where = _runs_of(job.name)
            found.append(Problem(Severity.CRITICAL, sentence, job.last_success_at, where, "job.overdue_s", job.name))
        if job.missed:
            # A job that does well again is no alarm: workers are restarted every day.
            over = not job.failures and not is_overdue(job, facts.now)
            sentence = f"{job.name} missed slots in the last hour: {_short(job.missed)}"
            severity = Severity.NOTE if over else Severity.WARN
            found.append(Problem(severity, sentence, None, _runs_of(job.name), "job.missed", job.name))
    return found


def _workers(facts: Facts) -> list[Problem]:
    beating = alive(facts)
    if not beating:
        last = max((worker.beat_at for worker in facts.workers), default=facts.last_worker_at)
        since = f" since {moment(last, facts.now)}" if last is not None else ""
        sentence = f"No worker runs{since}: nothing is settled until one starts"
        return [Problem(Severity.CRITICAL, sentence, last, "/workers", "workers.alive")]
    found = []
    for worker in facts.workers:
        if worker not in beating:
            sentence = f"The worker on {worker.host} has been silent since {moment(worker.beat_at, facts.now)}"
            found.append(Problem(Severity.WARN, sentence, worker.beat_at, "/workers", "workers.lost", worker.host))
    silent = [worker for worker in beating if not schedules(worker, facts.now)]
    everywhere = len(silent) == len(beating)
    for worker in silent:
        since = f" since {moment(worker.scheduler_at, facts.now)}" if worker.scheduler_at else ""
        effect = ", so no job starts by itself" if everywhere else ""
        sentence = f"The scheduler of the worker on {worker.host} has been silent{since}{effect}"
        severity = Severity.CRITICAL if everywhere else Severity.WARN
        about = ("schedulers.alive", "") if everywhere else ("schedulers.silent", worker.host)
        found.append(Problem(severity, sentence, worker.scheduler_at, "/workers", *about))
    return [*found, *_clocks(beating)]


def _clocks(beating: Sequence[WorkerFacts]) -> list[Problem]:
    """One problem a host, however many workers it has."""
    skews = {worker.host: worker.skew_ms for worker in beating if worker.skew_ms is not None}
    return [
        Problem(
            Severity.WARN,
            f"The clock of {host} is {in_words(skew)}{' of' if skew > 0 else ''} the database's, so its slots"
            f" start {'early' if skew > 0 else 'late'}: let it follow a time server (chrony, systemd-timesyncd)",
            None,
            "/workers",
            "clock.skew_ms",
            host,
        )
        for host, skew in skews.items()
        if is_skewed(skew)
    ]


def _servers(facts: Facts) -> list[Problem]:
    found = []
    for server in facts.servers:
        if server.frozen_at is not None:
            why = f": {_short(server.frozen_reason)}" if server.frozen_reason else ""
            sentence = f"Settling on {server.server} is frozen since {moment(server.frozen_at, facts.now)}{why}"
            found.append(
                Problem(Severity.CRITICAL, sentence, server.frozen_at, "/horizon", "horizon.frozen", server.server)
            )
        elif server.breaker.left_at is not None:
            sentence = f"Horizon {server.server} was {left_in_words(server.breaker, facts.now)}"
            since = server.breaker.left_at
            found.append(Problem(Severity.WARN, sentence, since, "/horizon", "horizon.left", server.server))
        if server.sampled_at is None:
            continue
        if is_stale(server.sampled_at, facts):
            sentence = f"No data about Horizon {server.server} since {moment(server.sampled_at, facts.now)}"
            since = server.sampled_at
            found.append(Problem(Severity.CRITICAL, sentence, since, "/horizon", "horizon.silent_s", server.server))
        elif server.verdict in ("warn", "critical"):
            why = "; ".join(server.reasons) or f"the probe says {server.verdict}"
            severity = Severity.CRITICAL if server.verdict == "critical" else Severity.WARN
            sentence = f"Horizon {server.server}: {_short(why)}"
            found.append(Problem(severity, sentence, None, "/horizon", "horizon.verdict", server.server))
    if not any(server.sampled_at for server in facts.servers):
        found.append(Problem(Severity.WARN, "Horizon has not been probed yet", None, "/horizon", "horizon.silent_s"))
    return found


def left_in_words(breaker: Breaker, now: datetime) -> str:
    """Since when and why a server has been left, and when it is tried again; empty while it is used.

    "left at 02:14 UTC after 3 failures (…), next try in 40 s".
    """
    if breaker.left_at is None or breaker.retry_at is None:
        return ""
    failures = "1 failure" if breaker.failures == 1 else f"{breaker.failures:,} failures"
    why = f" ({_short(breaker.left_reason)})" if breaker.left_reason else ""
    match state_of(breaker, now):
        case State.OPEN:
            then = f"next try in {span((breaker.retry_at - now).total_seconds())}"
        case _ if breaker.trial_until is not None and now < breaker.trial_until:
            then = "one run is trying it again"
        case _:
            then = "the next run tries it again"
    return f"left at {moment(breaker.left_at, now)} after {failures}{why}, {then}"


def ledgers_behind(facts: Facts) -> dict[str, int]:
    """How many ledgers each server is behind the one that has come furthest; only those with a fresh sample."""
    newest = {
        server.server: server.latest_ledger
        for server in facts.servers
        if server.latest_ledger is not None and server.sampled_at is not None and not is_stale(server.sampled_at, facts)
    }
    return {server: max(newest.values()) - ledger for server, ledger in newest.items()}


def is_stale(sampled_at: datetime, facts: Facts) -> bool:
    """Whether a sample is too old to say anything: past three probe intervals."""
    return (facts.now - sampled_at).total_seconds() > STALE_INTERVALS * facts.probe_interval_s


def server_state(server: ServerFacts, facts: Facts) -> str:
    """The verdict, "stale" where the sample is too old to be one, and "critical" where nothing is settled on it."""
    if server.sampled_at is None or is_stale(server.sampled_at, facts):
        return "stale"
    return "critical" if server.frozen_at is not None else server.verdict or "stale"


def _money(facts: Facts) -> list[Problem]:
    found = []
    if facts.cases:
        waits = "1 case waits" if facts.cases == 1 else f"{facts.cases} cases wait"
        since = f", the oldest since {moment(facts.oldest_case, facts.now)}" if facts.oldest_case else ""
        old = facts.oldest_case is not None and facts.now - facts.oldest_case > CASE_CRITICAL
        severity = Severity.CRITICAL if old else Severity.WARN
        sentence = f"{waits} for a decision{since}"
        signal = "cases.oldest_s" if old else "cases.open"
        found.append(Problem(severity, sentence, facts.oldest_case, "/cases", signal))
    if facts.late_pending:
        are = "1 transaction has" if facts.late_pending == 1 else f"{facts.late_pending:,} transactions have"
        oldest = min((item.oldest for item in facts.pending), default=None)
        since = f", the oldest since {moment(oldest, facts.now)}" if oldest else ""
        sentence = f"{are} been pending for more than {span(facts.pending_after.total_seconds())}{since}"
        found.append(Problem(Severity.WARN, sentence, oldest, "/transactions?status=PENDING", "pending.late"))
    return found


def _events(facts: Facts) -> list[Problem]:
    events, found = facts.events, []
    if events is None:
        return []
    if events.dead:
        were = "1 event was" if events.dead == 1 else f"{events.dead:,} events were"
        since = f" since {moment(events.dead_since, facts.now)}" if events.dead_since else ""
        sentence = f"{were} given up{since}: the other system does not know what was settled"
        where = _transaction(events.dead_of)
        found.append(Problem(Severity.CRITICAL, sentence, events.dead_since, where, "events.dead"))
    if events.late:
        have = "1 event has" if events.late == 1 else f"{events.late:,} events have"
        why = f": {_short(events.error)}" if events.error else ""
        sentence = f"{have} waited for the other system for more than {span(EVENTS_LATE.total_seconds())}{why}"
        found.append(Problem(Severity.WARN, sentence, events.oldest, _transaction(events.oldest_of), "events.late"))
    return found


def _notices(facts: Facts) -> list[Problem]:
    lost = facts.notices
    if lost is None:
        return []
    more = f", and {lost.dead - 1} more" if lost.dead > 1 else ""
    since = moment(lost.since, facts.now)
    what = (
        f"the notice “{_short(lost.title, 80)}” was given up on {lost.channel} at {since}: {_short(lost.error)}{more}"
    )
    sentence = f"The team was not told: {what}"
    return [Problem(Severity.CRITICAL, sentence, lost.since, _runs_of("send-notice"), "notices.dead")]


def _audit(facts: Facts) -> list[Problem]:
    audit = facts.audit
    if audit.broken is not None:
        return [Problem(Severity.CRITICAL, _short(audit.broken, 200), audit.verified_at, "/audit", "audit.broken")]
    oldest = audit.oldest_unsealed
    if oldest is None or facts.now - oldest <= SEAL_LATE:
        return []
    has = "1 row of the audit trail has" if audit.unsealed == 1 else f"{audit.unsealed:,} rows of the audit trail have"
    sentence = f"{has} waited for a link of the chain since {moment(oldest, facts.now)}: no worker seals"
    return [Problem(Severity.WARN, sentence, oldest, "/audit", "audit.unsealed_s")]


def _backup(facts: Facts) -> list[Problem]:
    backup = facts.backup
    if backup is None or backup.problem is None:
        return []
    sentence = f"The backup {_short(backup.file, 80)} does not restore: {_short(backup.problem)}"
    where = _runs_of("verify-backup")
    return [Problem(Severity.CRITICAL, sentence, backup.verified_at, where, "backup.broken")]


def _lists(facts: Facts) -> list[Problem]:
    found = _overdue(facts.overdue, facts.now)
    if facts.unreleased is not None:
        seen = facts.unreleased.first_seen_at
        sentence = f"Version {_short(facts.unreleased.version, 40)} runs in production without a release since"
        sentence = f"{sentence} {moment(seen, facts.now)}"
        found.append(Problem(Severity.WARN, sentence, seen, "/releases", "version.unreleased"))
    return found


def _overdue(overdue: Overdue, now: datetime) -> list[Problem]:
    """One problem for each checklist that is overdue, and one for all those that there are more."""
    found = []
    for run in overdue.runs:
        what = f"“{_short(run.title, 80)}” (run {run.run_id})"
        since = moment(run.due_at, now)
        sentence = f"{what} was expedited, and its review is overdue since {since}" if run.review else (
            f"{what} is overdue since {since}"
        )  # fmt: skip
        where = f"/checklist?{urlencode({'id': run.run_id})}"
        found.append(Problem(Severity.WARN, sentence, run.due_at, where, "checklist.overdue_s", str(run.run_id)))
    if overdue.more and overdue.more_since is not None:
        are = "1 more checklist is" if overdue.more == 1 else f"{overdue.more:,} more checklists are"
        sentence = f"{are} overdue, the oldest since {moment(overdue.more_since, now)}"
        found.append(Problem(Severity.WARN, sentence, overdue.more_since, "/checklists", "checklist.overdue_s", OTHERS))
    return found


def _transaction(id_: str | None) -> str:
    return f"/transaction?{urlencode({'id': id_})}" if id_ else _runs_of("deliver-events")


_PROVED: Mapping[str, tuple[str, str, Severity]] = {
    "wallets": ("wallets", "Wallets do not hold what the books say", Severity.WARN),
    "history": ("history", "The network contradicts what was settled", Severity.CRITICAL),
}
_BOOKS = ("books", "The books do not balance", Severity.CRITICAL)


def _books(facts: Facts) -> list[Problem]:
    """Open findings: one problem for the books, whatever differs in them, one for wallets, one for the history."""
    by_kind: dict[tuple[str, str, Severity], list[CheckFacts]] = {}
    for check in facts.checks:
        if check.findings:
            by_kind.setdefault(_PROVED.get(check.name, _BOOKS), []).append(check)
    found = []
    for (kind, what, severity), checks in by_kind.items():
        count = sum(check.findings for check in checks)
        oldest = min((check.oldest for check in checks if check.oldest is not None), default=None)
        since = f", the oldest since {moment(oldest, facts.now)}" if oldest else ""
        findings = "1 finding is open" if count == 1 else f"{count:,} findings are open"
        sentence = f"{what}: {findings}{since}"
        found.append(Problem(severity, sentence, oldest, "/integrity", "integrity.findings", kind))
    return found


def _switches(facts: Facts) -> list[Problem]:
    found = []
    for state in facts.flags:
        if state.value is not DEFAULTS[state.flag]:
            word = "on" if state.value else "off"
            why = f": {_short(state.reason)}" if state.reason else ""
            when = moment(state.changed_at, facts.now)
            sentence = f"{state.flag} is {word} since {when}, switched by {_short(state.changed_by)}{why}"
            found.append(Problem(Severity.WARN, sentence, state.changed_at, "/flags", "flag.unusual", state.flag.value))
    for job in facts.jobs:
        if job.paused_at is not None:
            until = f" until {moment(job.paused_until, facts.now)}" if job.paused_until else " until it is resumed"
            why = f": {_short(job.paused_reason)}" if job.paused_reason else ""
            sentence = f"{job.name} is paused{until} by {_short(job.paused_by) or 'nobody named'}{why}"
            found.append(Problem(Severity.NOTE, sentence, job.paused_at, "/jobs", "job.paused", job.name))
    return found


def _runs_of(name: str) -> str:
    return f"/runs?{urlencode({'job': name})}"


def _short(value: str | None, most: int = 140) -> str:
    # Errors mark commands as text on a terminal does; a sentence that is a heading or a notice has no use for that.
    line = next(iter((value or "").replace("`", "").strip().splitlines()), "").rstrip()
    return line.rstrip(".") if len(line) <= most else f"{line[: most - 1].rstrip()}…"
