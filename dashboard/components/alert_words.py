"""Alerts in words for a page: how an alert stands, who has it, and who is told next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from dashboard.components.actors import named
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.states import chip, shape
from dashboard.components.times import age
from dashboard.queries_alerts import Firing
from jobs.alerts.escalate import next_step_at
from jobs.alerts.model import Alert, Rule, Silence, Step
from jobs.alerts.signals import SIGNALS, Unit
from jobs.probes.attention import moment, span

_SCALES: Mapping[Unit, tuple[float, str]] = {
    Unit.SECONDS: (1, "s"),
    Unit.MS: (1, "ms"),
    Unit.SHARE: (100, "%"),
    Unit.DAYS: (1, "d"),
    Unit.TIMES: (1, "times"),
}
_LINK = "nx-link nx-inline"


def label(alert: Alert) -> str:
    """An alert among others to choose from: a choice is told from another by its words alone."""
    return f"{alert.sentence} (alert {alert.id})"


def scaled(signal: str) -> tuple[float, str]:
    """By what a value of this signal is multiplied in a figure, and the unit beside it then."""
    known = SIGNALS.get(signal)
    return _SCALES.get(known.unit, (1, "")) if known is not None else (1, "")


def recipient(to: str) -> str:
    """Whom a step names: "the team", "whoever is on call", "devops", an address, a channel."""
    kind, _, name = to.partition(":")
    fixed = {"team": "the team", "on-call": "whoever is on call"}
    return fixed.get(kind, name.replace("_", " ") or to)


def steps_in_words(steps: Sequence[Step]) -> str:
    """Who is told when: "the team at once, devops after 30 min"."""
    return ", ".join(
        f"{recipient(one.to)} {f'after {span(one.after_s)}' if one.after_s else 'at once'}" for one in steps
    )


def quiet_by(alert: Alert, silences: Sequence[Silence], at: datetime) -> Silence | None:
    """What keeps it quiet now, the longest of them."""
    covering = [one for one in silences if one.covers(alert.rule, alert.subject, at)]
    return max(covering, key=lambda one: one.ends_at, default=None)


def who_has_it(alert: Alert, silence: Silence | None, names: Mapping[str, str], at: datetime) -> Html:
    """Its state for people: nobody has it, somebody has it, it is silenced; and whether it flaps."""
    parts: list[object] = []
    if alert.acknowledged_at is not None:
        since = moment(alert.acknowledged_at, at)
        has = join(named(alert.acknowledged_by, names), f" has it since {since}: {alert.acknowledged_why}")
        parts.append(tag("span", shape("running"), " ", has))
    elif silence is None and alert.folded_into is None:
        parts.append(chip("warn", "nobody has it"))
    if silence is not None:
        parts.append(silenced(silence, names, at))
    if alert.flapping:
        parts.append(chip("warn", "flapping: it comes and goes"))
    return tag("div", *parts, class_="nx-who")


def silenced(one: Silence, names: Mapping[str, str], at: datetime) -> Html:
    """Until when, by whom and why."""
    kind = "maintenance" if one.kind == "maintenance" else "silenced"
    by = named(one.created_by, names)
    return tag("span", shape("off"), f" {kind} until {moment(one.ends_at, at)} by ", by, f": {one.reason}")


def next_step(alert: Alert, rule: Rule | None, silence: Silence | None, at: datetime) -> str:
    """Who is told next and when, or why nobody is."""
    if rule is None or alert.state != "firing":
        return ""
    if alert.acknowledged_at is not None:
        return "nobody else is told while somebody has it"
    if alert.folded_into is not None:
        return "nobody is told of it by itself"
    if silence is not None:
        return f"nobody is told before {moment(silence.ends_at, at)}"
    due = next_step_at(alert, rule)
    if due is not None:
        step = rule.steps[alert.step]
        when = f"at {moment(due, at)}, in {span((due - at).total_seconds())}" if due > at else "now"
        return f"next told: {recipient(step.to)}, {when}"
    if rule.repeat_s is None:
        return "everybody was told, and no reminder follows"
    return f"everybody was told; a reminder every {span(rule.repeat_s)} until somebody has it"


def ways(alert: Alert, incident: int | None) -> Html:
    """One click to the cause, to the same error elsewhere, to the rule and to the incident."""
    found = [link(_cause(alert.link), alert.link, class_=_LINK)]
    if alert.signal.startswith("job."):
        found.append(link("failures by kind", url("runs", view="failures"), class_=_LINK))
    found.append(link("its rule", url("rule", name=alert.rule), class_=_LINK))
    if incident is not None:
        found.append(link(f"incident {incident}", url("incident", id=incident), class_=_LINK))
    return tag("div", *found, class_="nx-numbers nx-note")


def _cause(address: str) -> str:
    """What a link to the cause leads to, in a word."""
    page = address.strip("/").partition("?")[0] or "overview"
    return {"run": "the run and its log", "runs": "its runs", "cases": "the cases", "jobs": "the jobs"}.get(
        page, f"the page {page.capitalize()}"
    )


def alert_line(
    alert: Alert, found: Firing, names: Mapping[str, str], follow: Sequence[Alert], acts: Html | None = None
) -> Html:
    """One alert that fires, with what follows from it folded under it; `acts` where no buttons stand below."""
    rule, silence = found.rules.get(alert.rule), quiet_by(alert, found.silences, found.at)
    title = rule.title if rule is not None else alert.rule
    subject = f" · {alert.subject}" if alert.subject else ""
    following = "1 alert follows from it" if len(follow) == 1 else f"{len(follow)} alerts follow from it"
    return tag(
        "div",
        tag("h2", link(alert.sentence, url("alert", id=alert.id))),
        tag("div", chip(alert.severity), f" {title}{subject} · fired ", age(alert.fired_at), class_="nx-note"),
        who_has_it(alert, silence, names, found.at),
        tag("div", next_step(alert, rule, silence, found.at), class_="nx-note"),
        ways(alert, found.incidents.get(alert.id)),
        acts or "",
        tag(
            "details",
            tag("summary", following),
            tag(
                "ul",
                *(tag("li", shape(one.severity), " ", link(one.sentence, url("alert", id=one.id))) for one in follow),
            ),
            class_="nx-follow",
        )
        if follow
        else "",
        class_="nx-alertline",
    )
