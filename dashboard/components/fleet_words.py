"""Workers, queue and leases in words. Pure but for the markup that they are said in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dashboard.components.instants import instant
from dashboard.components.markup import Html, esc, join, link, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age
from jobs.probes.attention import BEAT_LOST_S, span
from jobs.run.fleet import Fleet, Held, Worker, drains_in_s
from jobs.run.skew import in_words, is_skewed
from jobs.run.supervise import BEAT_S

_MOST_RUNS = 4


def beats(worker: Worker, now: datetime) -> bool:
    """Whether it has given a sign of life lately enough not to count as lost."""
    return (now - worker.beat_at).total_seconds() <= BEAT_LOST_S


def headline(fleet: Fleet, beating: Sequence[Worker]) -> tuple[str, Html]:
    """How many work, how busy they are, and what waits."""
    if not beating:
        return "No worker runs", queue_in_words(fleet)
    hosts = len({worker.host for worker in beating})
    works = "1 worker" if len(beating) == 1 else f"{len(beating)} workers"
    on = "" if hosts == len(beating) == 1 else f" on {hosts} host{'s' if hosts > 1 else ''}"
    busy, places = sum(len(worker.runs) for worker in beating), sum(worker.concurrency for worker in beating)
    return f"{works}{on}, {busy} of {places} places taken", queue_in_words(fleet)


def queue_in_words(fleet: Fleet) -> Html:
    """What waits for a worker, since when, and how long it takes at the present rate."""
    waiting = sum(item.queued for item in fleet.queue)
    if not waiting:
        return esc("No run waits for a worker.")
    oldest = min((item.oldest for item in fleet.queue if item.oldest is not None), default=None)
    left = drains_in_s(fleet.queue)
    then = f", about {span(left)} of work at the rate of the last minutes" if left is not None else ""
    many = "1 run waits" if waiting == 1 else f"{waiting:,} runs wait"
    return join(f"{many} for a worker, the oldest queued ", age(oldest), then, ".")


def versions(beating: Sequence[Worker]) -> str:
    """What two versions at a time mean; empty while there is one."""
    found = sorted({worker.version for worker in beating})
    if len(found) < 2:
        return ""
    return f"versions {', '.join(found[:-1])} and {found[-1]} run side by side; new runs go to either"


def row(worker: Worker, now: datetime) -> tuple[object, ...]:
    """A worker as a row of the table, by `COLUMNS`."""
    return (
        join(tag("b", worker.host), tag("div", f"process {worker.pid}", class_="nx-note")),
        worker.version,
        age(worker.started_at),
        age(worker.beat_at, interval_s=BEAT_S),
        tag("div", f"{len(worker.runs)} of {worker.concurrency}", tag("div", *_runs(worker), class_="nx-note")),
        "–" if worker.load_1m is None else f"{worker.load_1m:.1f} on {worker.cores} cores",
        "–" if worker.memory_bytes is None else f"{worker.memory_bytes / 1e6:,.0f} MB",
        clock_of(worker),
        scheduler_of(worker, now),
    )


COLUMNS = ("Worker", "Version", "Since", "Beat", "Runs", "Load", "Memory", "Clock", "Scheduler")


def _runs(worker: Worker) -> tuple[object, ...]:
    shown = [link(f"run {run_id} ", url("run", id=run_id)) for run_id in worker.runs[:_MOST_RUNS]]
    more = len(worker.runs) - len(shown)
    return (*shown, f"and {more} more" if more else "")


def clock_of(worker: Worker) -> Html:
    """How far its host's clock is from the database's."""
    if worker.skew_ms is None:
        return tag("span", "not known", class_="nx-quiet")
    said = in_words(worker.skew_ms)
    return chip("warn", said) if is_skewed(worker.skew_ms) else tag("span", said, class_="nx-num")


def scheduler_of(worker: Worker, now: datetime) -> Html:
    """Whether the part of it that says when slots are due is alive."""
    if worker.scheduler_at is None:
        return chip("warn", "never seen")
    silent = (now - worker.scheduler_at).total_seconds()
    return chip("ok", "alive") if silent <= BEAT_LOST_S else chip("warn", f"silent for {span(silent)}")


def lease_row(lease: Held, now: datetime) -> tuple[object, ...]:
    """A lease as a row: what it is for, who has it, until when."""
    if lease.expires_at <= now:
        return (
            lease.name,
            tag("span", "nobody", class_="nx-quiet"),
            tag("div", "free since ", age(lease.expires_at)),
            lease.term,
        )
    holder = f"{lease.host}, process {lease.pid}" if lease.host is not None else f"worker {str(lease.holder)[:8]}"
    return (lease.name, holder, tag("div", "until ", instant(lease.expires_at)), lease.term)
