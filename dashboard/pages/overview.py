"""Is all well? If not: what, and since when."""

from __future__ import annotations

from checklists.lines import Progress
from dashboard import queries
from dashboard.access import guarded_fragment, may, require
from dashboard.components.actors import who
from dashboard.components.checklist_words import counted
from dashboard.components.layout import empty, page_head, problems, section, table, tiles
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.money_words import brief, failure_words
from dashboard.components.numbers import amount_text, figure
from dashboard.components.states import chip, shape
from dashboard.components.strips import strip
from dashboard.components.times import age, clock, unbroken
from jobs.core.permissions import Right
from jobs.probes.attention import Severity, is_stale, span
from jobs.probes.model import ServerFacts

person = require(Right.VIEW)
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


@guarded_fragment(run_every=10)
def what_is_wrong() -> None:
    found = queries.standing()
    urgent = [item for item in found.problems if item.severity is not Severity.NOTE]
    if not urgent:
        waiting = sum(item.count for item in found.facts.pending)
        on = sum(job.enabled for job in found.facts.jobs)
        page_head("All is well", f"{on} jobs on schedule; transactions waiting: {waiting:,}.")
        problems(found.problems)
        return
    first, others = urgent[0], [item for item in found.problems if item is not urgent[0]]
    more = f"{len(others)} more to look at" if others else "nothing else needs you"
    page_head(
        join(shape(first.severity), " ", link(unbroken(f"{first.sentence}."), first.link)),
        join(age(first.since), ", ", more) if first.since else more,
    )
    problems(others)


@guarded_fragment(run_every=10)
def figures() -> None:
    facts = queries.standing().facts
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
    hosts = ", ".join(sorted({worker.host for worker in facts.workers}))
    workers = figure(link(f"{len(facts.workers)}", url("workers")), label="Workers", note=hosts)
    tiles([*pending, cases, *(_server(server) for server in facts.servers), workers])


def _server(server: ServerFacts) -> Html:
    facts = queries.standing().facts
    name = server.server.partition("://")[2]
    if server.sampled_at is None:
        return figure("–", label=f"Horizon {name}", note="not probed yet")
    if is_stale(server.sampled_at, facts):
        stale = age(server.sampled_at, interval_s=facts.probe_interval_s)
        return figure(chip("stale"), label=f"Horizon {name}", note=stale)
    old = "–" if server.age_s is None else span(server.age_s)
    lag = f"{server.lag} {'ledger' if server.lag == 1 else 'ledgers'} behind, " if server.lag else ""
    note = join(lag, "probed ", age(server.sampled_at, interval_s=facts.probe_interval_s))
    return figure(join(link(f"{old} old", url("horizon")), " ", chip(server.verdict or "stale")),
                  label=f"Horizon {name}", note=note)  # fmt: skip


@guarded_fragment(run_every=10)
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


@guarded_fragment(run_every=30)
def releases() -> None:
    section("Open checklists")
    found = queries.open_checklists()
    if not found:
        empty("Checklists that are being worked through will stand here.",
              action=link("Start one", url("checklists")) if may(person, Right.START_CHECKLIST) else None)  # fmt: skip
        return
    table(
        ("Checklist", "Progress", "Started", "By"),
        [
            (
                join(link(item.title, url("checklist", id=item.id)), " ", item.fields.get("version", "")),
                counted(Progress(item.total, item.done, item.na, 0)),
                age(item.started_at),
                item.starter,
            )
            for item in found
        ],
    )


@guarded_fragment(run_every=10)
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


what_is_wrong()
figures()
job_strip()
releases()
if may(person, Right.VIEW_AUDIT):
    changes()
