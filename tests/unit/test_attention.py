"""What needs a person, in words, worst first: the rules by table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.core.flags import Flag, FlagState
from jobs.horizon.breaker import Breaker
from jobs.probes.attention import Problem, Severity, find_problems, ledgers_behind, left_in_words, moment, span, worst
from jobs.probes.model import (
    AuditFacts,
    CheckFacts,
    EventFacts,
    Facts,
    JobFacts,
    NoticeFacts,
    Overdue,
    OverdueFacts,
    PendingFacts,
    ServerFacts,
    VersionFacts,
    WorkerFacts,
)

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
SERVER = "https://horizon.stellar.org"


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def well(**changes: object) -> Facts:
    """A desk without any problem, with these facts changed."""
    quiet: dict[str, object] = {
        "now": NOW,
        "jobs": [job()],
        "workers": [WorkerFacts("ops-1", ago(seconds=4), ago(seconds=4))],
        "servers": [server()],
    }
    return Facts(**{**quiet, **changes})  # type: ignore[arg-type]  # the tests name the fields


def job(**changes: object) -> JobFacts:
    quiet: dict[str, object] = {
        "name": "reconcile-pending",
        "every": "every 2 minutes",
        "due_by": NOW + timedelta(minutes=1),
        "last_success_at": ago(minutes=1),
    }
    return JobFacts(**{**quiet, **changes})  # type: ignore[arg-type]


def server(**changes: object) -> ServerFacts:
    quiet: dict[str, object] = {"server": SERVER, "sampled_at": ago(seconds=5), "verdict": "ok", "age_s": 3.0, "lag": 0}
    return ServerFacts(**{**quiet, **changes})  # type: ignore[arg-type]


def only(facts: Facts) -> Problem:
    found = find_problems(facts)
    assert len(found) == 1, found
    return found[0]


def test_a_quiet_day_has_no_problem() -> None:
    assert find_problems(well()) == []
    assert worst([]) is None


def test_a_server_that_was_left_says_why_and_when_it_is_tried_again() -> None:
    breaker = Breaker(3, 1, ago(minutes=46), "It does not answer.", NOW + timedelta(seconds=40))
    found = only(well(servers=[server(breaker=breaker)]))
    assert (found.severity, found.sentence) == (
        Severity.WARN,
        f"Horizon {SERVER} was left at 02:14 UTC after 3 failures (It does not answer), next try in 40 s",
    )


def test_a_left_server_whose_pause_is_over_says_who_tries_it() -> None:
    due = Breaker(1, 1, ago(minutes=46), None, ago(seconds=1))
    assert left_in_words(due, NOW) == "left at 02:14 UTC after 1 failure, the next run tries it again"
    under_way = replace(due, trial_until=NOW + timedelta(minutes=1))
    assert left_in_words(under_way, NOW).endswith("one run is trying it again")


def test_only_fresh_samples_of_our_network_say_how_far_a_server_is_behind() -> None:
    servers = [
        server(server="a", latest_ledger=1000),
        server(server="b", latest_ledger=997),
        server(server="old", latest_ledger=2000, sampled_at=ago(minutes=5)),
        server(server="elsewhere", latest_ledger=None),
    ]
    assert ledgers_behind(well(servers=servers)) == {"a": 0, "b": 3}
    assert ledgers_behind(well(servers=[])) == {}


def test_a_failing_job_says_how_often_since_when_and_why() -> None:
    failing = job(failures=3, failing_since=ago(minutes=46), failed_run=12, error="Horizon answers 503\n  at line 7")
    found = only(well(jobs=[failing]))
    assert found.sentence == "reconcile-pending has failed 3 times since 02:14 UTC: Horizon answers 503"
    assert found.severity is Severity.CRITICAL
    assert found.link == "/run?id=12"


def test_one_failure_is_no_alarm_yet() -> None:
    found = only(well(jobs=[job(failures=1, failing_since=ago(minutes=2), error="x")]))
    assert found.severity is Severity.WARN
    assert "has failed once" in found.sentence


def test_missed_slots_are_no_alarm_once_the_job_does_well_again() -> None:
    assert only(well(jobs=(job(missed="Nobody was there."),))).severity is Severity.NOTE
    troubled = find_problems(well(jobs=(job(missed="Nobody was there.", failures=3, error="503"),)))
    assert {problem.severity for problem in troubled} == {Severity.CRITICAL, Severity.WARN}


def test_a_job_that_should_have_succeeded_by_now_is_named() -> None:
    found = only(well(jobs=[job(due_by=ago(seconds=1), last_success_at=ago(minutes=46))]))
    assert found.sentence == "reconcile-pending has not succeeded since 02:14 UTC, though it is due every 2 minutes"
    assert "has not succeeded yet" in only(well(jobs=[job(due_by=ago(seconds=1), last_success_at=None)])).sentence


@pytest.mark.parametrize("off", [{"enabled": False}, {"paused_at": ago(hours=1), "paused_by": "ada@nexafx.com"}])
def test_a_job_that_is_not_to_run_does_not_fail(off: dict[str, object]) -> None:
    found = find_problems(well(jobs=[job(failures=9, due_by=ago(hours=1), **off)]))
    assert all(item.severity is Severity.NOTE for item in found)


def test_a_pause_says_until_when_by_whom_and_why() -> None:
    paused = job(paused_at=ago(hours=1), paused_until=NOW + timedelta(hours=2), paused_by="ada@nexafx.com",
                 paused_reason="bank holiday")  # fmt: skip
    assert only(well(jobs=[paused])).sentence == (
        "reconcile-pending is paused until 05:00 UTC by ada@nexafx.com: bank holiday"
    )


def test_a_clock_that_is_off_by_more_than_a_second_is_named_once_a_host() -> None:
    def beating(host: str, skew_ms: float | None) -> WorkerFacts:
        return WorkerFacts(host, ago(seconds=4), ago(seconds=4), skew_ms)

    fine = [beating("ops-1", 900.0), beating("ops-2", None)]
    assert find_problems(well(workers=fine)) == []
    found = only(well(workers=[*fine, beating("ops-3", -2310.0), beating("ops-3", -2312.0)]))
    assert (found.severity, found.link) == (Severity.WARN, "/workers")
    assert found.sentence == (
        "The clock of ops-3 is 2.3 s behind the database's, so its slots start late:"
        " let it follow a time server (chrony, systemd-timesyncd)"
    )
    gone = WorkerFacts("ops-4", ago(minutes=5), ago(minutes=5), 9000.0)
    assert "silent" in only(well(workers=[*fine, gone])).sentence


def test_without_a_worker_nothing_runs() -> None:
    assert only(well(workers=[])).sentence == "No worker runs: nothing is settled until one starts"
    gone = only(well(workers=[WorkerFacts("ops-1", ago(minutes=46), ago(minutes=46))]))
    assert gone.sentence.startswith("No worker runs since 02:14 UTC")
    assert gone.severity is Severity.CRITICAL


def test_a_worker_that_beats_with_a_silent_scheduler_is_seen_through() -> None:
    found = only(well(workers=[WorkerFacts("ops-1", ago(seconds=1), ago(minutes=46))]))
    assert found.severity is Severity.CRITICAL
    assert "silent since 02:14 UTC, so no job starts by itself" in found.sentence


def test_one_silent_scheduler_of_two_is_no_alarm() -> None:
    workers = [WorkerFacts("a", ago(seconds=1), ago(seconds=1)), WorkerFacts("b", ago(seconds=1), None)]
    assert only(well(workers=workers)).severity is Severity.WARN


@pytest.mark.parametrize(("age_s", "stale"), [(45, False), (46, True)])
def test_samples_older_than_three_intervals_say_nothing(age_s: float, stale: bool) -> None:
    found = find_problems(well(servers=[server(sampled_at=ago(seconds=age_s))]))
    assert bool(found) is stale
    if stale:
        assert found[0].sentence == f"No data about Horizon {SERVER} since 02:59 UTC"


def test_an_old_verdict_is_not_repeated() -> None:
    found = only(well(servers=[server(sampled_at=ago(minutes=5), verdict="critical", reasons=("the core is down",))]))
    assert "the core is down" not in found.sentence


def test_a_bad_verdict_comes_with_its_reasons() -> None:
    found = only(well(servers=[server(verdict="critical", reasons=("the newest ledger is 90 s old", "p95 is 11 s"))]))
    assert found.sentence == f"Horizon {SERVER}: the newest ledger is 90 s old; p95 is 11 s"
    assert found.severity is Severity.CRITICAL


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x1e", "\u2028"])
def test_of_what_others_wrote_the_first_line_is_told(end: str) -> None:
    found = only(well(servers=[server(frozen_at=ago(minutes=46), frozen_reason=f"it went back{end}Bcc: all")]))
    assert found.sentence.endswith(": it went back")


def test_a_frozen_network_is_named_with_its_reason() -> None:
    found = only(well(servers=[server(frozen_at=ago(minutes=46), frozen_reason="its ledgers went backwards")]))
    assert found.sentence == f"Settling on {SERVER} is frozen since 02:14 UTC: its ledgers went backwards"


def test_a_horizon_that_was_never_probed_is_said_once() -> None:
    assert only(well(servers=[])).sentence == "Horizon has not been probed yet"
    assert only(well(servers=[server(sampled_at=None)])).sentence == "Horizon has not been probed yet"


@pytest.mark.parametrize(("age_h", "severity"), [(2, Severity.WARN), (25, Severity.CRITICAL)])
def test_cases_that_wait_for_more_than_a_day_are_an_alarm(age_h: float, severity: Severity) -> None:
    found = only(well(cases=2, oldest_case=ago(hours=age_h)))
    assert found.severity is severity
    assert found.sentence.startswith("2 cases wait for a decision, the oldest since ")


def test_money_that_waits_too_long_is_named() -> None:
    pending = [PendingFacts("USDC", 1200, Decimal(5), ago(minutes=46))]
    found = only(well(pending=pending, late_pending=1200))
    assert found.sentence == ("1,200 transactions have been pending for more than 30 min, the oldest since 02:14 UTC")


def test_a_switch_that_stands_otherwise_than_usual_says_who_and_why() -> None:
    switched = FlagState(Flag.RETRY, False, ago(minutes=46), "grace@nexafx.com", "refunds by hand today")
    usual = FlagState(Flag.CLEANUP, True, ago(days=9), "system", None)
    dry = FlagState(Flag.DRY_RUN, True, ago(minutes=1), "ada@nexafx.com", None)
    found = find_problems(well(flags=[switched, usual, dry]))
    assert [item.sentence for item in found] == [
        "enableRetry is off since 02:14 UTC, switched by grace@nexafx.com: refunds by hand today",
        "dryRun is on since 02:59 UTC, switched by ada@nexafx.com",
    ]


def test_the_worst_comes_first_and_the_oldest_of_the_equal() -> None:
    facts = well(
        jobs=[job(paused_at=ago(days=2), paused_by="ada@nexafx.com"),
              job(name="retry-failed", failures=4, failing_since=ago(minutes=9)),
              job(name="backup", failures=5, failing_since=ago(hours=9))],
        cases=1, oldest_case=ago(hours=3),
    )  # fmt: skip
    found = find_problems(facts)
    assert [item.severity for item in found] == [Severity.CRITICAL] * 2 + [Severity.WARN, Severity.NOTE]
    assert found[0].sentence.startswith("backup")
    assert worst(found) is Severity.CRITICAL


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (99, "99 s"), (100, "1 min"), (5999, "99 min"), (6000, "1 h"), (172_800, "2 d")]
)
def test_lengths_of_time_come_in_their_largest_fitting_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_time_of_another_day_names_the_day() -> None:
    assert moment(ago(hours=1), NOW) == "02:00 UTC"
    assert moment(ago(hours=30), NOW) == "21 Nov 21:00 UTC"


times = st.one_of(st.none(), st.floats(-1e6, 1e7).map(lambda s: ago(seconds=s)))
texts = st.one_of(st.none(), st.text(max_size=300))


@given(
    failures=st.integers(0, 10_000), failing_since=times, error=texts, due_by=times, last_success_at=times,
    paused_at=times, paused_until=times, paused_by=texts, paused_reason=texts, missed=texts, frozen_at=times,
    frozen_reason=texts, sampled_at=times,
)  # fmt: skip
def test_whatever_the_facts_every_problem_is_one_line_with_a_place_to_look(**given_facts: object) -> None:
    of_server = {name: given_facts.pop(name) for name in ("frozen_at", "frozen_reason", "sampled_at")}
    for problem in find_problems(well(jobs=[job(**given_facts)], servers=[server(**of_server)])):
        assert problem.link.startswith("/")
        assert problem.sentence
        assert len(problem.sentence.splitlines()) == 1
        assert not problem.sentence.endswith(".")


def test_an_audit_trail_that_is_broken_or_that_nobody_seals_is_named() -> None:
    assert (
        find_problems(well(audit=AuditFacts(verified_at=ago(hours=2), unsealed=9, oldest_unsealed=ago(minutes=1))))
        == []
    )
    broken = only(well(audit=AuditFacts("The audit trail is broken at link 7.", ago(hours=2))))
    assert (broken.severity, broken.sentence, broken.link) == (
        Severity.CRITICAL, "The audit trail is broken at link 7", "/audit"
    )  # fmt: skip
    waits = only(well(audit=AuditFacts(unsealed=1204, oldest_unsealed=ago(minutes=46))))
    assert waits.severity is Severity.WARN
    assert waits.sentence == (
        "1,204 rows of the audit trail have waited for a link of the chain since 02:14 UTC: no worker seals"
    )


def test_what_is_overdue_and_what_nobody_released_is_named() -> None:
    late = only(well(overdue=Overdue([OverdueFacts(7, "Maintenance", ago(minutes=46))])))
    assert (late.severity, late.link) == (Severity.WARN, "/checklist?id=7")
    assert late.sentence == "“Maintenance” (run 7) is overdue since 02:14 UTC"
    review = only(well(overdue=Overdue([OverdueFacts(7, "Release", ago(minutes=46), review=True)])))
    assert review.sentence == "“Release” (run 7) was expedited, and its review is overdue since 02:14 UTC"
    version = only(well(unreleased=VersionFacts("2.5.0", ago(minutes=46))))
    assert version.sentence == "Version 2.5.0 runs in production without a release since 02:14 UTC"


def test_events_that_another_system_does_not_take_are_named() -> None:
    assert find_problems(well(events=EventFacts(waiting=3))) == []
    late = EventFacts(waiting=3, late=2, oldest=ago(minutes=46), oldest_of="a-b", error="The receiver answers 500.")
    found = only(well(events=late))
    assert found.severity is Severity.WARN
    assert found.sentence == (
        "2 events have waited for the other system for more than 15 min: The receiver answers 500"
    )
    assert (found.since, found.link) == (ago(minutes=46), "/transaction?id=a-b")
    dead = only(well(events=EventFacts(dead=1, dead_since=ago(minutes=46), dead_of="c-d")))
    assert dead.severity is Severity.CRITICAL
    assert dead.sentence == "1 event was given up since 02:14 UTC: the other system does not know what was settled"
    assert dead.link == "/transaction?id=c-d"


def test_a_notice_that_was_given_up_is_an_alarm() -> None:
    lost = NoticeFacts(2, ago(minutes=46), "Deployment of 2.4.0", "slack://", "it answers 403")
    problem = only(well(notices=lost))
    assert problem.severity is Severity.CRITICAL
    assert "“Deployment of 2.4.0” was given up on slack://" in problem.sentence
    assert problem.sentence.endswith("it answers 403, and 1 more")


def test_findings_in_the_books_are_one_problem_and_drift_is_a_lesser_one() -> None:
    checks = [
        CheckFacts("balances", ago(hours=1), 2, ago(hours=3)),
        CheckFacts("entries", ago(hours=1), 1, ago(minutes=46)),
        CheckFacts("double-entry", ago(hours=1)),
        CheckFacts("wallets", ago(minutes=9), 1, ago(minutes=9)),
    ]
    books, wallets = find_problems(well(checks=checks))
    assert books.sentence == "The books do not balance: 3 findings are open, the oldest since 00:00 UTC"
    assert (books.severity, books.since, books.link) == (Severity.CRITICAL, ago(hours=3), "/integrity")
    assert wallets.sentence.startswith("Wallets do not hold what the books say: 1 finding is open")
    assert wallets.severity is Severity.WARN
