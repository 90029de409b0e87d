"""What `nexaops doctor` makes of what it found: a line each, ok, warn or fail, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from jobs.core.jobs import Broken
from jobs.horizon.health import Judgement, Verdict
from jobs.probes.attention import alive, moment, schedules
from jobs.probes.model import Facts

DISK_WARN, DISK_FAIL = 2 * 1024**3, 256 * 1024**2
"""Free bytes below which the disk is worth a word, and below which writing will fail soon."""


class Finding(StrEnum):
    """How a line is meant; whoever runs the doctor is told to act on a fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at: what it is, in one sentence how it stands, and what mends it."""

    finding: Finding
    check: str
    says: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index that a table needs: what it begins with, as PostgreSQL writes it, and what it is for."""

    table: str
    columns: tuple[str, ...]
    used_for: str

    @property
    def statement(self) -> str:
        """What creates it without stopping writers."""
        return f"CREATE INDEX CONCURRENTLY ON {self.table} ({', '.join(self.columns)});"


INDEXES = (
    Index("transactions", ("status", "created_at"), "each run's search for what is pending"),
    Index("transactions", ("user_id", "status"), "a user's transactions"),
    Index("transactions", ("lower(tx_hash)",), "finding the rows of a page of Horizon"),
    Index("notifications", ("user_id", "status"), "a user's notifications"),
)
PRIVILEGES: Mapping[str, tuple[str, ...]] = {
    "transactions": ("SELECT", "UPDATE"),
    "users": ("SELECT",),
    "notifications": ("SELECT", "INSERT", "DELETE"),
    "balances": ("SELECT", "INSERT", "UPDATE"),
    "ledger_entries": ("SELECT", "INSERT"),
}
"""What the jobs do to the application's tables."""

_MENDS: Mapping[str, str] = {
    "network": "Set STELLAR_NETWORK, or STELLAR_HORIZON_URL, so that they mean the same network.",
    "regress": "See the page Horizon: nothing is settled by this server until somebody has looked.",
    "latency": "Check STELLAR_HORIZON_URL and the way out of this host; a second server may stand in, after a comma.",
    "budget": "Raise STELLAR_RATE_LIMIT_PER_HOUR as far as the server allows, or add a server.",
}
_MEND_OTHERS = "Wait for it, or add another server to STELLAR_HORIZON_URL."


def judge_migrations(found: str | None, needed: str, known: Collection[str]) -> Line:
    """Whether the database has the shape that this version needs; `known` are the revisions that it has passed."""
    if found == needed:
        return Line(Finding.OK, "migrations", f"the database is at {found}")
    if found is None:
        return Line(Finding.FAIL, "migrations", "the database has no tables of nexaops yet", "Run `nexaops migrate`.")
    if found not in known:
        says = f"the database is at {found}, of which this version knows nothing: it needs {needed}"
        return Line(
            Finding.FAIL, "migrations", says, "Install the version of nexaops that migrated it, or a later one."
        )
    says = f"the database is at {found}, this version needs {needed}"
    return Line(Finding.FAIL, "migrations", says, "Run `nexaops migrate`.")


def missing_indexes(found: Collection[tuple[str, tuple[str, ...]]]) -> list[Index]:
    """The needed ones that nothing serves, under whatever name; `found` has tables with their valid indexes' columns."""
    return [
        index
        for index in INDEXES
        if not any(table == index.table and columns[: len(index.columns)] == index.columns for table, columns in found)
    ]


def judge_indexes(found: Collection[tuple[str, tuple[str, ...]]]) -> list[Line]:
    """Whether every index is there; `found` as for `missing_indexes`."""
    missing = missing_indexes(found)
    if not missing:
        return [Line(Finding.OK, "indexes", f"all {len(INDEXES)} are there")]
    return [
        Line(
            Finding.WARN,
            "indexes",
            f"{index.table} has none on {', '.join(index.columns)}, which speeds up {index.used_for}",
            f"Run {index.statement}",
        )
        for index in missing
    ]


def judge_privileges(lacking: Sequence[tuple[str, str]], user: str) -> list[Line]:
    """Whether the database's user may do what the jobs do; `lacking` has tables with what may not be done to them."""
    if not lacking:
        return [Line(Finding.OK, "privileges", f"{user} may do what the jobs do")]
    return [
        Line(Finding.FAIL, "privileges", f"{user} lacks {what} on {table}", f'Run GRANT {what} ON {table} TO "{user}";')
        for table, what in lacking
    ]


