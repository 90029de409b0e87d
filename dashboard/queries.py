"""Reads that pages share, remembered for a few seconds and the same for everybody who may look.

`cached` is the one way to remember a read: it opens the transaction, and it keeps one value a database, argument and
time. A page's own reads are functions of a connection in the room that owns the tables (`jobs/*/store.py`,
`checklists/store.py`), wrapped with `cached` in `dashboard/queries_<page>.py`. They return frozen rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st
from sqlalchemy import Connection, func, select, text

from checklists.reads import RunState, RunSummary, list_runs
from dashboard.components.strips import Bar
from dashboard.desk import desk
from jobs.alerts.rota_store import read_names
from jobs.alerts.standing import OpenIncident, Outlook, look
from jobs.alerts.standing_store import open_incidents, runbooks
from jobs.alerts.store import list_silences, open_alerts
from jobs.probes.attention import Problem, Severity, find_problems
from jobs.probes.facts import read_facts
from jobs.probes.model import Facts
from jobs.run.store import RUNS, RunRow, run_of

P = ParamSpec("P")
R = TypeVar("R")


_forget: list[Callable[[], None]] = []


def forget() -> None:
    """Drops every remembered read, so that whoever just changed something sees it."""
    for clear in _forget:
        clear()


def cached(ttl: float) -> Callable[[Callable[Concatenate[Connection, P], R]], Callable[P, R]]:
    """Turns `read(conn, …)` into a call without the connection, whose value is kept for `ttl` seconds.

    Arguments must be hashable values; what it returns must be frozen, because everybody gets the same.
    """

    def decorate(read: Callable[Concatenate[Connection, P], R]) -> Callable[P, R]:
        def fetch(key: str, *args: P.args, **kwargs: P.kwargs) -> R:
            with desk().db.read() as conn:
                return read(conn, *args, **kwargs)

        fetch.__qualname__ = f"{read.__module__}.{read.__qualname__}"  # what tells one function's values from another's
        kept = st.cache_resource(ttl=ttl, max_entries=200, show_spinner=False)(fetch)
        _forget.append(kept.clear)

        @functools.wraps(read)
        def ask(*args: P.args, **kwargs: P.kwargs) -> R:
            return kept(desk().key, *args, **kwargs)

        return ask

    return decorate


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand: what every page's top line, the overview and the wall say, and with which words."""

    facts: Facts
    problems: Sequence[Problem]
    """What is wrong by the facts alone."""
    outlook: Outlook
    """The same with the alerts that fire and what people did about them."""
    incidents: Sequence[OpenIncident]
    runbooks: Mapping[str, str]
    """The checklist to start, by the rule."""
    names: Mapping[str, str]
    """What people are called who have something, by their addresses."""
    read_at: datetime

    @property
    def state(self) -> str:
        """The worst of what counts, as icons and shapes are named: "critical", "warn" or "ok"."""
        worst = self.outlook.worst
        return "ok" if worst is None or worst is Severity.NOTE else worst.value

    @property
    def said(self) -> str:
        """The same as a word: "critical", "attention" or "all well"."""
        return _SAID[self.state]

    @property
    def tab(self) -> str:
        """What a tab's title begins with: "(2) critical"; nothing when all is well."""
        return f"({len(self.outlook.urgent)}) {self.said}" if self.outlook.urgent else ""

    @property
    def switched(self) -> list[tuple[str, str]]:
        """Flags that stand otherwise than on a quiet day, with "on" or "off"."""
        return [(state.flag.value, "on" if state.value else "off") for state in self.facts.flags if state.unusual]

    def name(self, actor: str) -> str:
        """Who that is, in a word: a person by name, whoever was at a shell as that knows them."""
        return self.names.get(actor) or actor.partition(":")[2] or actor


_SAID = {"critical": "critical", "warn": "attention", "ok": "all well"}


