"""The course of an incident in one column: what was written, its alerts, who was told, what people changed meanwhile.

Pure: rows of the audit trail, entries, notices, lists and versions come in, moments in the order of time go out. A moment
is a sentence about who did what; what somebody wrote stands beside it as they wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any
from urllib.parse import urlencode


class Kind(StrEnum):
    """What a moment is about."""

    INCIDENT = "incident"
    NOTE = "note"
    ALERT = "alert"
    TOLD = "told"
    SWITCH = "switch"
    RUN = "run"
    LIST = "list"
    VERSION = "version"


@dataclass(frozen=True, slots=True)
class Trail:
    """A row of the audit trail; `new` and `old` as that holds them."""

    at: datetime
    actor: str
    action: str
    entity: str
    entity_id: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody wrote into the incident: a note, or what they said on handing it over."""

    at: datetime
    author: str
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Told:
    """A notice on one channel: since when it was to be sent, and what became of it."""

    key: str
    at: datetime
    channel: str
    title: str
    state: str
    """waiting, delivered or dead"""
    error: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A checklist that began or ended, with who did that."""

    at: datetime
    actor: str
    run_id: int
    title: str
    verb: str


@dataclass(frozen=True, slots=True)
class Version:
    """When production was first seen to run a version."""

    at: datetime
    version: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline: `who` as the audit trail names them, empty where nobody did it."""

    at: datetime
    kind: Kind
    who: str
    what: str
    said: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What a timeline is made of; `names` says of each alert what it is about."""

    trail: tuple[Trail, ...]
    entries: tuple[Entry, ...] = ()
    told: tuple[Told, ...] = ()
    lists: tuple[Listed, ...] = ()
    versions: tuple[Version, ...] = ()
    names: Mapping[str, str] | None = None


def moments(sources: Sources) -> tuple[Moment, ...]:
    """Everything in one column, the oldest first."""
    found = [
        *(_trail(row, sources.names or {}) for row in sources.trail if row.action not in _ELSEWHERE),
        *(_entry(entry) for entry in sources.entries),
        *notified(sources.told),
        *(Moment(one.at, Kind.LIST, one.actor, f"{one.verb} “{one.title}”", link=_to("checklist", one.run_id))
          for one in sources.lists),
        *(Moment(one.at, Kind.VERSION, "", f"Production runs version {one.version} for the first time")
          for one in sources.versions),
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda moment: moment.at))


def notified(told: Iterable[Told]) -> tuple[Moment, ...]:
    """Who was told, a moment for each notice: its channels by what became of them."""
    ordered = sorted(told, key=lambda one: (one.key, one.at, one.channel))
    return tuple(_told(list(group)) for _, group in groupby(ordered, key=lambda one: one.key))


_ELSEWHERE = frozenset({"incident.noted", "incident.handed_over", "alert.told"})
"""These stand among the entries as they were written, and among the notices with what became of them."""

# action -> kind and words; {id} is what it is about, {name} what is known of that.
_WORDS: Mapping[str, tuple[Kind, str]] = {
    "incident.opened": (Kind.INCIDENT, "opened the incident"),
    "incident.resolved": (Kind.INCIDENT, "resolved the incident"),
    "incident.review_started": (Kind.INCIDENT, "started the post-incident review"),
    "alert.fired": (Kind.ALERT, "{name} fired"),
    "alert.resolved": (Kind.ALERT, "{name} is resolved"),
    "alert.acknowledged": (Kind.ALERT, "has {name}"),
    "alert.unacknowledged": (Kind.ALERT, "no longer has {name}"),
    "alert.folded": (Kind.ALERT, "{name} follows from another alert"),
    "alert.unfolded": (Kind.ALERT, "{name} stands by itself again"),
    "run.stop": (Kind.RUN, "stopped run {id}"),
    "schedule.paused": (Kind.SWITCH, "paused {id}"),
    "schedule.resumed": (Kind.SWITCH, "resumed {id}"),
    "schedule.edited": (Kind.SWITCH, "changed the schedule of {id}"),
}
_KINDS: Mapping[str, Kind] = {
    "incident": Kind.INCIDENT,
    "alert": Kind.ALERT,
    "silence": Kind.ALERT,
    "alert_rule": Kind.ALERT,
    "run": Kind.RUN,
}
_PAGES: Mapping[str, tuple[str, str]] = {
    "alert": ("alert", "id"),
    "run": ("run", "id"),
    "schedule": ("schedule", "name"),
    "alert_rule": ("rule", "name"),
}


def _trail(row: Trail, names: Mapping[str, str]) -> Moment:
    new, old = row.new or {}, row.old or {}
    name = names.get(row.entity_id, f"alert {row.entity_id}")
    kind, words = _WORDS.get(row.action, (_KINDS.get(row.entity, Kind.SWITCH), _plain(row)))
    match row.action:
        case "flag.set":
            words = f"switched {row.entity_id} {'on' if new.get('value') else 'off'}"
        case "job.run":
            words = f"ran {new.get('job', 'a job')}, run {row.entity_id}"
        case "incident.alerts_added":
            words = f"added {_alerts(new.get('alerts', ()), names)}"
        case "incident.alert_removed":
            words = f"took {_alerts([old.get('alert')], names)} out"
        case "incident.corrected":
            words = "corrected " + "; ".join(
                f"the {part.replace('_at', '')}: {old.get(part)} → {new[part]}" for part in new
            )
        case _ if row.action in _WORDS:
            words = words.format(id=row.entity_id, name=name)
    page = _PAGES.get(row.entity)
    link = f"/{page[0]}?{urlencode({page[1]: row.entity_id})}" if page is not None else None
    return Moment(row.at, kind, row.actor, words, row.reason, link)


def _plain(row: Trail) -> str:
    """An action that nobody has put into words here: "schedule disabled: reconcile-pending"."""
    return f"{row.action.replace('.', ' ').replace('_', ' ')}: {row.entity_id}".replace("{", "(").replace("}", ")")


def _alerts(ids: Iterable[Any], names: Mapping[str, str]) -> str:
    return ", ".join(names.get(str(one), f"alert {one}") for one in ids) or "nothing"


def _entry(entry: Entry) -> Moment:
    what = "handed over" if entry.kind == "handover" else "noted"
    kind = Kind.INCIDENT if entry.kind == "handover" else Kind.NOTE
    return Moment(entry.at, kind, entry.author, what, entry.body)


def _told(group: list[Told]) -> Moment:
    states = {
        "delivered": "",
        "waiting": " (not delivered yet)",
        "dead": " (given up)",
    }
    channels = ", ".join(f"{one.channel}{states.get(one.state, f' ({one.state})')}" for one in group)
    failed = next((f"{one.channel}: {one.error}" for one in group if one.state != "delivered" and one.error), None)
    return Moment(group[0].at, Kind.TOLD, "", f"Told on {channels}: {group[0].title}", failed)


def _to(page: str, id_: int) -> str:
    return f"/{page}?{urlencode({'id': id_})}"
