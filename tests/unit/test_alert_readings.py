"""What the signals read: what is wrong says so in the overview's words, and what went stale says nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.readings import read_signals, rounded
from jobs.alerts.signals import SIGNALS, Unit, in_words
from jobs.core.flags import Flag, FlagState
from jobs.core.jobs import load_jobs
from jobs.horizon.breaker import Breaker
from jobs.probes.attention import find_problems
from jobs.probes.model import (
    Answers,
    AuditFacts,
    BackupFacts,
    CheckFacts,
    EventFacts,
    Facts,
    JobFacts,
    Measures,
    NoticeFacts,
    Overdue,
    OverdueFacts,
    Pace,
    PendingFacts,
    Sampled,
    ServerFacts,
    VersionFacts,
    WorkerFacts,
)

NOW = datetime(2026, 3, 1, 2, 14, tzinfo=UTC)
SERVER = "https://horizon.example.org"


NOTHING = Measures()


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


TROUBLE = Facts(
    now=NOW,
    jobs=[
        JobFacts("reconcile-pending", "every 2 minutes", failures=3, failing_since=ago(minutes=9), error="503"),
        JobFacts("backup", "daily", due_by=ago(hours=2), missed="no worker claimed them in time"),
        JobFacts("prune", "daily", paused_at=ago(hours=1), paused_by="ada"),
    ],
    workers=[
        WorkerFacts("ops-1", ago(seconds=5), ago(seconds=5), skew_ms=4_000),
        WorkerFacts("ops-1", ago(seconds=5), ago(minutes=5)),
        WorkerFacts("ops-2", ago(minutes=5), ago(minutes=5)),
    ],
    servers=[
        ServerFacts(SERVER, ago(seconds=5), "critical", ("it is old",), 90.0, 12, 7),
        ServerFacts("https://stale.example.org", ago(minutes=5), "ok", (), 3.0, 0, 7),
        ServerFacts("https://frozen.example.org", ago(seconds=5), "ok", frozen_at=ago(hours=1), frozen_reason="regress"),
        ServerFacts(
            "https://left.example.org", ago(seconds=5), "ok",
            breaker=Breaker(failures=3, left_at=ago(minutes=1), left_reason="503", retry_at=NOW),
        ),
    ],
    pending=[PendingFacts("XLM", 3, Decimal("12.5"), ago(hours=3))],
    late_pending=2,
    cases=1,
    oldest_case=ago(hours=30),
    checks=[CheckFacts("balances", NOW, 2, NOW), CheckFacts("wallets", NOW, 1, NOW), CheckFacts("history", NOW, 1, NOW)],
    flags=[FlagState(Flag.CLEANUP, False, NOW, "ada", "a test")],
    events=EventFacts(3, 2, ago(hours=1), "7", "503", 1, ago(hours=1), "8"),
    notices=NoticeFacts(1, ago(hours=1), "Down", "slack://", "404"),
    audit=AuditFacts(None, None, 3, ago(minutes=9)),
    overdue=Overdue([OverdueFacts(17, "Weekly", ago(days=1))]),
    unreleased=VersionFacts("2.1", ago(days=1)),
    backup=BackupFacts("b.zip", ago(days=1), "a table is missing"),
)  # fmt: skip


def reads(facts: Facts = TROUBLE, measures: Measures = NOTHING, **known: float) -> dict[tuple[str, str], float | None]:
    before = {("pending.count", currency): value for currency, value in known.items()}
    return {(one.signal, one.subject): one.value for one in read_signals(facts, measures, before)}


def test_every_problem_of_the_overview_has_its_reading_in_the_same_words() -> None:
    found = {(one.signal, one.subject): one for one in read_signals(TROUBLE, NOTHING, {})}
    problems = [one for one in find_problems(TROUBLE) if one.signal != "job.missed"]  # counted in the measures
    assert len({problem.signal for problem in problems}) == 21
    for problem in problems:
        reading = found[problem.signal, problem.subject]
        assert (reading.sentence, reading.link) == (problem.sentence, problem.link)
        assert reading.value, problem.sentence


@pytest.mark.parametrize(
    ("signal", "subject", "value"),
    [
        ("job.failures", "reconcile-pending", 3),
        ("job.overdue_s", "backup", 7_200),
        ("job.paused", "prune", 1),
        ("workers.alive", "", 2),
        ("workers.lost", "ops-2", 1),
        ("schedulers.alive", "", 1),
        ("schedulers.silent", "ops-1", 1),
        ("clock.skew_ms", "ops-1", 4_000),
        ("horizon.verdict", SERVER, 2),
        ("horizon.age_s", SERVER, 90),
        ("horizon.verdict", "https://stale.example.org", None),
        ("horizon.age_s", "https://stale.example.org", None),
        ("horizon.silent_s", "https://stale.example.org", 300),
        ("horizon.silent_s", SERVER, 0),
        ("horizon.usable", "", 1),
        ("horizon.left", "https://left.example.org", 1),
        ("pending.oldest_s", "XLM", 10_800),
        ("money.at_stake", "XLM", 12.5),
        ("cases.oldest_s", "", 108_000),
        ("integrity.findings", "books", 2),
        ("checklist.overdue_s", "17", 86_400),
        ("audit.broken", "", 0),
    ],
)
def test_what_it_reads(signal: str, subject: str, value: float | None) -> None:
    assert reads()[signal, subject] == value


def test_of_a_paused_job_only_the_pause_is_read() -> None:
    assert [signal for signal, subject in reads() if subject == "prune"] == ["job.paused"]


def test_what_is_listed_no_more_reads_nothing_left_once() -> None:
    assert reads(EUR=4.0)["pending.count", "EUR"] == 0
    assert ("pending.count", "EUR") not in reads(EUR=0.0)


def test_every_overdue_checklist_has_its_reading_and_beyond_a_bound_the_others_have_one() -> None:
    runs = [OverdueFacts(number, f"List {number}", ago(days=40 - number)) for number in range(20)]
    facts = Facts(now=NOW, overdue=Overdue(runs, 12, ago(days=2)))
    found = {one.subject: one for one in read_signals(facts, NOTHING, {})}
    assert [found[str(number)].value for number in (4, 19)] == [3_110_000, 1_810_000]
    assert found["19"].sentence == "“List 19” (run 19) is overdue since 8 Feb 02:14 UTC"
    others = found["others"]
    assert (others.value, others.link) == (173_000, "/checklists")
    assert others.sentence == "12 more checklists are overdue, the oldest since 27 Feb 02:14 UTC"
    known = {("checklist.overdue_s", "others"): 173_000.0}
    ended = {one.subject: one for one in read_signals(replace(facts, overdue=Overdue(runs)), NOTHING, known)}["others"]
    assert (ended.value, ended.link) == (0, "/checklists")
    assert ended.sentence == "No more checklists are overdue than are named one by one"


def test_how_a_job_does_is_judged_by_its_runs() -> None:
    pace = Pace(limit_s=100, running_s=90, last_s=3, usual_p95_s=2, ended=2, failed=1, missed=4)
    found = reads(measures=Measures(paces={"backup": pace}))
    assert [found[f"job.{name}", "backup"] for name in ("error_share", "slowness", "limit_share", "missed")] == [
        0.2, 18, 0.9, 4,
    ]  # fmt: skip
    unknown = reads(measures=Measures(paces={"backup": replace(pace, usual_p95_s=None)}))
    assert unknown["job.slowness", "backup"] is None


def test_of_few_answers_nothing_is_said() -> None:
    few, enough = (reads(measures=Measures(answers={SERVER: Answers(n, 5, 900, 0.04)})) for n in (9, 10))
    assert [(one["horizon.error_share", SERVER], one["horizon.p95_ms", SERVER]) for one in (few, enough)] == [
        (None, None),
        (0.5, 900),
    ]


@pytest.mark.parametrize(
    ("metric", "age", "value"),
    [
        ("host.cpu_ratio", timedelta(seconds=30), 0.5),
        ("host.cpu_ratio", timedelta(minutes=3), None),  # the host is silent
        ("host.cpu_ratio", timedelta(days=2), "nothing"),  # and gone
        ("host.disk_full_days", timedelta(minutes=3), 3_650),  # it fills no more: the probe looks and keeps nothing
        ("certificate.days_left", timedelta(hours=20), 0.5),
        ("certificate.days_left", timedelta(days=3), None),
    ],
)
def test_a_sample_counts_for_as_long_as_its_probe_takes(metric: str, age: timedelta, value: object) -> None:
    samples = [Sampled(metric, "db-1", NOW - age, 0.5), Sampled("host.disk_used_ratio", "db-1", NOW, 0.5)]
    assert reads(measures=Measures(samples=samples)).get((metric, "db-1"), "nothing") == value


@given(st.sampled_from(Unit), st.floats(0, 1e12, allow_nan=False))
def test_a_value_is_kept_as_near_as_anybody_acts_on(unit: Unit, value: float) -> None:
    near = rounded(value, unit)
    assert abs(near - value) <= max(0.5, abs(value) / 100)
    assert rounded(near, unit) == near
    assert in_words(unit, near)


def test_every_signal_explains_itself() -> None:
    for signal in SIGNALS.values():
        assert signal.means.endswith("."), signal.name
        assert signal.sentence("it", 2.0)
        assert signal.link("a b&c").startswith("/")
        assert " " not in signal.link("a b&c")
        where, _, job = signal.page.partition("/runs?job=")
        assert where or job == "{subject}" or job in load_jobs(), signal.name
