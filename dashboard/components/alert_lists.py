"""Lists about alerts: silences and maintenance windows, what has fired, and the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import streamlit as st

from dashboard.components.actors import named
from dashboard.components.alert_actions import ask_end
from dashboard.components.alert_words import steps_in_words
from dashboard.components.instants import instant
from dashboard.components.layout import table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age
from jobs.alerts.model import Alert, Rule, Silence
from jobs.alerts.words import condition_in_words
from jobs.probes.attention import span

_EVERYTHING = "*"


def draw_silences(found: Sequence[Silence], names: Mapping[str, str], at: datetime, *, may_end: bool) -> None:
    """Silences and windows, a line each, with a button that takes one back while it lasts or is planned."""
    for one in found:
        with st.container(key=f"nx-silenceline-{one.id}", horizontal=True, vertical_alignment="top", gap="medium"):
            show(_silence(one, names, at))
            over = one.ended_at is not None or one.ends_at <= at
            if (
                may_end
                and not over
                and st.button("Take it back", key=f"end-{one.id}", type="tertiary", help=f"Take “{one.title}” back")
            ):
                ask_end(one, names)


def _silence(one: Silence, names: Mapping[str, str], at: datetime) -> Html:
    if one.ended_at is not None:
        state = join(chip("off", "taken back"), " ", age(one.ended_at), " by ", named(one.ended_by, names))
    elif one.ends_at <= at:
        state = join(chip("off", "over"), " since ", age(one.ends_at))
    elif one.starts_at > at:
        state = join(chip("queued", "planned"), " from ", instant(one.starts_at, seconds=False))
    else:
        state = chip("running", "keeps quiet")
    until = join("until ", instant(one.ends_at, seconds=False))
    kind = "maintenance" if one.kind == "maintenance" else "silence"
    return tag(
        "div",
        tag("h2", one.title),
        tag("div", state, " ", until),
        tag("div", f"{kind} of {scope(one.rule, one.subject)} · by ", named(one.created_by, names),
            f": {one.reason}" if one.reason != one.title else "", class_="nx-note"),
        class_="nx-alertline",
    )  # fmt: skip


def scope(rule: str, subject: str) -> str:
    """What a silence is about: "everything", "job-failing of reconcile-pending"."""
    if (rule, subject) == (_EVERYTHING, _EVERYTHING):
        return "everything"
    return f"{'every rule' if rule == _EVERYTHING else rule}{'' if subject == _EVERYTHING else f' of {subject}'}"


def past_table(found: Iterable[Alert], titles: Mapping[str, str], names: Mapping[str, str]) -> None:
    """What has fired, the newest first."""
    table(
        ("Fired", "Alert", "How bad", "For", "Who had it", "How it ended"),
        [
            (
                age(one.fired_at),
                tag("div", link(one.sentence, url("alert", id=one.id)),
                    tag("div", link(titles.get(one.rule, one.rule), url("rule", name=one.rule), class_="nx-link nx-inline"),
                        class_="nx-note"), class_="nx-words"),
                chip(one.severity),
                _lasted(one),
                named(one.acknowledged_by, names) if one.acknowledged_by else "nobody",
                chip("resolved", one.resolution or "resolved") if one.state == "resolved" else chip("warn", "fires"),
            )
            for one in found
        ],
        label="What has fired",
    )  # fmt: skip


def _lasted(one: Alert) -> str:
    if one.resolved_at is None or one.fired_at is None:
        return "until now"
    return span((one.resolved_at - one.fired_at).total_seconds())


def rules_table(found: Iterable[tuple[Rule, int]]) -> None:
    """The rules: when each alerts, who is told, what to do, how often it fired lately."""
    table(
        ("Rule", "Alerts when", "How bad", "Who is told", "Runbook", "Fired, 7 d"),
        [
            (
                tag("div", link(tag("b", rule.title), url("rule", name=rule.name)),
                    tag("div", rule.name, class_="nx-note"), _own(rule)),
                tag("div", condition_in_words(rule), class_="nx-words"),
                chip(rule.severity) if rule.enabled else chip("off", "off"),
                tag("div", steps_in_words(rule.steps), class_="nx-words"),
                link(rule.runbook, url("checklists", template=rule.runbook)) if rule.runbook else "–",
                link(str(times), url("alerts", view="past", rule=rule.name)) if times else "0",
            )
            for rule, times in found
        ],
        numeric=(5,),
        label="Rules",
    )  # fmt: skip


def _own(rule: Rule) -> Html:
    if not rule.shipped:
        return tag("div", "of your own", class_="nx-note")
    return tag("div", "changed here", class_="nx-note") if rule.version > 1 else join()
