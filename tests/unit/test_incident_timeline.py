"""The timeline: everything in the order of time, in words, what was written as it was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.incident_timeline import Entry, Kind, Listed, Sources, Told, Trail, Version, moments, notified

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
NAMES = {"17": "A job fails, reconcile-pending"}


def row(action: str, entity: str = "incident", entity_id: str = "7", **values: Any) -> Trail:
    known = {"old": None, "new": None, "reason": None, **values}
    return Trail(NOW, "ada", action, entity, entity_id, **known)


@pytest.mark.parametrize(
    ("trail", "kind", "words", "link"),
    [
        (row("incident.opened"), Kind.INCIDENT, "opened the incident", None),
        (row("alert.fired", "alert", "17"), Kind.ALERT, "“A job fails, reconcile-pending” fired", "/alert?id=17"),
        (row("alert.acknowledged", "alert", "9"), Kind.ALERT, "took “alert 9”", "/alert?id=9"),
        (row("flag.set", "flag", "dryRun", new={"value": True}), Kind.SWITCH, "switched dryRun on", None),
        (row("job.run", "run", "4", new={"job": "prune"}), Kind.RUN, "ran prune, run 4", "/run?id=4"),
        (row("run.stop", "run", "4"), Kind.RUN, "stopped run 4", "/run?id=4"),
        (row("schedule.paused", "schedule", "prune"), Kind.SWITCH, "paused prune", "/schedule?name=prune"),
        (row("rule.edited", "alert_rule", "disk-full"), Kind.SWITCH, "changed the rule disk-full", "/rule?name=disk-full"),
        (row("incident.alerts_added", new={"alerts": [17, 9]}), Kind.INCIDENT,
         "added “A job fails, reconcile-pending”, “alert 9”", None),
        (row("incident.alert_removed", old={"alert": 17}), Kind.INCIDENT,
         "took “A job fails, reconcile-pending” out", None),
        (row("incident.corrected", old={"severity": "warn"}, new={"severity": "critical"}), Kind.INCIDENT,
         "corrected the severity: warn → critical", None),
        (row("schedule.something_new", "schedule", "{x}"), Kind.SWITCH, "schedule something new: {x}",
         "/schedule?name=%7Bx%7D"),
    ],
)  # fmt: skip
def test_what_was_done_is_said_in_words(trail: Trail, kind: Kind, words: str, link: str | None) -> None:
    (found,) = moments(Sources((trail,), names=NAMES))
    assert (found.kind, found.who, found.what, found.link) == (kind, "ada", words, link)


def test_a_notice_is_one_line_that_says_what_became_of_it_on_each_channel() -> None:
    told = [
        Told("k", NOW, "slack://", "It fails", "delivered", None),
        Told("k", NOW, "mailto://", "It fails", "dead", "it answers 550"),
        Told("other", NOW + timedelta(minutes=1), "slack://", "Still", "waiting", None),
    ]
    first, second = notified(told)
    assert (first.what, first.said) == ("Told on mailto:// (given up), slack://: It fails", "mailto://: it answers 550")
    assert second.what == "Told on slack:// (not delivered yet): Still"


def test_what_was_written_stands_as_it_was_written_and_once() -> None:
    entries = (Entry(NOW, "ada", "note", "first\n  second"), Entry(NOW, "ada", "handover", "To grace: yours"))
    trail = (row("incident.noted", reason="first"), row("incident.handed_over"), row("alert.told", "alert", "17"))
    assert [moment.said for moment in moments(Sources(trail, entries))] == ["first\n  second", "To grace: yours"]


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_everything_stands_in_the_order_of_time(minutes: list[int]) -> None:
    at = [NOW + timedelta(minutes=minute) for minute in minutes]
    sources = Sources(
        (),
        tuple(Entry(one, "ada", "note", "x") for one in at[::4]),
        tuple(Told(str(n), one, "slack://", "x", "delivered", None) for n, one in enumerate(at[1::4])),
        tuple(Listed(one, "ada", 1, "x", "started") for one in at[2::4]),
        tuple(Version(one, "2.4.1") for one in at[3::4]),
    )
    assert [moment.at for moment in moments(sources)] == sorted(at)
