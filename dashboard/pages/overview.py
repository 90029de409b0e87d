"""Is all well? If not: what, since when, and who has it?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import streamlit as st

from checklists.lines import Progress
from checklists.releases import DEPLOYMENT, Release
from dashboard import queries, queries_oncall
from dashboard.access import guarded_fragment, may, require, told
from dashboard.components.actors import who
from dashboard.components.checklist_words import bar, counted
from dashboard.components.contacts import reach
from dashboard.components.job_words import asked_by
from dashboard.components.layout import empty, page_head, problems, section, table, tiles
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.money_words import brief, failure_words
from dashboard.components.numbers import amount_text, figure
from dashboard.components.standing_concerns import about, acknowledge_button, concern_line, sentence, to_take
from dashboard.components.states import chip, shape
from dashboard.components.strips import strip
from dashboard.components.times import age, clock, now
from dashboard.queries_releases import contacts, under_way
from jobs.alerts.model import Alert
from jobs.alerts.standing import Concern
from jobs.core.permissions import Right
from jobs.probes.attention import alive, is_stale, moment, server_state, span
from jobs.probes.model import Facts, ServerFacts
from jobs.run.store import RunRow

person = require(Right.VIEW)
MAY_ACT = may(person, Right.ACT_ON_ALERTS)
MOST = 10
RUNS_FROM_S = 3
RELEASES_READ = 5
_VERBS = {
    "job.run": "asked for",
    "run.stop": "asked to stop",
    "person.added": "opened an account",
    "person.disabled": "closed an account",
    "person.one_time_password": "gave a new one-time password",
    "person.password_changed": "changed their password",
    "item.unticked": "reopened",
    "item.na": "marked as not applying",
}


@guarded_fragment(run_every=10, parallel=False)
def how_it_stands() -> None:
    """What is wrong, and the figures under it: one look, for a check of who is looking costs as much as either."""
    found = queries.standing()
    with told():
        what_is_wrong(found)
    with told():
        figures(found.facts)


def what_is_wrong(found: queries.Standing) -> None:
    urgent = found.outlook.urgent
    if not urgent:
        waiting = sum(item.count for item in found.facts.pending)
        on = sum(job.enabled for job in found.facts.jobs)
        page_head("All is well", f"{on} jobs on schedule; transactions waiting: {waiting:,}.")
    else:
        first, more = urgent[0], len(urgent) - 1
        others = f"{more} more below" if more else "nothing else needs you"
        page_head(sentence(first), join(age(first.since), " · ", others) if first.since else others)
        with st.container(key="nx-first", horizontal=True, vertical_alignment="center"):
            show(tag("div", about(first, found)))
            if alert := _to_take(first):
                acknowledge_button(alert)
        _listed(urgent[1:], found)
    # What is only to be known takes a line and no more.
    problems([one for one in found.outlook.concerns if one not in urgent])
    if found.outlook.quiet:
        section("Silenced", "nobody is told of these, and they do not count")
        _listed(found.outlook.quiet, found)
    _incidents(found)


def _listed(concerns: Sequence[Concern], found: queries.Standing) -> None:
    """Those that have no button go on the page together."""
    for pressed, some in groupby(concerns[:MOST], key=lambda one: _to_take(one) is not None):
        if not pressed:
            show(tag("div", *(concern_line(one, found) for one in some), class_="nx-concerns"))
            continue
        for one in some:
            key = f"nx-concern-{one.signal}-{one.subject}"
            with st.container(key=key, horizontal=True, vertical_alignment="center"):
                show(concern_line(one, found))
                if alert := _to_take(one):
                    acknowledge_button(alert)
    if len(concerns) > MOST:
        show(tag("p", link(f"{len(concerns) - MOST} more on Alerts", url("alerts"), class_="nx-link nx-inline")))


def _to_take(concern: Concern) -> Alert | None:
    return to_take(concern) if MAY_ACT else None


def _incidents(found: queries.Standing) -> None:
    if not found.incidents:
        return
    section("Open incidents", "the worst and oldest first")
    table(
        ("Incident", "Hurts since", "Led by", "Alerts"),
        [
            (
                join(shape(one.severity), " ", link(one.title, url("incident", id=one.id))),
                age(one.began_at),
                found.name(one.lead),
                str(len(one.alerts)),
            )
            for one in found.incidents
        ],
        numeric=(3,),
        label="Open incidents",
    )


def figures(facts: Facts) -> None:
    pending = [
        figure(
            amount_text(item.amount), item.currency, label="Pending",
            note=join(link(f"{item.count:,} waiting", url("transactions", status="PENDING")),
                      ", oldest ", age(item.oldest)),
        )
        for item in facts.pending[:3]
    ] or [figure("0", label="Pending", note="no transaction waits for the chain")]  # fmt: skip
    cases = figure(
        link(f"{facts.cases:,}", url("cases")), label="Cases",
        note=join("oldest ", age(facts.oldest_case)) if facts.oldest_case else "nothing to decide",
    )  # fmt: skip
    beating = alive(facts)
    hosts = ", ".join(sorted({worker.host for worker in beating}))
    workers = figure(link(f"{len(beating)}", url("workers")), label="Workers", note=hosts or "none runs")
    tiles([_on_call(), *pending, cases, *(_server(server, facts) for server in facts.servers), workers])


def _on_call() -> Html:
    able = [one for one in queries_oncall.on_call_now() if one.fault is None]
    if not able:
        note = link("Contacts says who can be called", url("contacts"), class_="nx-link nx-inline")
        return figure("nobody", label="On call", note=note)
    first = able[0]
    known = [one for one in contacts() if first.email and one.email == first.email] or [
        one for one in contacts() if not first.rota and one.name == first.name
    ]
    ways = reach(known[0]) if known else tag("a", first.email, href=f"mailto:{first.email}")
    until = f"until {moment(first.until, now())}" if first.until else ""
    then = f", then {', '.join(one.name for one in able[1:])}" if able[1:] else ""
    return figure(tag("span", first.name), label="On call", note=join(ways, tag("div", until, then)))


def _server(server: ServerFacts, facts: Facts) -> Html:
    name = server.server.partition("://")[2]
    if server.sampled_at is None:
        return figure("–", label=f"Horizon {name}", note="not probed yet")
    if is_stale(server.sampled_at, facts):
        stale = age(server.sampled_at, interval_s=facts.probe_interval_s)
        return figure(link(chip("stale"), url("horizon")), label=f"Horizon {name}", note=stale)
    old = "–" if server.age_s is None else span(server.age_s)
    lag = f"{server.lag} {'ledger' if server.lag == 1 else 'ledgers'} behind, " if server.lag else ""
    note = join(lag, "probed ", age(server.sampled_at, interval_s=facts.probe_interval_s))
    return figure(join(link(f"{old} old", url("horizon")), " ", chip(server_state(server, facts))),
                  label=f"Horizon {name}", note=note)  # fmt: skip


@guarded_fragment(run_every=10)
def what_happened() -> None:
    with told():
        job_strip()
    if may(person, Right.VIEW_AUDIT):
        with told():
            changes()


def job_strip() -> None:
    section("Jobs", "the last 50 runs of each, oldest left")
    facts = queries.standing().facts
    if not facts.jobs:
        empty("The jobs and their last runs will stand here.", "They come with the first worker: `nexaops worker`.")
        return
    strips = queries.job_strips(tuple(job.name for job in facts.jobs))
    show(
        tag(
            "div",
            *(
                tag(
                    "div",
                    tag("div", link(job.name, url("runs", job=job.name)), tag("div", job.every, class_="nx-note")),
                    strip(strips[job.name], f"Last runs of {job.name}"),
                    tag("div", "paused" if job.paused_at else age(job.last_run_at), class_="nx-note nx-right"),
                    class_="nx-job",
                )
                for job in facts.jobs
            ),
            class_="nx-jobs",
        )
    )


@guarded_fragment(run_every=5)
def running() -> None:
    section("Running now", f"what has run for {RUNS_FROM_S} s or longer")
    found = queries.running_now(RUNS_FROM_S)
    if not found:
        empty("Nothing does.")
        return
    table(
        ("Run", "Progress", "Started", "Asked for by"),
        [(link(join(run.job, f" {run.id}"), url("run", id=run.id)), _progress(run), age(run.started_at), asked_by(run))
         for run in found],
        label="Running now",
    )  # fmt: skip


def _progress(run: RunRow) -> Html:
    if run.stop_by is not None:
        return esc(f"{run.stop_by} asked it to stop")
    if run.progress_done is None or not run.progress_total:
        return esc("does not say")
    done, total = run.progress_done, run.progress_total
    return join(bar(done, total, f"Progress of run {run.id}"), tag("div", f"{done:,} of {total:,}", class_="nx-note"))


@guarded_fragment(run_every=30)
def releases() -> None:
    section("Open releases and checklists")
    found = queries.open_checklists()
    if not found:
        empty("Checklists that are being worked through will stand here.",
              action=link("Start one", url("checklists")) if may(person, Right.START_CHECKLIST) else None)  # fmt: skip
        return
    held = {release.run.id: release for release in under_way(RELEASES_READ)}
    table(
        ("Checklist", "Progress", "What holds it up", "Started", "By"),
        [
            (
                join(link(item.title, url("checklist", id=item.id)), " ", item.fields.get("version", "")),
                counted(Progress(item.total, item.done, item.na, 0)),
                _held_by(held.get(item.id), item.kind),
                age(item.started_at),
                item.starter,
            )
            for item in found
        ],
    )


def _held_by(release: Release | None, kind: str) -> Html:
    if release is None:
        return link("see Releases", url("releases"), class_="nx-link nx-inline") if kind == DEPLOYMENT else esc("–")
    signs = [f"{one.title} has not signed" for one in release.to_sign if not one.waits_for]
    lines = [*signs, *(f"{one.phase}: {one.why}" for one in release.held)]
    if not lines:
        return esc("nothing")
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return join(shape("warn"), f" {lines[0]}{more}")


def changes() -> None:
    section("What changed in the last hour")
    found = queries.recent_changes()
    if not found:
        empty("Nothing was changed in the last hour.", "What people and jobs change is listed here as it happens.")
        return
    table(
        ("When", "Who", "What", "Why"),
        [
            (clock(item.at), who(item.actor), said(item), why(item))
            for item in found
        ],
    )  # fmt: skip


def why(change: queries.Change) -> str:
    """The reason, without codes and without zeros that say nothing."""
    reason = change.reason or ""
    return failure_words(reason).capitalize() if reason.startswith(("tx_", "op_")) else brief(reason, 160)


def said(change: queries.Change) -> Html:
    """An audit row in words, leading to what it is about where that has a page."""
    verb = _VERBS.get(change.action) or change.action.partition(".")[2].replace("_", " ")
    kind = change.entity.replace("_", " ")
    if change.entity == "person":
        return esc(verb)
    if change.action.startswith("item."):
        where = link(f"checklist run {change.entity_id}", url("checklist", id=change.entity_id))
        lines = (
            "" if change.action == "item.commented" else f"{change.times} {'line' if change.times == 1 else 'lines'} "
        )
        return join(f"{lines}{verb} in ", where)
    if change.times > 1:
        return esc(f"{change.times} {kind}s {verb}")
    name = change.entity_id if len(change.entity_id) < 30 else f"{change.entity_id[:8]}…"
    page = {"transaction": "transaction", "run": "run", "checklist_run": "checklist"}.get(change.entity)
    return join(kind, " ", link(name, url(page, id=change.entity_id)) if page else name, " ", verb)


how_it_stands()
for name, part in {"running": running, "lists": releases, "jobs": what_happened}.items():
    # What is drawn a moment later has its place already, so that nothing jumps (desk.css has the heights).
    with st.container(key=f"nx-now-{name}"):
        part()
