"""Whatever a server answers, money moves only on proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from jobs.horizon.model import Address, Answer, Asset, Memo, SignedEnvelope, Watermark
from jobs.reconcile.picture import AccountState, Look, Picture, Verdict
from jobs.reconcile.rules import decide
from tests.unit.pictures import (
    HASH,
    NOW,
    OTHER,
    OUTER,
    SERVER,
    STRANGER,
    USER,
    XLM,
    a_look,
    a_payment,
    a_row,
    found,
    included,
)

NOT_PROOF = [answer for answer in Answer if answer is not Answer.FOUND]
marks = st.builds(
    Watermark,
    server=st.sampled_from([SERVER, "https://else"]),
    ledger=st.integers(1, 5000),
    closed_at=st.integers(-3000, 3000).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    elder_ledger=st.just(1),
    elder_closed_at=st.none() | st.integers(-3000, 0).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    behind=st.booleans(),
)
envelopes = st.builds(
    SignedEnvelope,
    hashes=st.sampled_from([(HASH,), (OUTER, HASH), (OUTER,)]),
    source=st.sampled_from(["GSOURCE", "GOTHER"]),
    sequence=st.integers(1, 100),
    max_time=st.just(0) | st.integers(-3000, 3000).map(lambda minutes: int(NOW.timestamp()) + minutes * 60),
    max_ledger=st.just(0) | st.integers(1, 5000),
)
accounts = st.builds(
    AccountState,
    server=st.sampled_from([SERVER, "https://else"]),
    account=st.just("GSOURCE"),
    sequence=st.integers(1, 100),
    ledger=st.integers(1, 5000),
)
empty_looks = st.lists(
    st.builds(a_look, answer=st.sampled_from(NOT_PROOF), asked=st.sampled_from([HASH, OUTER]), mark=marks), max_size=6
).map(tuple)


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    return Picture(
        row=a_row(
            status=draw(st.sampled_from(["PENDING", "FAILED"])),
            type=draw(st.sampled_from(["DEPOSIT", "WITHDRAW"])),
            created_at=NOW - timedelta(minutes=draw(st.integers(0, 4000))),
            tx_hash=draw(st.sampled_from([HASH, OUTER, None, "zz"])),
        ),
        now=NOW,
        looks=draw(empty_looks),
        canary=draw(st.booleans()),
        frozen=draw(st.none() | st.just("another network")),
        envelope=draw(st.none() | envelopes),
        account=draw(st.none() | accounts),
        account_asked=draw(st.booleans()),
    )


@given(pictures())
def test_no_sequence_of_answers_without_an_inclusion_ever_succeeds(picture: Picture) -> None:
    assert decide(picture).verdict is not Verdict.SUCCESS


@given(pictures())
def test_a_failure_without_an_inclusion_has_every_part_of_its_proof(picture: Picture) -> None:
    if decide(picture).verdict is not Verdict.FAILED:
        return
    envelope = picture.envelope
    assert picture.frozen is None
    assert picture.canary
    assert envelope is not None
    assert picture.row.hash in envelope.hashes
    assert picture.row.status == "PENDING"
    for look in picture.looks:
        mark = look.watermark
        assert look.lookup.answer is Answer.ABSENT
        assert look.lookup.server == mark.server
        assert not mark.behind
        assert mark.elder_closed_at is not None
        assert mark.elder_closed_at <= picture.row.created_at

    def shown(look: Look) -> bool:
        mark, account = look.watermark, picture.account
        return (
            (envelope.max_time != 0 and mark.closed_at.timestamp() > envelope.max_time)
            or (envelope.max_ledger != 0 and mark.ledger >= envelope.max_ledger - 1)
            or (
                account is not None
                and (account.account, account.server) == (envelope.source, mark.server)
                and account.sequence >= envelope.sequence
                and account.ledger <= mark.ledger
            )
        )

    for hash_ in envelope.hashes:
        assert sum(look.lookup.asked == hash_ and shown(look) for look in picture.looks) >= 2


@given(pictures(), st.integers(-3, 3), st.booleans())
def test_a_payment_that_differs_by_a_stroop_never_settles(picture: Picture, stroops: int, proved: bool) -> None:
    transaction = included(a_payment(received=105_000_000 + stroops), hash_proved=proved)
    fuller = Picture(picture.row, NOW, (*picture.looks, found(transaction)), canary=picture.canary)
    if decide(fuller).verdict is Verdict.SUCCESS:
        assert stroops == 0
        assert proved
        assert picture.row.hash == HASH


@given(st.integers(1, 6), st.integers(1, 6), st.permutations(range(6)))
def test_any_number_of_rows_on_one_hash_are_paid_once_each_operation(
    rows: int, operations: int, order: list[int]
) -> None:
    claimants = [a_row(number + 1, created_at=NOW - timedelta(minutes=10 + order[number])) for number in range(rows)]
    transaction = included(*(a_payment(index) for index in range(operations)))
    paid = [
        decide(
            Picture(row, NOW, (found(transaction),), siblings=tuple(other for other in claimants if other is not row))
        ).operation
        for row in claimants
    ]
    taken = [operation for operation in paid if operation is not None]
    assert len(taken) == len(set(taken)) == min(rows, operations)


# Servers that lie, contradict themselves or answer about something else ----------------------------------------

defects = st.sampled_from(
    [
        {"hash_proved": False},
        {"canonical": OTHER, "asked": OTHER},
        {"operations": (a_payment(destination=STRANGER),)},
        {"operations": (a_payment(destination=Address(USER.account, 0)),)},
        {"operations": (a_payment(asset=XLM),)},
        {"operations": (a_payment(asset=Asset("USDC", "GOTHER")),)},
        {"operations": (a_payment(received=105_000_001),)},
        {"operations": (a_payment(received=None, offered=105_000_000, claimants=(USER.account,)),)},
        {"operations": (a_payment(received=52_500_000), a_payment(1, received=52_500_000))},
        {"memo": Memo("text", "another"), "row": {"memo_type": "text", "memo": "order 1"}},
        {"claims": {0: UUID(int=9)}},
        {"frozen": "another network"},
    ]
)


@given(pictures(), defects)
def test_no_inclusion_with_a_single_defect_ever_credits_anybody(
    picture: Picture, defect: dict[str, dict[str, object]]
) -> None:
    of_row = defect.get("row", {})
    of_picture = {name: defect[name] for name in ("claims", "frozen") if name in defect}
    of_chain = {
        name: defect[name] for name in ("hash_proved", "canonical", "asked", "operations", "memo") if name in defect
    }
    look = found(replace(included(), **of_chain))  # type: ignore[arg-type]  # a table of changes
    row = replace(picture.row, tx_hash=HASH, **of_row)  # type: ignore[arg-type]
    fuller = replace(picture, row=row, looks=(*picture.looks, look), **of_picture)  # type: ignore[arg-type]
    assert decide(fuller).verdict is not Verdict.SUCCESS


@given(pictures(), st.sampled_from([answer for answer in NOT_PROOF if answer is not Answer.ABSENT]), marks)
def test_one_more_answer_that_proves_nothing_never_moves_money(
    picture: Picture, answer: Answer, mark: Watermark
) -> None:
    moved = (Verdict.SUCCESS, Verdict.FAILED)
    if decide(picture).verdict in moved:
        return
    for asked in (HASH, OUTER, OTHER):
        more = replace(picture, looks=(*picture.looks, a_look(answer, asked, mark)))
        assert decide(more).verdict not in moved


@given(pictures(), st.integers(0, 10_000))
def test_the_clock_alone_never_moves_money(picture: Picture, hours: int) -> None:
    later = decide(replace(picture, now=NOW + timedelta(hours=hours)))
    earlier = decide(picture)
    for verdict in (Verdict.SUCCESS, Verdict.FAILED):
        assert (later.verdict is verdict) == (earlier.verdict is verdict)


@given(pictures())
def test_two_answers_that_contradict_each_other_move_nothing(picture: Picture) -> None:
    row = replace(picture.row, tx_hash=HASH)
    both = (found(included()), found(included(successful=False)))
    for looks in (both, both[::-1]):
        decision = decide(replace(picture, row=row, looks=(*picture.looks, *looks)))
        assert decision.verdict not in (Verdict.SUCCESS, Verdict.FAILED)
