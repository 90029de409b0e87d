"""Incidents in words: how one stands, its timeline, and the timeline as Markdown to take away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from dashboard.components.actors import named
from dashboard.components.markup import Html, join, link, plain, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, clock, now
from dashboard.queries_incidents import IncidentLine
from jobs.alerts.incident_timeline import Kind, Moment
from jobs.alerts.incidents import Incident
from jobs.probes.attention import span

KINDS: Mapping[Kind, str] = {
    Kind.INCIDENT: "incident",
    Kind.NOTE: "note",
    Kind.ALERT: "alert",
    Kind.TOLD: "told",
    Kind.SWITCH: "change",
    Kind.RUN: "run",
    Kind.LIST: "checklist",
    Kind.VERSION: "version",
}
# What `plain` leaves: underscores around words, an entity, signs that would end a heading.
_INLINE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|&(?=#?\w+;)|#(?=#*$)")
_BLOCK = re.compile(r"^(?=[#>+=|:-])|^\d+(?=[.)])")


def standing(one: Incident, names: Mapping[str, str]) -> Html:
    """How an incident stands, in a line: since when it hurts, and who has it or what ended it."""
    if one.open:
        return join(chip(one.severity), " · began ", age(one.began_at), " · ", named(one.lead, names), " has it")
    by = named(one.resolved_by, names)
    return join(chip("resolved"), f" after {hurt(one)}, ", age(one.resolved_at), ", by ", by)


def hurt(one: Incident) -> str:
    """For how long it has hurt, or hurt until it was resolved."""
    return span(one.lasted(now()).total_seconds())


def incident_line(line: IncidentLine, names: Mapping[str, str]) -> Html:
    """One open incident of the list."""
    one = line.incident
    alerts = (
        "no alert belongs to it" if not line.alerts else f"{line.alerts} {_alerts(line.alerts)}, {line.firing} firing"
    )
    written = join("last note ", age(line.written_at)) if line.written_at else "nothing noted yet"
    return tag(
        "div",
        tag("h2", link(one.title, url("incident", id=one.id))),
        tag("div", standing(one, names)),
        tag("div", alerts, " · ", written, class_="nx-note"),
        class_="nx-alertline",
    )


def course(found: Iterable[Moment], names: Mapping[str, str]) -> Html:
    """The timeline, the oldest first."""
    return tag("ol", *(_moment(moment, names) for moment in found), class_="nx-timeline")


def _moment(moment: Moment, names: Mapping[str, str]) -> Html:
    what = link(moment.what, moment.link, class_="nx-link nx-inline") if moment.link else moment.what
    return tag(
        "li",
        clock(moment.at),
        tag("span", KINDS[moment.kind], class_="nx-note"),
        tag(
            "div",
            join(tag("b", named(moment.who, names)), " ", what) if moment.who else what,
            tag("p", moment.said, class_="nx-prose") if moment.said else "",
        ),
        class_=f"nx-moment nx-of-{moment.kind}",
    )


def as_markdown(one: Incident, found: Iterable[Moment], names: Mapping[str, str]) -> str:
    """The incident and its timeline as a document; what people wrote stays text, whatever signs are in it."""
    return "\n".join([*_document(one, found, names), ""])


def _document(one: Incident, found: Iterable[Moment], names: Mapping[str, str]) -> Iterator[str]:
    yield from (f"# Incident {one.id}: {_text(one.title)}", "")
    yield f"- Severity: {one.severity}"
    yield f"- Began: {_full(one.began_at)}"
    yield f"- Opened: {_full(one.opened_at)} by {_named(one.opened_by, names)}"
    yield f"- Lead: {_named(one.lead, names)}"
    if one.resolved_at is None:
        yield f"- Still open at {_full(now())}"
    else:
        yield f"- Resolved: {_full(one.resolved_at)} by {_named(one.resolved_by or '', names)}, after {hurt(one)}"
        yield f"- Resolution: {_text(one.resolution or '')}"
    yield from ("", "## Timeline", "")
    for moment in found:
        by = f"**{_named(moment.who, names)}** " if moment.who else ""
        yield f"- {_full(moment.at)} · {KINDS[moment.kind]}: {by}{_text(moment.what)}"
        if moment.said:
            yield from (f"  > {_line(line)}".rstrip() for line in moment.said.splitlines())


def _named(actor: str, names: Mapping[str, str]) -> str:
    return _text(f"{names[actor]} ({actor})" if actor in names else actor)


def _text(given: str) -> str:
    """Words within a line."""
    return _INLINE.sub(r"\\\g<0>", plain(" ".join(given.split())))


def _line(given: str) -> str:
    """A line of its own: nothing in it begins a heading, a list, a quotation, a table or a rule."""
    return _BLOCK.sub(r"\g<0>\\", _text(given))


def _full(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _alerts(count: int) -> str:
    return "alert" if count == 1 else "alerts"