@cached(ttl=5)
def standing(conn: Connection) -> Standing:
    """The facts, what is wrong by them and by the alerts that fire, and who has it."""
    facts = read_facts(conn, desk().settings)
    found, incidents = find_problems(facts), open_incidents(conn)
    outlook = look(found, open_alerts(conn), list_silences(conn), incidents, facts.now)
    everything = [one for top in (*outlook.concerns, *outlook.quiet) for one in (top, *top.follows)]
    people = {one.taken_by for one in everything if one.taken_by} | {incident.lead for incident in incidents}
    names = {email: name for email, (name, _) in read_names(conn, sorted(people)).items()}
    return Standing(facts, tuple(found), outlook, tuple(incidents), runbooks(conn), names, facts.now)


@cached(ttl=5)
def job_strips(conn: Connection, jobs: tuple[str, ...], runs: int = 50) -> dict[str, tuple[Bar, ...]]:
    """The newest runs of each job, oldest first."""
    rows = conn.execute(
        text(
            "SELECT r.job, r.id, r.state, coalesce(r.started_at, r.queued_at) AS at,"
            "       extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at)::float8 AS seconds"
            " FROM unnest(CAST(:jobs AS text[])) AS j (name) CROSS JOIN LATERAL ("
            "   SELECT job, id, state, queued_at, started_at, finished_at FROM ops.runs"
            "    WHERE job = j.name ORDER BY id DESC LIMIT :runs) AS r"
            " ORDER BY r.id"
        ),
        {"jobs": list(jobs), "runs": runs},
    )
    found: dict[str, list[Bar]] = {job: [] for job in jobs}
    for job, *bar in rows:
        found[job].append(Bar(*bar))
    return {job: tuple(bars) for job, bars in found.items()}


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody, or a run, changed."""

    at: datetime
    actor: str
    action: str
    entity: str
    entity_id: str
    reason: str | None
    times: int


@cached(ttl=5)
def recent_changes(conn: Connection, hours: int = 1, most: int = 20) -> tuple[Change, ...]:
    """What was changed lately, newest first.

    The same change by the same person within a minute is one row, and so is all that runs did in the same way: nobody
    would find what people changed between settlements of every two minutes.
    """
    rows = conn.execute(
        text(
            "WITH last AS (SELECT * FROM ops.audit ORDER BY id DESC LIMIT 2000)"
            " SELECT max(at) AS at, action, entity, max(entity_id) AS entity_id, count(*) AS times,"
            "        CASE count(DISTINCT actor) WHEN 1 THEN max(actor) ELSE count(DISTINCT actor) || ' runs' END AS actor,"
            "        CASE WHEN min(reason) = max(reason) THEN max(reason) END AS reason"
            " FROM last WHERE at > now() - make_interval(hours => :hours)"
            " GROUP BY action, entity, CASE WHEN action LIKE 'item.%' THEN entity_id END,"
            "          CASE WHEN actor NOT LIKE 'run:%' THEN actor END,"
            "          CASE WHEN actor NOT LIKE 'run:%' THEN date_trunc('minute', at) END"
            " ORDER BY max(id) DESC LIMIT :most"
        ),
        {"hours": hours, "most": most},
    )
    return tuple(
        Change(row.at, row.actor, row.action, row.entity, row.entity_id, row.reason, row.times) for row in rows
    )


@cached(ttl=3)
def running_now(conn: Connection, least_s: int, most: int = 10) -> tuple[RunRow, ...]:
    """What has run for so many seconds at the least, the newest first."""
    long_enough = RUNS.c.started_at <= func.now() - func.make_interval(0, 0, 0, 0, 0, 0, least_s)
    query = select(RUNS).where(RUNS.c.state == "running", long_enough).order_by(RUNS.c.id.desc()).limit(most)
    return tuple(run_of(row) for row in conn.execute(query))


@cached(ttl=10)
def open_checklists(conn: Connection, most: int = 10) -> tuple[RunSummary, ...]:
    """The checklist runs in hand, newest first."""
    return tuple(list_runs(conn, state=RunState.OPEN, limit=most))
