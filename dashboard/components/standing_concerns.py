"""One thing that is wrong, as Overview tells it: the sentence, since when, who has it, and what is one click away."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import streamlit as st

from dashboard.components.alert_actions import ask_acknowledge
from dashboard.components.alert_words import silenced, who_has_it
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.states import shape
from dashboard.components.times import age, now, unbroken
from dashboard.navigation import PAGES
from dashboard.queries import Standing
from jobs.alerts.model import Alert
from jobs.alerts.standing import Concern

MOST_FOLLOWERS = 3
_TITLES = {entry.name: entry.title for entry in PAGES}


def sentence(concern: Concern) -> Html:
    """What is wrong, leading to where it can be looked at."""
    return join(shape(concern.severity), " ", link(unbroken(f"{concern.sentence}."), concern.link))


def concern_line(concern: Concern, standing: Standing) -> Html:
    """A concern below the first one."""
    return tag(
        "div",
        shape(concern.severity),
        link(f"{concern.sentence}.", concern.link),
        tag("span", age(concern.since), class_="nx-note") if concern.since is not None else "",
        about(concern, standing),
        class_="nx-concern nx-quiet" if concern.quiet else "nx-concern",
    )


def about(concern: Concern, standing: Standing) -> Html:
    """Who has it, to what it belongs, and the ways onward; then what follows from it."""
    parts = [*_state(concern, standing), tag("div", *_ways(concern, standing), class_="nx-numbers nx-note")]
    return tag("div", *parts, _followers(concern), class_="nx-about")


def to_take(concern: Concern) -> Alert | None:
    """The alert that somebody can acknowledge; None where one has it already or nothing fires for it."""
    alert = concern.alert
    return None if alert is None or alert.acknowledged_at is not None or concern.quiet is not None else alert


def acknowledge_button(alert: Alert) -> None:
    """Asks why and acknowledges."""
    if st.button(
        "Acknowledge", key=f"nx-ack-{alert.id}", icon=":material/front_hand:", help=f"Acknowledge alert {alert.id}"
    ):
        ask_acknowledge(alert)


def _state(concern: Concern, standing: Standing) -> Iterator[Html]:
    at = now()
    if concern.alert is not None:
        yield who_has_it(concern.alert, concern.quiet, standing.names, at)
    elif concern.quiet is not None:
        yield silenced(concern.quiet, standing.names, at)


def _ways(concern: Concern, standing: Standing) -> Iterator[Html]:
    page = urlsplit(concern.link).path.strip("/")
    if page in _TITLES:
        yield link(_TITLES[page], concern.link, class_="nx-link nx-inline")
    if concern.alert is not None:
        yield link("Alert", url("alert", id=concern.alert.id), class_="nx-link nx-inline")
        if runbook := standing.runbooks.get(concern.alert.rule):
            yield link("Runbook", url("checklists", template=runbook), class_="nx-link nx-inline")
    if (incident := concern.incident) is not None:
        where = link(f"Incident {incident.id}", url("incident", id=incident.id), class_="nx-link nx-inline")
        yield tag("span", where, f", led by {standing.name(incident.lead)}")


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
