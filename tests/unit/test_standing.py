"""Problems, alerts, silences and incidents as one list: who has what, what is quiet, what follows from what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.model import Alert, Silence
from jobs.alerts.standing import Concern, OpenIncident, Outlook, look
from jobs.probes.attention import Problem, Severity

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
CRITICAL, WARN, NOTE = Severity


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def problem(severity: Severity = WARN, signal: str = "job.failures", subject: str = "a-job", **more: Any) -> Problem:
    known: dict[str, Any] = {"sentence": f"{signal} of {subject}", "since": ago(10), "link": "/runs"}
    return Problem(severity=severity, signal=signal, subject=subject, **{**known, **more})


def alert(id_: int = 1, signal: str = "job.failures", subject: str = "a-job", **more: Any) -> Alert:
    known: dict[str, Any] = {
        "rule": f"rule-{id_}", "state": "firing", "severity": "warn", "value": 3.0, "sentence": f"alert {id_}",
        "link": f"/alert?id={id_}", "began_at": ago(5), "fired_at": ago(4), "seen_at": NOW,
    }  # fmt: skip
    return Alert(id=id_, signal=signal, subject=subject, **{**known, **more})


def silence(rule: str = "*", subject: str = "*", **more: Any) -> Silence:
    known: dict[str, Any] = {
        "id": 1, "kind": "silence", "title": "", "starts_at": ago(1), "ends_at": NOW + timedelta(hours=1),
        "reason": "known", "created_at": ago(1), "created_by": "ada@nexafx.test",
    }  # fmt: skip
    return Silence(rule=rule, subject=subject, **{**known, **more})


def seen(
    problems: Sequence[Problem] = (),
    alerts: Sequence[Alert] = (),
    silences: Sequence[Silence] = (),
    incidents: Sequence[OpenIncident] = (),
) -> Outlook:
    return look(problems, alerts, silences, incidents, NOW)


def only(outlook: Outlook) -> Concern:
    (found,) = (*outlook.concerns, *outlook.quiet)
    return found


def test_nothing_is_well() -> None:
    assert seen() == Outlook()
    assert seen().worst is None


def test_a_problem_keeps_its_words_and_its_alert_says_who_has_it() -> None:
    taken = alert(acknowledged_at=ago(1), acknowledged_by="ada@nexafx.test")
    found = only(seen([problem()], [taken]))
    assert (found.sentence, found.since, found.link) == ("job.failures of a-job", ago(10), "/runs")
    assert found.taken_by == "ada@nexafx.test"
    assert seen([problem()], [taken]).worst is WARN, "what somebody has is still so"


def test_an_alert_of_another_subject_or_signal_is_a_concern_of_its_own() -> None:
    for other in (alert(subject="b-job"), alert(signal="job.seconds")):
        first, second = seen([problem()], [other]).concerns
        assert (first.alert, second.sentence) == (None, "alert 1")
        assert second.since == ago(5)


@pytest.mark.parametrize("state", ["pending", "resolved"])
def test_an_alert_that_does_not_fire_says_nothing(state: str) -> None:
    assert seen([], [alert(state=state)]) == Outlook()
    assert only(seen([problem()], [alert(state=state)])).alert is None


@pytest.mark.parametrize(
    ("says", "rule", "worst"),
    [(WARN, "critical", CRITICAL), (CRITICAL, "warn", CRITICAL), (NOTE, "warn", WARN), (WARN, "warn", WARN)],
)
def test_the_worse_of_fact_and_rule_counts(says: Severity, rule: str, worst: Severity) -> None:
    assert only(seen([problem(says)], [alert(severity=rule)])).severity is worst


def test_of_several_alerts_the_worst_that_people_are_told_of_stands_for_them() -> None:
    alerts = [
        alert(1, severity="warn", began_at=ago(9)),
        alert(2, severity="critical", began_at=ago(3)),
        alert(3, severity="critical", began_at=ago(8)),
        alert(4, severity="critical", began_at=ago(9), folded_into=1),
    ]
    assert only(seen([problem()], alerts)).alert == alerts[2]
    assert only(seen([problem()], alerts, [silence("rule-3"), silence("rule-2")])).alert == alerts[0]


def test_what_is_silenced_counts_no_more_and_stays_in_the_list() -> None:
    kept = silence("rule-1")
    found = seen([problem(CRITICAL), problem(WARN, subject="b-job")], [alert(), alert(2, subject="b-job")], [kept])
    assert found.worst is WARN
    assert [one.quiet for one in found.quiet] == [kept]


@pytest.mark.parametrize(
    ("quiet", "covers"),
    [
        (silence(), True),
        (silence(subject="a-*"), True),
        (silence(subject="b-*"), False),
        (silence("rule-1"), False),
        (silence(ends_at=NOW), False),
        (silence(ended_at=ago(0.5)), False),
        (silence(starts_at=NOW + timedelta(seconds=1)), False),
    ],
)
def test_a_problem_without_an_alert_is_quiet_only_when_every_rule_is(quiet: Silence, covers: bool) -> None:
    found = seen([problem()], [], [quiet])
    assert bool(found.quiet) is covers
    assert bool(found.concerns) is not covers


def test_what_follows_stands_under_its_cause_and_does_not_count() -> None:
    cause = alert(1, "horizon.verdict", "horizon", severity="critical")
    follows = alert(2, folded_into=1)
    found = seen([problem(CRITICAL, "horizon.verdict", "horizon"), problem()], [cause, follows])
    assert [one.sentence for one in found.concerns] == ["horizon.verdict of horizon"]
    assert [one.sentence for one in found.concerns[0].follows] == ["job.failures of a-job"]
    assert len(found.urgent) == 1


def test_what_follows_from_what_is_no_more_open_stands_by_itself() -> None:
    assert len(seen([problem()], [alert(2, folded_into=1)]).concerns) == 1


def test_alerts_that_are_folded_round_in_a_ring_are_all_seen() -> None:
    ring = [alert(1, "a", "", folded_into=2), alert(2, "b", "", folded_into=1), alert(3, "c", "", folded_into=3)]
    assert len(seen([], ring).concerns) == 3


def test_an_incident_and_its_lead_stand_beside_each_of_its_alerts() -> None:
    incident = OpenIncident(7, "Horizon lags", "critical", ago(9), "oda@nexafx.test", frozenset({2}))
    outlook = seen([problem(), problem(subject="b-job")], [alert(1), alert(2, subject="b-job")], (), [incident])
    assert [one.incident for one in outlook.concerns] == [None, incident]


def test_the_worst_stands_first_and_among_equals_the_oldest() -> None:
    problems = [
        problem(NOTE, "a"), problem(WARN, "b", since=ago(1)), problem(CRITICAL, "c", since=None),
        problem(CRITICAL, "d", since=ago(2)), problem(WARN, "e", since=ago(3)),
    ]  # fmt: skip
    assert [one.signal for one in seen(problems).concerns] == ["d", "c", "e", "b", "a"]
    assert [one.signal for one in seen(problems).urgent] == ["d", "c", "e", "b"]


_ABOUT = st.sampled_from([("s", "x"), ("s", "y"), ("t", "x")])


def _alerts(drawn: list[tuple[tuple[str, str], str, int | None]]) -> list[Alert]:
    return [
        alert(number, *about, severity=severity, folded_into=folded)
        for number, (about, severity, folded) in enumerate(drawn)
    ]


@given(
    st.lists(st.tuples(st.sampled_from(list(Severity)), _ABOUT), max_size=5),
    st.builds(
        _alerts,
        st.lists(st.tuples(_ABOUT, st.sampled_from(["warn", "critical"]), st.none() | st.integers(0, 7)), max_size=7),
    ),
    st.lists(st.sampled_from(["*", "rule-1", "rule-2"]), max_size=2),
)
def test_nothing_is_lost_and_nothing_is_doubled(
    problems: list[tuple[Severity, tuple[str, str]]], alerts: list[Alert], quiet: list[str]
) -> None:
    given_ = [problem(severity, *about) for severity, about in problems]
    outlook = seen(given_, alerts, [silence(rule) for rule in quiet])
    listed = [one for top in (*outlook.concerns, *outlook.quiet) for one in (top, *top.follows)]
    abouts = {(one.signal, one.subject) for one in [*given_, *alerts]}
    assert {(one.signal, one.subject) for one in listed} == abouts
    assert len(listed) == len(given_) + len(abouts - {(one.signal, one.subject) for one in given_})
    assert not any(one.follows for top in listed for one in top.follows), "what follows has nothing that follows"
