"""Proof of "never": what it takes, and that nothing less is one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.horizon.model import (
    Answer,
)
from jobs.reconcile.picture import AccountState, Verdict
from jobs.reconcile.rules import decide
from tests.unit.pictures import (
    EXPIRED,
    HASH,
    NOW,
    OTHER,
    OUTER,
    SERVER,
    a_look,
    a_mark,
    a_picture,
    a_row,
    absent_twice,
    found,
    included,
    signed,
)

# Never -------------------------------------------------------------------------------------------------------


def test_time_bounds_prove_never_only_after_a_ledger_closed_strictly_later() -> None:
    at = NOW - timedelta(minutes=1)
    envelope = signed(max_time=int(at.timestamp()))
    passed = a_picture(*absent_twice(closed_at=at + timedelta(seconds=1)), envelope=envelope)
    assert (decide(passed).verdict, decide(passed).reason) == (Verdict.FAILED, "time_bounds")
    equal = a_picture(*absent_twice(closed_at=at), envelope=envelope, account_asked=True)
    assert decide(equal).verdict is Verdict.KEEP


def test_a_latest_time_beyond_every_calendar_never_passes() -> None:
    picture = a_picture(*absent_twice(), envelope=signed(max_time=2**64 - 1), account_asked=True)
    assert decide(picture).verdict is Verdict.KEEP


@pytest.mark.parametrize(("latest", "verdict"), [(499, Verdict.FAILED), (498, Verdict.KEEP)])
def test_ledger_bounds_prove_never_once_the_last_possible_ledger_is_ingested(latest: int, verdict: Verdict) -> None:
    picture = a_picture(*absent_twice(ledger=latest), envelope=signed(max_ledger=500), account_asked=True)
    assert decide(picture).verdict is verdict


@pytest.mark.parametrize(
    ("sequence", "ledger", "verdict"),
    [(77, 2000, Verdict.FAILED), (78, 2000, Verdict.FAILED), (76, 2000, Verdict.KEEP), (77, 2001, Verdict.KEEP)],
)
def test_a_spent_sequence_number_proves_never_at_the_ledger_that_spent_it(
    sequence: int, ledger: int, verdict: Verdict
) -> None:
    account = AccountState(SERVER, "GSOURCE", sequence, ledger)
    picture = a_picture(*absent_twice(), envelope=signed(), account=account, account_asked=True)
    assert decide(picture).verdict is verdict


def test_the_sequence_of_another_account_or_server_proves_nothing() -> None:
    for account in (AccountState(SERVER, "GOTHER", 99, 1), AccountState("https://else", "GSOURCE", 99, 1)):
        picture = a_picture(*absent_twice(), envelope=signed(), account=account, account_asked=True)
        assert decide(picture).verdict is Verdict.KEEP


def test_a_proof_of_never_asks_for_the_account_when_nothing_else_proves() -> None:
    assert decide(a_picture(*absent_twice(), envelope=signed())).ask.account == "GSOURCE"
    assert decide(a_picture(*absent_twice(), envelope=signed(max_time=EXPIRED))).ask.account is None


def test_a_404_has_to_come_twice_before_it_can_prove_never() -> None:
    once = decide(a_picture(a_look(Answer.ABSENT), envelope=signed(max_time=EXPIRED)))
    assert (once.verdict, once.ask.hashes) == (Verdict.KEEP, (HASH,))


def test_both_hashes_of_a_fee_bump_must_be_absent() -> None:
    envelope = signed(hashes=(OUTER, HASH), max_time=EXPIRED)
    one = decide(a_picture(*absent_twice(), envelope=envelope))
    assert (one.verdict, one.ask.hashes) == (Verdict.KEEP, (OUTER,))
    other = (a_look(Answer.ABSENT, OUTER), a_look(Answer.ABSENT, OUTER))
    assert decide(a_picture(*absent_twice(), *other, envelope=envelope)).verdict is Verdict.FAILED
    broken = (a_look(Answer.ABSENT, OUTER), a_look(Answer.TIMEOUT, OUTER))
    assert decide(a_picture(*absent_twice(), *broken, envelope=envelope)).verdict is Verdict.KEEP


def test_a_payment_found_under_its_other_hash_is_the_same_payment() -> None:
    envelope = signed(hashes=(OUTER, HASH), max_time=EXPIRED)
    row = a_row(tx_hash=OUTER)
    inner = found(included(), HASH)
    decision = decide(a_picture(a_look(Answer.ABSENT, OUTER), inner, row=row, envelope=envelope))
    assert (decision.verdict, decision.canonical) == (Verdict.SUCCESS, HASH)


@pytest.mark.parametrize(
    "changes",
    [
        {"canary": False},
        {"envelope": None},
        {"envelope": signed(hashes=(OTHER,), max_time=EXPIRED)},
        {"looks": absent_twice(behind=True)},
        {"looks": absent_twice(elder_closed_at=None)},
        {"looks": absent_twice(elder_closed_at=NOW)},
        {"looks": (a_look(Answer.ABSENT), a_look(Answer.ABSENT, server="https://else"))},
        {"looks": (a_look(Answer.ABSENT), a_look(Answer.ABSENT, mark=a_mark(closed_at=NOW - timedelta(hours=2))))},
        {"looks": (a_look(Answer.ABSENT), a_look(Answer.ABSENT), a_look(Answer.UNAVAILABLE))},
        {"frozen": "the ledger went back"},
    ],
    ids=[
        "canary",
        "none",
        "foreign",
        "behind",
        "retention unknown",
        "retention",
        "two servers",
        "early",
        "503",
        "frozen",
    ],
)
def test_each_condition_of_never_is_needed(changes: dict[str, object]) -> None:
    proved = a_picture(*absent_twice(), envelope=signed(max_time=EXPIRED))
    assert decide(proved).verdict is Verdict.FAILED
    assert decide(replace(proved, **changes)).verdict is not Verdict.FAILED  # type: ignore[arg-type]  # a table
