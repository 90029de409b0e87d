"""The signals that a rule can watch: what each measures, of what, in which unit, and which way is bad. Pure.

Signals that a probe keeps as samples have the metric's name; the others are read from the facts (readings.py). Their
names stand in rules, alerts and kept readings, so none is renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal
from urllib.parse import quote

from jobs.probes.attention import span


class Unit(StrEnum):
    """What a value counts; the value is the word for it."""

    COUNT = "number"
    SECONDS = "seconds"
    MS = "milliseconds"
    SHARE = "share of one"
    DAYS = "days"
    TIMES = "times as long"
    AMOUNT = "amount"
    YES = "1: yes, 0: no"
    VERDICT = "0: ok, 1: warn, 2: critical"
    INDICATOR = "0: none, 1: minor, 2: major, 3: critical"


_LEVELS: Mapping[Unit, tuple[str, ...]] = {
    Unit.YES: ("no", "yes"),
    Unit.VERDICT: ("ok", "warn", "critical"),
    Unit.INDICATOR: ("none", "minor", "major", "critical"),
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is measured. `subject`: what there is a reading for each of; empty: there is only one reading."""

    name: str
    title: str
    unit: Unit
    bad: Literal["high", "low"]
    subject: str
    means: str
    says: str
    """The sentence of a reading that nobody has a better one for, with {subject} and {value}."""
    page: str
    """Where its cause is, with {subject}."""
    fresh: timedelta | None = None
    """Of samples: how long the newest one says how it is now. None: it is no sample."""

    def sentence(self, subject: str, value: float) -> str:
        """How it stands, in words."""
        return self.says.format(subject=subject, value=in_words(self.unit, value))

    def link(self, subject: str) -> str:
        """One click to the cause."""
        return self.page.format(subject=quote(subject, safe=""))


def in_words(unit: Unit, value: float) -> str:
    """A value of this unit as a sentence says it: "12 %", "4 min", "critical"."""
    match unit:
        case Unit.SECONDS:
            return span(value)
        case Unit.MS:
            return f"{value:,.0f} ms"
        case Unit.SHARE:
            return f"{value * 100:.3g} %"
        case Unit.DAYS:
            return "1 day" if value == 1 else f"{value:,.3g} days"
        case Unit.TIMES:
            return f"{value:.3g} times"
        case Unit.AMOUNT:
            return f"{value:,.2f}"
        case Unit.YES | Unit.VERDICT | Unit.INDICATOR:
            levels = _LEVELS[unit]
            return levels[min(max(int(value), 0), len(levels) - 1)]
        case Unit.COUNT:
            return f"{value:,.0f}"


_JOB, _RUNS = "a job", "/runs?job={subject}"
_PROBED, _SLOW, _DAILY = timedelta(minutes=2), timedelta(minutes=5), timedelta(days=1)
"""How long a sample counts: of what is probed twice a minute, once a minute, once an hour."""

