"""One thing that is wrong, as Overview tells it: the sentence, since when, who has it, and what is one click away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import streamlit as st
from sqlalchemy import Connection

from dashboard.access import origin
from dashboard.actions import ask
from dashboard.components.markup import Html, esc, join, link, show, tag, url
from dashboard.components.states import shape
from dashboard.components.times import age, now, unbroken
from dashboard.navigation import PAGES
from dashboard.queries import Standing
from jobs.alerts.acting import acknowledge
from jobs.alerts.standing import Concern
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.probes.attention import Severity, moment

MOST_FOLLOWERS = 3
_TITLES = {entry.name: entry.title for entry in PAGES}


def sentence(concern: Concern) -> Html:
    """What is wrong, leading to where it can be looked at."""
    return join(shape(concern.severity), " ", link(unbroken(f"{concern.sentence}."), concern.link))


def concern_line(concern: Concern, standing: Standing) -> None:
    """A concern below the first one."""
    show(
        tag(
            "div",
            shape(concern.severity),
            link(f"{concern.sentence}.", concern.link),
            tag("span", age(concern.since), class_="nx-note") if concern.since is not None else "",
            about(concern, standing),
            class_="nx-concern nx-quiet" if concern.quiet else "nx-concern",
        )
    )


def about(concern: Concern, standing: Standing) -> Html:
    """Who has it, to what it belongs, and the ways onward; then what follows from it."""
    parts = [part for part in (*_state(concern, standing), *_ways(concern, standing)) if part]
    line = tag("p", *_between(parts), class_="nx-note") if parts else ""
    return join(line, _followers(concern))


def acknowledge_button(concern: Concern) -> None:
    """Asks why and acknowledges; nothing where somebody has it already or nothing fires for it."""
    alert = concern.alert
    if alert is None or alert.acknowledged_at is not None or concern.quiet is not None:
        return
    if st.button("Acknowledge", key=f"nx-ack-{alert.id}", icon=":material/front_hand:"):
        ask(
            "Acknowledge: I have it",
            f"{concern.sentence}. Your name stands beside it on every page, and nobody else is called for it.",
            verb="Acknowledge",
            right=Right.ACT_ON_ALERTS,
            command=_acknowledging(alert.id),
            key=f"nx-acknowledging-{alert.id}",
        )


def _acknowledging(alert_id: int) -> Callable[[Connection, Person, str], str]:
    came_from = origin()

    def command(conn: Connection, actor: Person, reason: str) -> str:
        acknowledge(conn, alert_id, actor.email, reason, origin=came_from)
        return "You have it: nobody else is called for this alert."

    return command


def _state(concern: Concern, standing: Standing) -> Iterator[Html]:
    alert, quiet, incident = concern.alert, concern.quiet, concern.incident
    if quiet is not None:
        kind = "in maintenance" if quiet.kind == "maintenance" else "silenced"
        yield esc(f"{kind} until {moment(quiet.ends_at, now())} by {standing.name(quiet.created_by)}: {quiet.reason}")
    if alert is not None and alert.acknowledged_by is not None and alert.acknowledged_at is not None:
        why = f": {alert.acknowledged_why}" if alert.acknowledged_why else ""
        has = tag("span", f"{standing.name(alert.acknowledged_by)} has it", class_="nx-strong")
        yield join(has, f" since {moment(alert.acknowledged_at, now())}{why}")
    elif alert is not None and quiet is None and concern.severity is not Severity.NOTE:
        yield tag("span", "nobody has it", class_="nx-nobody")
    if alert is not None and alert.flapping:
        yield esc("comes and goes")
    if incident is not None:
        where = link(f"incident {incident.id}", url("incident", id=incident.id), class_="nx-link nx-inline")
        yield join(where, f", led by {standing.name(incident.lead)}")


def _ways(concern: Concern, standing: Standing) -> Iterator[Html]:
    page = urlsplit(concern.link).path.strip("/")
    if page in _TITLES:
        yield link(_TITLES[page], concern.link, class_="nx-link nx-inline")
    if concern.alert is not None:
        yield link("Alert", url("alert", id=concern.alert.id), class_="nx-link nx-inline")
        if runbook := standing.runbooks.get(concern.alert.rule):
            yield link("Runbook", url("checklists", template=runbook), class_="nx-link nx-inline")


def _followers(concern: Concern) -> Html:
    if not concern.follows:
        return Html("")
    lines = [
        tag("li", shape(one.severity), " ", link(f"{one.sentence}.", one.link))
        for one in concern.follows[:MOST_FOLLOWERS]
    ]
    if (more := len(concern.follows) - MOST_FOLLOWERS) > 0:
        lines.append(tag("li", link(f"and {more} more that follow from it", url("alerts"))))
    return tag("ul", *lines, class_="nx-follows nx-note", aria_label="What follows from it")


def _between(parts: list[Html]) -> Iterator[Html]:
    for number, part in enumerate(parts):
        if number:
            yield esc(" · ")
        yield part
