"""What every signal reads now, from the facts and the measures of this moment. Pure.

Where the overview has a sentence for what is wrong, it is the reading's sentence as well. A source that has gone stale
reads None and never its old value; what is not there at all has no reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from math import floor, isfinite, log10

from jobs.alerts.model import Reading
from jobs.alerts.signals import SAMPLED, SIGNALS, Unit
from jobs.probes.attention import OTHERS, alive, find_problems, is_live, is_stale, schedules
from jobs.probes.model import Facts, JobFacts, Measures, Pace, ServerFacts

ENDED_LEAST = 5
"""A share of fewer runs says nothing: it is counted as if there were so many."""
ANSWERS_LEAST = 10
USUAL_LEAST_S = 5.0
"""A job of milliseconds is not slow because it once took a second: its usual time counts as so much at least."""
GONE_AFTER = 7
"""A series without a sample for so many times what it counts for, a day at least, is measured no more."""
_VERDICTS: Mapping[str | None, float] = {"ok": 0.0, "warn": 1.0, "critical": 2.0}
_BY_ITSELF = ("wallets", "history")
_UNMEASURED: Mapping[str, tuple[str, float]] = {
    "host.disk_full_days": ("host.disk_used_ratio", 3_650.0),
    "database.full_days": ("database.connect_ms", 3_650.0),
    "database.oldest_transaction_s": ("database.connect_ms", 0.0),
    "database.replication_lag_s": ("database.connect_ms", 0.0),
}
"""What it means that a probe looked (it measured the first) and kept no sample: a disk that does not fill, no transaction."""
_LISTED = frozenset({"pending.oldest_s", "pending.count", "money.at_stake", "checklist.overdue_s"})

_Value = tuple[str, str, float | None]


def read_signals(facts: Facts, measures: Measures, known: Mapping[tuple[str, str], float | None]) -> list[Reading]:
    """A reading of every signal and subject there is. `known`: what they read the last time, to end what is no more."""
    # Of several about the same the worst and oldest stands for all.
    problems = {(problem.signal, problem.subject): problem for problem in reversed(find_problems(facts))}
    readings = []
    for name, subject, raw in (*_values(facts, measures), *_ended(facts, measures, known)):
        signal = SIGNALS[name]
        value = None if raw is None or not isfinite(raw) else rounded(raw, signal.unit)
        problem = problems.get((name, subject))
        if problem is not None:
            sentence, link = problem.sentence, problem.link
        elif (name, subject) == ("checklist.overdue_s", OTHERS):
            sentence, link = "No more checklists are overdue than are named one by one", "/checklists"
        else:
            sentence = f"{signal.title}: no data" if value is None else signal.sentence(subject, value)
            link = signal.link(subject)
        readings.append(Reading(name, subject, value, sentence, link))
    return readings


def rounded(value: float, unit: Unit) -> float:
    """A value in whole steps of its unit, and in three significant digits.

    A reading is kept whenever it differs from the one before: what wanders by less than anybody acts on (the age of a
    backup by fifteen seconds, a processor by half a per cent) must not leave a row each time.
    """
    if unit is Unit.SHARE:
        return round(value, 2)
    if unit in (Unit.DAYS, Unit.TIMES):
        return round(value, 1)
    if value == 0:
        return 0.0
    digits = 2 - floor(log10(abs(value)))
    return float(round(value, min(digits, 0)) if unit is not Unit.AMOUNT else round(value, digits))


def _values(facts: Facts, measures: Measures) -> Iterator[_Value]:
    for job in facts.jobs:
        yield from _job(job, measures.paces.get(job.name), facts.now)
    yield from _workers(facts)
    yield from _servers(facts, measures)
    yield from _money(facts, measures)
    yield from _desk(facts, measures)
    yield from _samples(facts, measures)


def _ended(facts: Facts, measures: Measures, known: Mapping[tuple[str, str], float | None]) -> Iterator[_Value]:
    """Of signals that read only what is there (a currency with something pending), what is there no more reads 0 once."""
    if not any(signal in _LISTED for signal, _ in known):
        return
    there = {(signal, subject) for signal, subject, _ in _values(facts, measures) if signal in _LISTED}
    for (signal, subject), value in known.items():
        if signal in _LISTED and value and (signal, subject) not in there:
            yield signal, subject, 0.0


def _job(job: JobFacts, pace: Pace | None, now: datetime) -> Iterator[_Value]:
    if not job.enabled:
        return
    yield "job.paused", job.name, float(job.paused_at is not None)
    if not is_live(job):
        return
    late_s = 0.0 if job.due_by is None else max(0.0, (now - job.due_by).total_seconds())
    yield "job.failures", job.name, float(job.failures)
    yield "job.overdue_s", job.name, late_s
    if pace is None:
        return
    took, usual = pace.took_s, pace.usual_p95_s
    yield "job.error_share", job.name, pace.failed / max(pace.ended, ENDED_LEAST)
    yield "job.slowness", job.name, None if took is None or usual is None else took / max(usual, USUAL_LEAST_S)
    yield "job.limit_share", job.name, None if took is None else took / pace.limit_s
    yield "job.missed", job.name, float(pace.missed)


def _workers(facts: Facts) -> Iterator[_Value]:
    beating = alive(facts)
    silent = [worker for worker in beating if not schedules(worker, facts.now)]
    yield "workers.alive", "", float(len(beating))
    yield "schedulers.alive", "", float(len(beating) - len(silent))
    for host in sorted({worker.host for worker in facts.workers}):
        yield "workers.lost", host, float(sum(it.host == host and it not in beating for it in facts.workers))
    for host in sorted({worker.host for worker in beating}):
        yield "schedulers.silent", host, float(sum(worker.host == host for worker in silent))
        skews = [abs(it.skew_ms) for it in beating if it.host == host and it.skew_ms is not None]
        yield "clock.skew_ms", host, max(skews, default=None)


def _servers(facts: Facts, measures: Measures) -> Iterator[_Value]:
    usable = 0
    for server in facts.servers:
        name, fresh = server.server, _is_fresh(server, facts)
        usable += fresh and server.frozen_at is None and server.verdict != "critical"
        yield "horizon.verdict", name, _VERDICTS.get(server.verdict) if fresh else None
        yield "horizon.age_s", name, server.age_s if fresh else None
        yield "horizon.lag", name, server.lag if fresh else None
        yield "horizon.frozen", name, float(server.frozen_at is not None)
        yield "horizon.left", name, float(server.breaker.left_at is not None)
        if server.sampled_at is not None:
            silent_s = 0.0 if fresh else (facts.now - server.sampled_at).total_seconds()
            yield "horizon.silent_s", name, silent_s
        answers = measures.answers.get(name)
        if answers is not None:
            enough = answers.requests >= ANSWERS_LEAST
            yield "horizon.error_share", name, answers.errors / answers.requests if enough else None
            yield "horizon.p95_ms", name, answers.p95_ms if enough else None
            yield "horizon.budget_left", name, answers.budget_left
    if any(server.sampled_at is not None for server in facts.servers):
        yield "horizon.usable", "", float(usable)


def _is_fresh(server: ServerFacts, facts: Facts) -> bool:
    return server.sampled_at is not None and not is_stale(server.sampled_at, facts)


def _money(facts: Facts, measures: Measures) -> Iterator[_Value]:
    stakes = dict(measures.in_cases)
    for item in facts.pending:
        yield "pending.oldest_s", item.currency, (facts.now - item.oldest).total_seconds()
        yield "pending.count", item.currency, float(item.count)
        stakes[item.currency] = stakes.get(item.currency, Decimal(0)) + item.amount
    for currency, amount in stakes.items():
        yield "money.at_stake", currency, float(amount)
    yield "pending.late", "", float(facts.late_pending)
    yield "cases.open", "", float(facts.cases)
    yield "cases.opened", "", float(measures.cases_opened)
    yield "cases.oldest_s", "", _age_s(facts.oldest_case, facts.now) or 0.0
    found = {"books": 0, **dict.fromkeys(_BY_ITSELF, 0)}
    for check in facts.checks:
        found[check.name if check.name in _BY_ITSELF else "books"] += check.findings
    for kind, count in found.items():
        yield "integrity.findings", kind, float(count)
    if facts.events is not None:
        yield "events.late", "", float(facts.events.late)
        yield "events.dead", "", float(facts.events.dead)
    yield "notices.dead", "", float(facts.notices.dead if facts.notices else 0)


def _desk(facts: Facts, measures: Measures) -> Iterator[_Value]:
    now = facts.now
    if measures.backup_at is not None:
        yield "backup.age_s", "", _age_s(measures.backup_at, now)
    if facts.backup is not None:
        yield "backup.broken", "", float(facts.backup.problem is not None)
    for run in facts.overdue.runs:
        yield "checklist.overdue_s", str(run.run_id), _age_s(run.due_at, now)
    if facts.overdue.more:
        yield "checklist.overdue_s", OTHERS, _age_s(facts.overdue.more_since, now)
    yield "audit.broken", "", float(facts.audit.broken is not None)
    yield "audit.unsealed_s", "", _age_s(facts.audit.oldest_unsealed, now) or 0.0
    for flag in facts.flags:
        yield "flag.unusual", flag.flag.value, float(flag.unusual)
    yield "version.unreleased", "", float(facts.unreleased is not None)


def _samples(facts: Facts, measures: Measures) -> Iterator[_Value]:
    if measures.probed_at is not None:
        yield "database.silent_s", "", _age_s(measures.probed_at, facts.now)
    newest = {(sample.metric, sample.subject): sample.at for sample in measures.samples}
    for sample in measures.samples:
        counts_for = SAMPLED.get(sample.metric)
        age = facts.now - sample.at
        if counts_for is None or age > max(counts_for * GONE_AFTER, timedelta(days=1)):
            continue
        # The database is the only one of its kind here: its signals have no subject.
        subject = "" if sample.metric.startswith("database.") else sample.subject
        if age <= counts_for:
            yield sample.metric, subject, sample.value
            continue
        looked, means = _UNMEASURED.get(sample.metric, ("", 0.0))
        looked_at = newest.get((looked, sample.subject))
        is_quiet = looked_at is not None and facts.now - looked_at <= counts_for
        yield sample.metric, subject, means if is_quiet else None


def _age_s(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else max(0.0, (now - since).total_seconds())
