"""What stands between us and production: each release with what holds it, and what runs have taught so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from checklists.lines import State, TrackedItem, leaves
from checklists.reads import ChecklistRun
from checklists.signoff import missing, unsigned

DEPLOYMENT = "deployment"
LOOKED_BACK = 50
"""How many of the newest runs of a list teach how long an item takes, and what is skipped."""


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that stands in the way: which phase, and why in words."""

    phase_id: str
    phase: str
    why: str


@dataclass(frozen=True, slots=True)
class ToSign:
    """A signature that is still missing: whose, and what must come first; while that is nothing, it is what holds."""

    title: str
    waits_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A repeated line of a release: how many of its occurrences are done, and how many are overdue."""

    phase_id: str
    item_id: str
    text: str
    done: int
    total: int
    overdue: int
    next_due: datetime | None


@dataclass(frozen=True, slots=True)
class Release:
    """A release that is under way: what holds it, who has still to sign, what is next and who is on what."""

    run: ChecklistRun
    held: tuple[Held, ...]
    to_sign: tuple[ToSign, ...]
    on_it: tuple[tuple[str, int], ...]
    """Names with how many open lines are theirs."""
    follow_ups: tuple[FollowUp, ...]

    @property
    def held_up(self) -> bool:
        """Whether something stands in the way now, a signature that could be given included."""
        return bool(self.held) or any(not one.waits_for for one in self.to_sign)


@dataclass(frozen=True, slots=True)
class ItemTime:
    """How long a line of a list takes, from the tick before it: the median of `times` ticks."""

    item_id: str
    median: timedelta
    times: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that ended N/A or open in closed runs: of `runs`, how many each."""

    item_id: str
    na: int
    left_open: int
    runs: int


@dataclass(frozen=True, slots=True)
class Version:
    """What the application said it was; `run_id` is the newest release of that version, None: nobody released it."""

    version: str
    first_seen_at: datetime
    last_seen_at: datetime
    run_id: int | None
    state: str | None


def under_way(conn: Connection, limit: int) -> list[int]:
    """The numbers of the deployments that are under way, the newest first."""
    newest = text(
        "SELECT id FROM ops.checklist_runs WHERE state = 'open' AND kind = :kind ORDER BY id DESC LIMIT :limit"
    )
    return list(conn.execute(newest, {"kind": DEPLOYMENT, "limit": limit}).scalars())


def standing(run: ChecklistRun) -> Release:
    """What one run is held by, who is on it, and what follows. Pure."""
    owners: dict[str, int] = {}
    for line in leaves(run.phases):
        if line.mark.assigned and line.state is State.OPEN:
            owners[line.mark.assigned] = owners.get(line.mark.assigned, 0) + 1
    to_sign = tuple(ToSign(line.title, missing(run, line)) for line in unsigned(run))
    return Release(run, tuple(_held(run)), to_sign, tuple(sorted(owners.items())), tuple(_follow_ups(run)))


def item_times(conn: Connection, template_id: str, limit: int = 10) -> tuple[ItemTime, ...]:
    """The lines of a list that take longest."""
    rows = conn.execute(
        text(
            # Run by run, so that it is the index that is read and not the history of all years.
            "SELECT item_id, count(*) AS times, percentile_cont(0.5) WITHIN GROUP (ORDER BY took) AS median"
            " FROM (SELECT id, started_at FROM ops.checklist_runs WHERE template_id = :template"
            "   ORDER BY id DESC LIMIT :runs) r CROSS JOIN LATERAL ("
            "   SELECT item_id, at - lag(at, 1, r.started_at) OVER (ORDER BY id) AS took"
            "   FROM ops.checklist_events WHERE run_id = r.id AND kind = 'ticked') steps"
            " GROUP BY item_id HAVING percentile_cont(0.5) WITHIN GROUP (ORDER BY took) > interval '1 second'"
            " ORDER BY median DESC, item_id LIMIT :limit"
        ),
        {"template": template_id, "runs": LOOKED_BACK, "limit": limit},
    )
    return tuple(ItemTime(row.item_id, row.median, row.times) for row in rows)


def usually_skipped(conn: Connection, template_id: str, limit: int = 10) -> tuple[Skipped, ...]:
    """The lines of a list that most often end N/A, or open, in runs that were closed."""
    rows = conn.execute(
        text(
            # Run by run here too, for which the planner must not join (`OFFSET 0`).
            "SELECT i.item_id, count(*) FILTER (WHERE i.state = 'na') AS na,"
            " count(*) FILTER (WHERE i.state = 'open') AS left_open, count(*) AS runs"
            " FROM (SELECT id FROM ops.checklist_runs WHERE template_id = :template AND state = 'done'"
            "   ORDER BY id DESC LIMIT :runs) r CROSS JOIN LATERAL (SELECT item_id, state FROM ops.checklist_items"
            "   WHERE run_id = r.id AND retired_at IS NULL OFFSET 0) i"
            " GROUP BY i.item_id HAVING count(*) FILTER (WHERE i.state <> 'done') > 0"
            " ORDER BY count(*) FILTER (WHERE i.state <> 'done') DESC, i.item_id LIMIT :limit"
        ),
        {"template": template_id, "runs": LOOKED_BACK, "limit": limit},
    )
    return tuple(Skipped(row.item_id, row.na, row.left_open, row.runs) for row in rows)


def versions(conn: Connection, limit: int = 20) -> tuple[Version, ...]:
    """What ran in production, the newest first, and the release that brought it there."""
    rows = conn.execute(
        text(
            "SELECT v.version, v.first_seen_at, v.last_seen_at, r.id AS run_id, r.state FROM ops.app_versions v"
            " LEFT JOIN LATERAL (SELECT id, state FROM ops.checklist_runs WHERE kind = 'deployment'"
            "   AND ltrim(fields ->> 'version', 'v') = ltrim(v.version, 'v') ORDER BY id DESC LIMIT 1) r ON true"
            " ORDER BY v.first_seen_at DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return tuple(Version(**row._asdict()) for row in rows)


def saw_version(conn: Connection, version: str) -> bool:
    """Keeps that the application says it is this version; returns whether that is news."""
    return bool(
        conn.execute(
            text(
                "INSERT INTO ops.app_versions (version) VALUES (:version)"
                " ON CONFLICT (version) DO UPDATE SET last_seen_at = now() RETURNING first_seen_at = last_seen_at"
            ),
            {"version": version},
        ).scalar_one()
    )


def _held(run: ChecklistRun) -> Iterator[Held]:
    for phase in run.phases:
        name, title = phase.definition.id, phase.definition.title
        for wanted in phase.gate:
            yield Held(name, title, f"its gate wants {wanted}")
        for line in leaves([phase]):
            if line.holds:
                yield Held(name, title, f"“{line.label}”: {line.holds}")
            elif _late(line, run.read_at):
                yield Held(name, title, f"“{line.label}” is overdue")


def _follow_ups(run: ChecklistRun) -> Iterator[FollowUp]:
    for phase in run.phases:
        for item in phase.items:
            if item.definition.repeat is None or phase.opened_at is None:
                continue
            open_ = [line for line in item.children if line.state is State.OPEN]
            late = sum(_late(line, run.read_at) for line in open_)
            done = len(item.children) - len(open_)
            next_due = min((line.due_at for line in open_ if line.due_at is not None), default=None)
            yield FollowUp(phase.definition.id, item.id, item.text, done, len(item.children), late, next_due)


def _late(line: TrackedItem, now: datetime) -> bool:
    return line.state is State.OPEN and line.due_at is not None and line.due_at < now
