"""What jobs and runs are doing, in words: state, sentence, who asked. Pure but for the markup it is said in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.components.actors import who
from dashboard.components.instants import written
from dashboard.components.markup import Html, esc, join, link, tag, url
from dashboard.components.states import chip, word
from dashboard.components.strips import Bar
from dashboard.components.times import age, clock, lasted
from dashboard.queries_jobs import RunLine
from jobs.core.flags import FlagState
from jobs.probes.attention import is_overdue, span
from jobs.probes.model import JobFacts
from jobs.run.store import RunRow
from jobs.schedule.model import Schedule

OPEN = ("queued", "running")
_WRONG = ("failed", "critical", "warn", "off", "paused")
_HANDS = {"manual": "by hand", "checklist": "from a checklist", "api": "over the API"}


@dataclass(frozen=True, slots=True)
class Said:
    """How a job stands: the state for shape and colour, the words beside it, and what there is to add."""

    state: str
    words: str
    more: Html

    @property
    def well(self) -> bool:
        return self.state in ("ok", "wait", "queued")

    @property
    def rank(self) -> int:
        """Its place among jobs: what is wrong first, and of that what nobody has wanted."""
        return len(_WRONG) if self.well else _WRONG.index(self.state)

    @property
    def markup(self) -> Html:
        return join(chip(self.state, self.words), tag("div", self.more, class_="nx-note"))


def standing_of(facts: JobFacts | None, flag: FlagState | None, bars: Sequence[Bar], now: datetime) -> Said:
    """What matters most about a job: switched off, paused, failing, late, or well."""
    if flag is not None and not flag.value:
        why = f": {flag.reason}" if flag.reason else ""
        return Said(
            "off", f"switched off by {flag.flag.value}", join(clock(flag.changed_at), f", {flag.changed_by}{why}")
        )
    if facts is None:
        return Said("queued", "not scheduled yet", esc("the first worker adds its schedule"))
    if not facts.enabled:
        return Said("off", "off", esc("its schedule is switched off"))
    if facts.paused_at is not None:
        until = join(" until ", written(facts.paused_until, seconds=False)) if facts.paused_until else ""
        why = f"{facts.paused_by or 'nobody named'}: {facts.paused_reason or 'no reason given'}"
        return Said("paused", "paused", join(tag("span", until, " by ", why) if until else f"by {why}"))
    if facts.failures:
        times = "once" if facts.failures == 1 else f"{facts.failures} times"
        since = join("since ", written(facts.failing_since, seconds=False)) if facts.failing_since else ""
        why = first_line(facts.error) or "see the run"
        cause = link(why, url("run", id=facts.failed_run)) if facts.failed_run is not None else esc(why)
        return Said("failed", f"failed {times}", join(since, tag("div", cause)))
    if is_overdue(facts, now):
        return Said("critical", "overdue", join("last success ", age(facts.last_success_at)))
    if not bars:
        return Said("queued", "has not run yet", esc(""))
    missed = tag("div", link("missed slots in the last hour", url("runs", job=facts.name, state="missed")))
    return Said("ok", "ok", join("last success ", age(facts.last_success_at), missed if facts.missed else ""))


def busy_of(bars: Sequence[Bar]) -> Html:
    """What of a job waits or runs at this moment, each leading to its run; nothing for none."""
    running = [bar for bar in bars if bar.state in OPEN]
    return join(*(tag("div", link(chip(bar.state, _busy(bar)), url("run", id=bar.run_id))) for bar in running[-3:]))


def _busy(bar: Bar) -> str:
    return "queued" if bar.state == "queued" else f"running for {span(bar.seconds or 0.0)}"


def paused_now(schedule: Schedule | None, now: datetime) -> bool:
    """Whether the schedule can be resumed rather than paused."""
    return schedule is not None and schedule.paused(now)


def asked_by(run: RunRow | RunLine) -> Html:
    """What or who asked for a run, in words."""
    if run.trigger == "schedule":
        return join("schedule, slot ", clock(run.slot)) if run.slot is not None else esc("schedule")
    if run.trigger == "retry" and run.retry_of is not None:
        return join("another attempt of ", link(f"run {run.retry_of}", url("run", id=run.retry_of)))
    how = "" if run.triggered_by.startswith("cli:") else f" {_HANDS.get(run.trigger, run.trigger)}"
    return join(who(run.triggered_by), how)


def first_line(message: str | None, most: int = 140) -> str:
    """The beginning of an error, short enough for a line."""
    line = next(iter((message or "").strip().splitlines()), "")
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def counted(name: str) -> str:
    """A counter's name as words: "requests estimated"."""
    return name.replace("_", " ")


def headline(run: RunRow) -> str:
    """What happened, in one sentence."""
    dry = " as a dry run" if run.dry_run else ""
    took = lasted(run.duration_s)
    why = first_line(run.error).rstrip(".")
    if run.state == "stopped" and why.startswith("Stopped by "):
        return f"{run.job} was s{why[1:]}" + (f", after {took}" if run.started_at else "")
    said = {
        "queued": f"{run.job} waits for a worker",
        "running": f"{run.job} is running{dry}" if run.stop_by is None else f"{run.job} is stopping",
        "succeeded": f"{run.job} succeeded{dry} in {took}",
        "failed": f"{run.job} failed" + (f" after {took}" if run.started_at else ""),
        "timed_out": f"{run.job} ran out of time" + (f" after {took}" if run.started_at else ""),
        "lost": f"{run.job} was lost",
        "stopped": f"{run.job} was stopped" + (f" after {took}" if run.started_at else ""),
        "missed": f"{run.job} missed its time",
        "skipped": f"{run.job} was skipped",
    }.get(run.state, f"{run.job}: {word(run.state)}")
    return f"{said}: {why}" if why and run.state != "succeeded" else said