_ALL = (
    # Jobs
    Signal("job.failures", "Failures in a row", Unit.COUNT, "high", _JOB,
           "Runs that failed, timed out or were lost since the last success.",
           "{subject}: {value} failures since the last success", _RUNS),
    Signal("job.error_share", "Error rate of a job", Unit.SHARE, "high", _JOB,
           "Of the runs that ended within the last hour, the share that failed, timed out or were lost; fewer than five"
           " count as five.",
           "{value} of the runs of {subject} failed within the last hour", _RUNS),
    Signal("job.slowness", "Slow execution", Unit.TIMES, "high", _JOB,
           "How long the running or the last run took, as a multiple of the p95 of its last two hundred successes;"
           " of twenty or more, and counted as five seconds at least.",
           "{subject} takes {value} its usual p95", _RUNS),
    Signal("job.limit_share", "Near its time limit", Unit.SHARE, "high", _JOB,
           "How much of its time limit the running or the last run has used.",
           "{subject} has used {value} of its time limit", _RUNS),
    Signal("job.missed", "Missed runs", Unit.COUNT, "high", _JOB,
           "How often within the last hour slots were missed because no worker claimed them; a row of them counts once.",
           "{subject} missed slots {value} times within the last hour", _RUNS),
    Signal("job.overdue_s", "Overdue", Unit.SECONDS, "high", _JOB,
           "For how long a success has been late, the time limit and the grace time allowed for.",
           "{subject} is late by {value}", _RUNS),
    Signal("job.paused", "Paused", Unit.YES, "high", _JOB, "Whether a person has paused it.",
           "{subject} is paused: {value}", "/jobs"),
    # Workers
    Signal("workers.alive", "Workers that beat", Unit.COUNT, "low", "", "Workers that gave a sign of life within 30 s.",
           "{value} workers run", "/workers"),
    Signal("workers.lost", "Lost workers", Unit.COUNT, "high", "a host",
           "Workers of a host that fell silent within the last hour without signing off.",
           "{value} workers on {subject} are silent", "/workers"),
    Signal("schedulers.alive", "Schedulers that beat", Unit.COUNT, "low", "",
           "Schedulers that gave a sign of life within 30 s; without one no job starts by itself.",
           "{value} schedulers run", "/workers"),
    Signal("schedulers.silent", "Silent schedulers", Unit.COUNT, "high", "a host",
           "Workers of a host that run and whose scheduler is silent.",
           "{value} schedulers on {subject} are silent", "/workers"),
    Signal("clock.skew_ms", "Clock skew", Unit.MS, "high", "a host",
           "How far the host's clock is from the database's, either way.",
           "The clock of {subject} is {value} off the database's", "/workers"),
    # PostgreSQL
    Signal("database.connect_ms", "Connection time", Unit.MS, "high", "",
           "How long somebody new waits for a first answer of PostgreSQL.",
           "PostgreSQL takes {value} to connect", "/database", _PROBED),
    Signal("database.silent_s", "Database not probed", Unit.SECONDS, "high", "",
           "How long ago PostgreSQL was last probed, as the probe connects anew each time.",
           "PostgreSQL was last probed {value} ago", "/database"),
    Signal("database.connections_ratio", "Connections", Unit.SHARE, "high", "",
           "Connections in use, of those that PostgreSQL allows.",
           "{value} of PostgreSQL's connections are in use", "/database", _PROBED),
    Signal("database.locks_waiting", "Locks waited for", Unit.COUNT, "high", "", "Locks that somebody waits for.",
           "{value} locks are waited for in PostgreSQL", "/database", _PROBED),
    Signal("database.oldest_transaction_s", "Oldest transaction", Unit.SECONDS, "high", "",
           "For how long the oldest transaction has been open.",
           "A transaction of PostgreSQL has been open for {value}", "/database", _PROBED),
    Signal("database.replication_lag_s", "Replication lag", Unit.SECONDS, "high", "",
           "How far the replica that is furthest behind is behind.",
           "A replica of PostgreSQL is {value} behind", "/database", _PROBED),
    Signal("database.dead_ratio", "Dead rows", Unit.SHARE, "high", "", "Dead rows, of all rows.",
           "{value} of PostgreSQL's rows are dead", "/database", _PROBED),
    Signal("database.full_days", "Days until the database's disk is full", Unit.DAYS, "low", "",
           "When the disk of PostgreSQL is full if it grows as in the last week; where it lies on a host of ours.",
           "The disk of PostgreSQL is full in {value}", "/database", _PROBED),
    # Horizon
    Signal("horizon.usable", "Horizon servers to trust", Unit.COUNT, "low", "",
           "Configured servers whose newest sample is fresh and not critical, and on which settling is not frozen.",
           "{value} Horizon servers can be trusted", "/horizon"),
    Signal("horizon.verdict", "Horizon's verdict", Unit.VERDICT, "high", "a server",
           "What the probe says of the server, all its signals together.", "Horizon {subject}: {value}", "/horizon"),
    Signal("horizon.age_s", "Age of the newest ledger", Unit.SECONDS, "high", "a server",
           "How old the newest ledger was when it was sampled.", "The newest ledger of {subject} is {value} old",
           "/horizon"),
    Signal("horizon.lag", "Ledger lag", Unit.COUNT, "high", "a server", "Ledgers that it is behind its own core.",
           "{subject} is {value} ledgers behind its core", "/horizon"),
    Signal("horizon.error_share", "Error rate of Horizon", Unit.SHARE, "high", "a server",
           "Of the answers of the last five minutes, the share that were 429, 5xx or time-outs; of ten or more.",
           "{value} of the answers of {subject} are errors", "/horizon"),
    Signal("horizon.p95_ms", "Latency of Horizon", Unit.MS, "high", "a server",
           "The 95th percentile of the answers of the last five minutes; of ten or more.",
           "{subject} answers in {value} (p95)", "/horizon"),
    Signal("horizon.budget_left", "Request budget left", Unit.SHARE, "low", "a server",
           "What is left of the requests of this hour, ours or the server's.",
           "{value} of the requests to {subject} are left", "/horizon"),
    Signal("horizon.frozen", "Settling frozen", Unit.YES, "high", "a server",
           "Whether settling on it is frozen, because it contradicted itself.", "{subject} is frozen: {value}",
           "/horizon"),
    Signal("horizon.left", "Server left", Unit.YES, "high", "a server",
           "Whether the circuit breaker has left it after failures.", "{subject} is left: {value}", "/horizon"),
    Signal("horizon.silent_s", "Horizon not probed", Unit.SECONDS, "high", "a server",
           "How long ago it was last sampled, once three intervals of the probe are past.",
           "{subject} was last sampled {value} ago", "/horizon"),
    Signal("status_page.indicator", "Status page", Unit.INDICATOR, "high", "a status page",
           "What the network's status page says; advisory, never a proof.", "{subject} says: {value}", "/horizon",
           _SLOW),
    # Money
    Signal("pending.oldest_s", "Oldest pending", Unit.SECONDS, "high", "a currency",
           "The age of the oldest transaction that waits for the chain.",
           "The oldest pending transaction in {subject} is {value} old", "/transactions?status=PENDING"),
    Signal("pending.count", "Pending", Unit.COUNT, "high", "a currency", "Transactions that wait for the chain.",
           "{value} transactions in {subject} are pending", "/transactions?status=PENDING"),
    Signal("pending.late", "Pending for too long", Unit.COUNT, "high", "",
           "Transactions that have been pending for longer than NEXAOPS_PENDING_WARN_MIN.",
           "{value} transactions have been pending for too long", "/transactions?status=PENDING"),
    Signal("money.at_stake", "Money at stake", Unit.AMOUNT, "high", "a currency",
           "What is pending or waits in a case for a person, in the currency's own unit.",
           "{value} {subject} is at stake", "/cases"),
    Signal("cases.open", "Open cases", Unit.COUNT, "high", "", "Cases that wait for a person's decision.",
           "{value} cases wait for a decision", "/cases"),
    Signal("cases.opened", "New cases", Unit.COUNT, "high", "", "Cases that were opened within the last hour.",
           "{value} cases were opened within the last hour", "/cases"),
    Signal("cases.oldest_s", "Oldest case", Unit.SECONDS, "high", "", "For how long the oldest case has waited.",
           "The oldest case has waited for {value}", "/cases"),
    Signal("integrity.findings", "Open findings", Unit.COUNT, "high", "books, wallets or history",
           "What the proofs of the books, the wallets and the history found and is still so.",
           "{value} findings about {subject} are open", "/integrity"),
    Signal("events.late", "Late events", Unit.COUNT, "high", "",
           "Events that have waited for the other system for longer than 15 min.", "{value} events are late",
           "/runs?job=deliver-events"),
    Signal("events.dead", "Events given up", Unit.COUNT, "high", "", "Events that the other system never took.",
           "{value} events were given up", "/runs?job=deliver-events"),
    Signal("notices.dead", "Notices given up", Unit.COUNT, "high", "",
           "Notices of the last day that some channel never took.", "{value} notices were given up",
           "/runs?job=send-notice"),
    # Hosts
    Signal("host.cpu_ratio", "CPU", Unit.SHARE, "high", "a host", "How busy its processors are.",
           "{subject} uses {value} of its processors", "/hosts", _PROBED),
    Signal("host.memory_used_ratio", "Memory", Unit.SHARE, "high", "a host", "Memory in use.",
           "{value} of the memory of {subject} is in use", "/hosts", _PROBED),
    Signal("host.disk_used_ratio", "Disk", Unit.SHARE, "high", "a host", "How full the disk of NEXAOPS_HOME is.",
           "The disk of {subject} is {value} full", "/hosts", _PROBED),
    Signal("host.disk_full_days", "Days until the disk is full", Unit.DAYS, "low", "a host",
           "When the disk is full if it goes on as in the last week; ten years where it does not fill.",
           "The disk of {subject} is full in {value}", "/hosts", _PROBED),
    # The desk itself
    Signal("backup.age_s", "Age of the newest backup", Unit.SECONDS, "high", "", "When the newest backup was made.",
           "The newest backup is {value} old", "/runs?job=backup"),
    Signal("backup.broken", "Backup does not restore", Unit.YES, "high", "",
           "Whether the last restore, which proves a backup, found it broken.", "A backup is broken: {value}",
           "/runs?job=verify-backup"),
    Signal("checklist.overdue_s", "Overdue checklist", Unit.SECONDS, "high", "a run of a checklist",
           "For how long an open checklist, or its review, has been overdue; beyond the oldest twenty the others are one.",
           "Checklist run {subject} is overdue by {value}", "/checklist?id={subject}"),
    Signal("audit.broken", "Audit chain broken", Unit.YES, "high", "",
           "Whether the last verification found the audit trail changed.", "The audit chain is broken: {value}", "/audit"),
    Signal("audit.unsealed_s", "Audit rows unsealed", Unit.SECONDS, "high", "",
           "For how long the oldest row has waited for its link of the chain.",
           "Rows of the audit trail have waited for a link for {value}", "/audit"),
    Signal("flag.unusual", "Flag switched", Unit.YES, "high", "a flag",
           "Whether it stands otherwise than on a quiet day.", "{subject} is switched: {value}", "/flags"),
    Signal("version.unreleased", "Version without a release", Unit.YES, "high", "",
           "Whether the version in production has no deployment checklist.",
           "An unreleased version runs in production: {value}", "/releases"),
    Signal("certificate.days_left", "Certificate", Unit.DAYS, "low", "a host and port", "Days until it expires.",
           "The certificate of {subject} ends in {value}", "/runs?job=probe-certificates", _DAILY),
    Signal("secret.age_days", "Age of a secret", Unit.DAYS, "high", "a setting",
           "For how long the setting has had its value; where hosts hold different ones, the oldest of them.",
           "{subject} has had its value for {value}", "/runs?job=watch-secrets", _DAILY),
    Signal("secret.values", "Hosts that disagree", Unit.COUNT, "high", "a setting",
           "How many different values of a secret hosts hold whose workers run.",
           "Hosts disagree about {subject}: they hold {value} different values", "/runs?job=watch-secrets", _DAILY),
)  # fmt: skip

SIGNALS: Mapping[str, Signal] = {signal.name: signal for signal in _ALL}
SAMPLED: Mapping[str, timedelta] = {signal.name: signal.fresh for signal in _ALL if signal.fresh is not None}
"""Those that probes keep as samples, and how long the newest one counts."""
