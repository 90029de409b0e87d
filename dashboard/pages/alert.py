"""What is the whole story of this alert?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st

from dashboard import charts
from dashboard import queries_alerts as reads
from dashboard import queries_checklists as people
from dashboard.access import guarded_fragment, require
from dashboard.components.alert_actions import buttons
from dashboard.components.alert_lists import draw_silences
from dashboard.components.alert_words import next_step, quiet_by, scaled, ways, who_has_it
from dashboard.components.incident_words import course
from dashboard.components.instants import instant
from dashboard.components.layout import empty, page_head, section
from dashboard.components.marks import list_marks
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip, shape
from dashboard.components.times import age
from dashboard.queries_alerts import Story
from dashboard.queries_marks import marks
from jobs.alerts.model import Alert
from jobs.alerts.signals import SIGNALS
from jobs.alerts.words import condition_in_words, limit_in_words
from jobs.core.errors import NotFound
from jobs.core.permissions import Right
from jobs.probes.attention import span
from jobs.probes.spans import Window

person = require(Right.VIEW)
NAMES = dict(people.accounts())
# How much is drawn before and after it, at least; and a half of its own length.
_AROUND = timedelta(minutes=30)


def asked_for() -> Story:
    """The alert that the address names; a sentence and the end of the page if there is none."""
    given = st.query_params.get("id", "")
    try:
        if not given.isascii() or not given.isdigit() or len(given) > 18:
            said = f"The address names no alert: {given[:40]!r} is not a number." if given else "No alert is named."
            raise NotFound(said)
        return reads.story(int(given))
    except NotFound as error:
        page_head("There is no such alert", str(error))
        empty("One alert with its course, who was told, and who had it stands here.",
              action=link("All alerts", url("alerts")))  # fmt: skip
        st.stop()


story = asked_for()
PULSE = 5.0 if story.alert.state != "resolved" else None


@guarded_fragment(run_every=PULSE, parallel=False)
def head() -> None:
    seen = reads.story(story.alert.id)
    alert = seen.alert
    if (alert.state, alert.acknowledged_by) != (story.alert.state, story.alert.acknowledged_by):
        # What can be done below depends on it: the page is drawn anew.
        st.rerun()
    silence = quiet_by(alert, seen.silences, seen.at)
    page_head(alert.sentence, join(_state(alert), f" · alert {alert.id} · ",
                                   link("all alerts", url("alerts"), class_="nx-link nx-inline")))  # fmt: skip
    if alert.state == "firing":
        show(
            who_has_it(alert, silence, NAMES, seen.at),
            tag("div", next_step(alert, seen.rule, silence, seen.at), class_="nx-note"),
        )
    show(ways(alert, seen.incident))


def _state(alert: Alert) -> Html:
    if alert.state == "pending":
        return join(
            chip("queued", "waits"), " the condition holds since ", age(alert.began_at), ", not yet for long enough"
        )
    if alert.resolved_at is None or alert.fired_at is None:
        return join(chip(alert.severity), " · fired ", age(alert.fired_at))
    fired = span((alert.resolved_at - alert.fired_at).total_seconds())
    return join(chip("resolved", alert.resolution or "resolved"), f" after {fired}, ", age(alert.resolved_at))


def facts() -> None:
    """What it is about, and since when."""
    alert, rule = story.alert, story.rule
    name = rule.title if rule is not None else f"{alert.rule}, which was deleted"
    rows: list[tuple[str, object]] = [
        ("Rule", join(link(name, url("rule", name=alert.rule), class_="nx-link nx-inline") if rule else name)),
        ("Alerts when", condition_in_words(rule) if rule is not None else "–"),
        ("Of what", alert.subject or "there is only one"),
        ("Condition held", join("since ", instant(alert.began_at))),
    ]
    if alert.fired_at is not None:
        rows.append(("Fired", join(instant(alert.fired_at), f", {_told(alert)}")))
    if alert.resolved_at is not None:
        rows.append(("Ended", instant(alert.resolved_at)))
    if story.cause is not None:
        cause = link(story.cause.sentence, url("alert", id=story.cause.id), class_="nx-link nx-inline")
        rows.append(("Follows from", cause))
    show(tag("dl", *(join(tag("dt", label), tag("dd", value)) for label, value in rows), class_="nx-facts"))


def _told(alert: Alert) -> str:
    """How far it was told, in words."""
    if alert.told_at is None:
        return "nobody was told yet"
    reminders = (
        "" if not alert.reminders else f", and reminded {alert.reminders} {'time' if alert.reminders == 1 else 'times'}"
    )
    return f"{alert.step} {'step' if alert.step == 1 else 'steps'} of its escalation told{reminders}"


@guarded_fragment(run_every=15 if PULSE else None)
def readings() -> None:
    alert, rule = story.alert, story.rule
    signal = SIGNALS.get(alert.signal)
    section("What was read", signal.means if signal is not None else "")
    lasted = (alert.resolved_at or story.at) - alert.began_at
    around = max(_AROUND, lasted / 2)
    until = None if alert.resolved_at is None else min(alert.resolved_at + around, story.at)
    found = reads.course(alert.signal, alert.subject, alert.began_at - around, until)
    if not found.at:
        empty("Nothing was read at that time, or it is gone: readings are kept for eight days.")
        return
    factor, unit = scaled(alert.signal)
    name = signal.title if signal is not None else alert.signal
    line = charts.Line(name, found.at, [None if value is None else value * factor for value in found.values])
    level = (
        [
            charts.Threshold(
                rule.threshold * factor, rule.severity, limit_in_words(rule), always=rule.comparison in ("<", "<=")
            )
        ]
        if rule is not None
        else []
    )
    said = (
        f"{name}{f' of {alert.subject}' if alert.subject else ''}, from {found.since:%H:%M} to {found.until:%H:%M} UTC"
    )
    happened = marks(Window(found.until - found.since, found.until if until is not None else None))
    frame = charts.Frame(found.since, found.until, happened)
    charts.draw(charts.course([line], unit=unit, thresholds=level, frame=frame), key="course", alt=said)
    list_marks(happened)
    if found.cut:
        show(tag("p", "It changed more often than is drawn: this is the newest part.", class_="nx-note"))


@guarded_fragment(run_every=PULSE)
def rest() -> None:
    """What follows from it, what keeps it quiet, what happened; one tile, because all of it is one read."""
    seen = reads.story(story.alert.id)
    following(seen.follow)
    if seen.silences:
        section("Silences that cover it")
        draw_silences(seen.silences, NAMES, seen.at, may_end=False)
    section("What happened", "newest last, times in UTC")
    if not seen.moments:
        empty("When it fires, who was told, and who took it will stand here.")
    show(course(seen.moments, NAMES))


def following(found: Sequence[Alert]) -> None:
    if not found:
        return
    section("What follows from it", "nobody was told of these by themselves")
    lines = (tag("li", shape(one.severity if one.state == "firing" else "resolved"),
                 link(one.sentence, url("alert", id=one.id)), tag("span", age(one.fired_at), class_="nx-note"))
             for one in found)  # fmt: skip
    show(tag("ul", *lines, class_="nx-problems"))


head()
if story.alert.state == "firing":
    buttons(story.alert, story.rule, person, incident=story.incident)
facts()
readings()
rest()