def judge_jobs(working: int, broken: Sequence[Broken]) -> list[Line]:
    """Whether every job that the installed packages bring can be run here; `working` of them can."""
    if not broken:
        return [Line(Finding.OK, "jobs", f"all {working} of the installed packages can be run")]
    return [
        Line(
            Finding.FAIL,
            "jobs",
            f"{it.name} ({it.module}) is broken: {it.reason}",
            f"Mend its package, or uninstall it; `python -c 'import {it.module}'` shows where an import fails.",
        )
        for it in broken
    ]


def judge_server(server: str, judgement: Judgement, good: str) -> Line:
    """How one Horizon server does; `good` is what there is to say when all is well."""
    if not judgement.reasons:
        return Line(Finding.OK, "horizon", f"{server}: {good}")
    worst = judgement.reasons[0]
    said = " ".join(reason.sentence for reason in judgement.reasons)
    finding = Finding.FAIL if judgement.verdict is Verdict.CRITICAL else Finding.WARN
    return Line(finding, "horizon", f"{server}: {said}".rstrip("."), _MENDS.get(worst.signal, _MEND_OTHERS))


def judge_servers(lines: Sequence[Line]) -> list[Line]:
    """The servers together: where one can be settled by, another that cannot is no failure."""
    if not lines:
        mend = "Start the demo with `nexaops up`, or set STELLAR_HORIZON_URL and STELLAR_NETWORK."
        return [Line(Finding.WARN, "horizon", "no server is configured, so nothing is settled", mend)]
    usable = any(line.finding is not Finding.FAIL for line in lines)
    return [replace(line, finding=Finding.WARN) if usable and line.finding is Finding.FAIL else line for line in lines]


def judge_workers(facts: Facts) -> list[Line]:
    """Whether anybody works, and says when it is time to."""
    beating = alive(facts)
    if not beating:
        last = max((worker.beat_at for worker in facts.workers), default=facts.last_worker_at)
        since = f" since {moment(last, facts.now)}" if last is not None else ""
        return [Line(Finding.FAIL, "workers", f"none has run{since}", "Start one: `nexaops worker`.")]
    if not any(schedules(worker, facts.now) for worker in beating):
        says = "none of them has a scheduler that shows signs of life, so no job starts by itself"
        return [Line(Finding.FAIL, "workers", says, "Restart the workers and read their logs.")]
    silent = [worker.host for worker in facts.workers if worker not in beating]
    if silent:
        says = f"{len(beating)} beat, silent within the hour: {', '.join(silent)}"
        return [Line(Finding.WARN, "workers", says, "Look after those hosts; others have taken over what they ran.")]
    return [Line(Finding.OK, "workers", f"{len(beating)} beat{'s' if len(beating) == 1 else ''}")]


def judge_telling(channels: int, *, people: bool, ping: bool, demo: bool) -> Line:
    """Whether anybody hears of an alert, and anybody outside of it that there are none any more.

    Nothing is sent for it: `nexaops notices test` does that, and a ping would say that all is well.
    """
    if demo:
        return Line(Finding.OK, "telling", "the demo tells nobody")
    if not channels:
        says = "there is no channel on which anybody could be told of an alert"
        return Line(Finding.WARN, "telling", says, "Set NEXAOPS_NOTICE_URLS, then `nexaops notices test`.")
    says = f"{channels} channel{'s' if channels > 1 else ''} of the team, {'single people too' if people else 'no person by themselves'}"
    if not ping:
        return Line(
            Finding.WARN, "telling", f"{says}; nobody outside notices when the alerts stop", "Set NEXAOPS_PING_URL."
        )
    return Line(Finding.OK, "telling", f"{says}, a ping outside")


def judge_disk(folder: str, free: int) -> Line:
    """Whether there is room for what is written under the folder; bytes."""
    says = f"{free / 1024**3:,.1f} GiB free for {folder}"
    if free >= DISK_WARN:
        return Line(Finding.OK, "disk", says)
    finding = Finding.FAIL if free < DISK_FAIL else Finding.WARN
    return Line(finding, "disk", f"only {says}", "Free some space, or set NEXAOPS_HOME to a folder on another disk.")
