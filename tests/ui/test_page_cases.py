"""The page Cases answers: what must a person decide, worth how much?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import text
from stellar_sdk import Payment
from streamlit.testing.v1 import AppTest

from dashboard import queries_cases
from dashboard.components import case_orders
from dashboard.components.case_words import read_hashes
from dashboard.desk import open_desk
from jobs.core.csv_file import cell, csv_file
from jobs.core.db import Database
from jobs.core.errors import UsageError
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import XLM, Wallet
from tests.db.books import add_row, assert_books_balance, balance_of, run_job, status_of
from tests.ui import money, seed
from tests.ui.desk import run_page, seen

_CASE = re.compile(r">Case (\d+)</a>")


def listed(db: Database, settings: Settings, viewer: UUID, **query: str) -> list[int]:
    return [int(one) for one in _CASE.findall(seen(run_page(db, settings, "cases", viewer, **query)))]


def open_case(db: Database, ada: money.User, amount: int, hours: int, reason: str = "AMOUNT_MISMATCH") -> int:
    row = add_row(db, ada.id, amount=Decimal(amount))
    return money.add_case(db, row, reason, age=timedelta(hours=hours))


WAIT, ALL = "Keep waiting", ["Accept as found", "Link to another hash", "Keep waiting"]
SHOWN = {Role.ON_CALL: [WAIT], Role.DEVOPS: ALL, Role.ADMINISTRATOR: ALL}


@pytest.mark.parametrize("role", list(Role))
def test_it_is_there_for_every_role_and_the_buttons_for_those_who_may(
    db: Database, settings: Settings, ada: money.User, role: Role
) -> None:
    number = open_case(db, ada, 250, 2)
    page = run_page(db, settings, "cases", seed.person(db, role), case=str(number))
    assert not page.exception
    assert not page.error
    assert f"Case {number}: the amount differs" in seen(page)
    assert [button.label for button in page.button] == SHOWN.get(role, [])


def test_nothing_to_decide_is_said_in_words(db: Database, settings: Settings, viewer: UUID) -> None:
    said = seen(run_page(db, settings, "cases", viewer))
    assert "No case is open" in said
    assert "closes by itself when proof arrives" in said


def test_oldest_first_or_dearest_first_in_each_currency(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    small_old, dear, small_young = open_case(db, ada, 10, 30), open_case(db, ada, 900, 20), open_case(db, ada, 20, 1)
    assert listed(db, settings, viewer) == [small_old, dear, small_young]
    assert listed(db, settings, viewer, order="Dearest") == [dear, small_young, small_old]


def test_reason_and_age_filter(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    old, young = open_case(db, ada, 10, 30, "NO_HASH"), open_case(db, ada, 10, 2)
    assert listed(db, settings, viewer, reason="No hash was ever saved") == [old]
    assert listed(db, settings, viewer, age="Older than 24 hours") == [old]
    assert listed(db, settings, viewer, reason="The amount differs") == [young]


def test_the_money_at_stake_counts_a_transaction_once(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, amount=Decimal(250))
    money.add_case(db, row)
    money.add_case(db, row, "MEMO_MISMATCH")
    said = seen(run_page(db, settings, "cases", viewer))
    assert "2 cases wait for a decision" in said
    assert "250.00<span" in said
    assert "1 transaction, oldest" in said


def test_expected_stands_beside_found_and_what_differs_is_marked(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    open_case(db, ada, 250, 2)
    said = seen(run_page(db, settings, "cases", viewer))
    assert '<span class="nx-differs">250.00</span>' in said
    assert '<span class="nx-differs">200.00</span>' in said
    assert "50.00 less" in said


@pytest.mark.parametrize(
    "details",
    [
        {},
        [],
        "a text",
        7,
        {"expected": 5, "found": "absent"},
        {"expected": {"amount": "many"}, "found": {"operations": "none"}},
        {"expected": {"amount": "NaN", "memo": {"x": 1}}, "found": {"operations": [{"received": "Infinity"}]}},
        {"expected": {}, "found": {"operations": [1, 2]}, "sentence": 5, "closed_at": "yesterday", "ledger": "x"},
        {"expected": {"destination": "G"}, "found": {"operations": []}, "server": None},
        {"found": {"operations": [{"destination": "A"}, {"destination": "B"}]}},
    ],
)
def test_details_of_any_shape_are_shown(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, details: object
) -> None:
    row = add_row(db, ada.id)
    number = money.add_case(db, row, details=details)
    for page, query in (("cases", {}), ("cases", {"case": str(number)}), ("transaction", {"id": str(row)})):
        shown = run_page(db, settings, page, viewer, **query)
        assert not shown.exception
        assert not shown.error, [error.value for error in shown.error]


def test_markup_in_details_is_text_and_an_envelope_is_not_shown(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    secret = "AAAAAgAAAAC" + "x" * 100
    details = money.MISMATCH | {"note": money.SCRIPT, "envelope_xdr": secret, "answer": secret}
    number = money.add_case(db, add_row(db, ada.id), money.SCRIPT, details=details)
    said = seen(run_page(db, settings, "cases", viewer, case=str(number)))
    assert "<script" not in said
    assert "&lt;script&gt;" in said
    assert secret not in said


@pytest.mark.parametrize("given", ["0", "x", "99999999999999999999999", "<script>"])
def test_a_wrong_number_is_a_sentence(db: Database, settings: Settings, viewer: UUID, given: str) -> None:
    page = run_page(db, settings, "cases", viewer, case=given)
    assert not page.exception
    assert "There is no such case" in seen(page)


def test_pages_go_on_by_key_in_every_order(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_cases, "PAGE", 2)
    numbers = [open_case(db, ada, amount, hours) for amount, hours in ((5, 9), (50, 3), (50, 7), (1, 8), (9, 1))]
    for order in ("Oldest", "Dearest"):
        pages: list[int] = []
        query = {"order": order}
        while found := listed(db, settings, viewer, **query):
            pages += found
            query["before"] = str(found[-1])
        assert sorted(pages) == sorted(numbers), order


def test_filters_hold_together_and_say_what_fits(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    grace = money.add_user(db, "grace@example.com")
    small, dear, other = open_case(db, ada, 10, 3), open_case(db, ada, 900, 2), open_case(db, grace, 500, 1)
    assert listed(db, settings, viewer, least="500") == [dear, other]
    assert listed(db, settings, viewer, q="grace@") == [other]
    assert listed(db, settings, viewer, q=str(small)) == [small]
    assert listed(db, settings, viewer, q="ada", least="1,000") == []
    assert listed(db, settings, viewer, type="Withdrawal") == []
    assert listed(db, settings, viewer, currency="USDC") == []
    said = seen(run_page(db, settings, "cases", viewer, q="ada@example.com"))
    assert "2 fit: 910.00 XLM" in said
    page = run_page(db, settings, "cases", viewer, least="many")
    assert "no amount" in page.warning[0].value
    assert not page.exception


def test_waiting_closes_the_case_until_a_time_and_the_transaction_stays(
    db: Database, settings: Settings, ada: money.User
) -> None:
    number = open_case(db, ada, 250, 2)
    page = run_page(db, settings, "cases", seed.person(db, Role.ON_CALL), case=str(number))
    _press(page, "Keep waiting")
    assert "no money moves" in seen(page)
    page.text_area[0].set_value("Agreed with the sender.")
    _press(page, "Close until then")
    assert f"Case {number} waits until" in page.success[0].value
    with db.read() as conn:
        closed = conn.execute(
            text("SELECT resolved_by, decision, quiet_until - now() AS still FROM ops.reconciliation_cases")
        ).one()
        audited = conn.execute(text("SELECT actor, reason, origin FROM ops.audit WHERE action = 'case.resolved'")).one()
        status = conn.execute(text("SELECT status FROM transactions")).scalar_one()
    assert (closed.resolved_by, closed.decision) == ("on-call@nexafx.test", "waiting")
    assert timedelta(hours=23) < closed.still <= timedelta(hours=24)
    assert tuple(audited) == ("on-call@nexafx.test", "Agreed with the sender.", "dashboard")
    assert status == "PENDING"
    said = seen(run_page(db, settings, "cases", seed.person(db, Role.VIEWER), order="Closed"))
    assert "Waits until" in said
    assert "Agreed with the sender." in said


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def differing(db: Database, settings: Settings, sandbox: SandboxServer, amounts: list[int]) -> list[UUID]:
    """Deposits of 10.5 XLM that arrived with these amounts, with their cases."""
    payer, user = Wallet.named("payer"), Wallet.named("user")
    ada = money.add_user(db, wallet=user.address)
    envelopes = [payer.payment(user.address, amount) for amount in amounts]
    rows = [add_row(db, ada.id, tx_hash=envelope.hash_hex()) for envelope in envelopes]
    sandbox.ledger.include(envelopes)
    run_job(db, settings)
    return rows


def test_accepting_names_the_amount_that_is_credited_and_credits_it(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,)})
    row, _ = differing(db, settings, sandbox, [10, 11])
    devops = seed.person(db, Role.DEVOPS)
    (number,) = listed(db, settings, devops, q=str(row))
    page = run_page(db, settings, "cases", devops, case=str(number))
    _press(page, "Accept as found")
    assert "What arrived, 10.00 XLM, is credited to the user and replaces the 10.50 XLM in the row." in seen(page)
    _press(page, "Accept what arrived")
    assert status_of(db, row) == "PENDING", "without a reason nothing is decided"
    page = run_page(db, settings, "cases", devops, case=str(number))
    _press(page, "Accept as found")
    page.text_area[0].set_value("The user mistyped it.")
    _press(page, "Accept what arrived")
    assert "SUCCESS" in page.success[0].value
    assert status_of(db, row) == "SUCCESS"
    assert_books_balance(db)
    told = seen(run_page(db, settings, "transaction", devops, id=str(row)))
    assert "Accepted as it was found" in told
    assert "The user mistyped it." in told
    assert "amount 10.50 → 10.00" in told
    assert 'Deposit of <span class="nx-num">10.50' in told


def test_many_are_decided_each_on_its_own_and_what_is_refused_is_listed_with_its_reason(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,)})
    rows = differing(db, settings, sandbox, [10, 11, 12])
    devops = seed.person(db, Role.DEVOPS)
    assert not any("(3)" in button.label for button in run_page(db, settings, "cases", devops).button)
    page = run_page(db, settings, "cases", devops, several="true")
    _press(page, "Accept as found (3)")
    assert "3 cases over 31.50 XLM" in seen(page)
    assert "33.00 XLM are credited" in seen(page)
    page.text_area[0].set_value("Agreed with the sender.")
    with db.begin() as conn:  # somebody mends one before the button is pressed
        conn.execute(text("UPDATE transactions SET memo = 'x', updated_at = now() WHERE id = :id"), {"id": rows[1]})
    _press(page, "Accept what arrived")
    assert "2 of 3 cases are decided, 1 refused." in page.warning[0].value
    assert "has changed since you looked" in seen(page)
    assert [status_of(db, row) for row in rows] == ["SUCCESS", "PENDING", "SUCCESS"]
    with db.read() as conn:
        user = conn.execute(text("SELECT id FROM users")).scalar_one()
    assert balance_of(db, user) == 22
    assert_books_balance(db)


def test_of_two_equal_payments_the_dialog_lets_the_person_choose(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,)})
    payer, user = Wallet.named("payer"), Wallet.named("user")
    ada = money.add_user(db, wallet=user.address)
    envelope = payer.transaction(*[Payment(user.address, XLM, "10.5")] * 2)
    row = add_row(db, ada.id, tx_hash=envelope.hash_hex(), memo_type="text", memo="order 7")
    sandbox.ledger.include([envelope])
    run_job(db, settings)
    devops = seed.person(db, Role.DEVOPS)
    (number,) = listed(db, settings, devops, q=str(row))
    page = run_page(db, settings, "cases", devops, case=str(number))
    _press(page, "Accept as found")
    which = next(box for box in page.selectbox if box.label == "Which of the equal payments")
    assert which.options == ["Operation 1: 10.50 XLM", "Operation 2: 10.50 XLM"]
    which.set_value(1)
    page.text_area[0].set_value("The sender says it was the second.")
    _press(page, "Accept what arrived")
    assert "SUCCESS" in page.success[0].value
    with db.read() as conn:
        assert conn.execute(text("SELECT operation_index FROM ops.claims")).scalar_one() == 1


def test_many_are_linked_each_to_its_own_hash_and_both_lists_say_what_became_of_them(
    db: Database, settings: Settings, sandbox: SandboxServer
) -> None:
    settings = settings.model_copy(update={"horizon_urls": (sandbox.url,)})
    payer, user = Wallet.named("payer"), Wallet.named("user")
    ada = money.add_user(db, wallet=user.address)
    rows = [add_row(db, ada.id, tx_hash=None, age=timedelta(hours=2)) for _ in range(2)]
    envelope = payer.payment(user.address, "10.5")
    sandbox.ledger.include([envelope])
    run_job(db, settings)
    devops = seed.person(db, Role.DEVOPS)
    numbers = listed(db, settings, devops)
    page = run_page(db, settings, "cases", devops, several="true")
    _press(page, "Link to another hash (2)")
    hashes, why = page.text_area
    why.set_value("From the wallet's own records.")
    hashes.set_value(f"{numbers[0]} {envelope.hash_hex()}\n{numbers[1]}, {'ab' * 32}")
    _press(page, "Use the other hash")
    assert "1 of 2 cases are decided, 1 refused." in page.warning[0].value
    said = seen(page)
    assert "The next look will say: Included" in said
    assert "does not show the other transaction as included" in said
    run_job(db, settings)
    assert sorted(status_of(db, row) for row in rows) == ["PENDING", "SUCCESS"]


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("", "Name at least one"),
        (f"7 {'a' * 63}", "is not the number of a case"),
        (f"seven {'a' * 64}", "is not the number of a case"),
        (f"7 {'g' * 64}", "is not the number of a case"),
        (f"9 {'a' * 64}", "Case 9 is not among those chosen"),
        (f"7 {'a' * 64}\n7 {'b' * 64}", "Case 7 stands there twice"),
    ],
)
def test_a_line_that_names_no_case_and_hash_is_refused_as_it_stands(given: str, refused: str) -> None:
    case = cast("queries_cases.Case", SimpleNamespace(id=7))
    with pytest.raises(UsageError, match=refused):
        read_hashes(given, [case])
    assert read_hashes(f"\n #7;{'A' * 64} \n", [case]) == {7: "a" * 64}


def test_an_order_that_was_left_is_not_carried_out_later(
    db: Database, settings: Settings, ada: money.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = open_case(db, ada, 250, 2)
    page = run_page(db, settings, "cases", seed.person(db, Role.DEVOPS), case=str(number))
    _press(page, "Keep waiting")
    page.text_area[0].set_value("Agreed with the sender.")
    monkeypatch.setattr(case_orders, "_LEFT_S", -1.0)
    _press(page, "Close until then")
    assert "the page was left" in page.error[0].value
    assert listed(db, settings, seed.person(db, Role.VIEWER)) == [number]


def test_a_horizon_that_is_away_is_said_and_nothing_changes(db: Database, settings: Settings, ada: money.User) -> None:
    number = open_case(db, ada, 250, 2)
    page = run_page(db, settings, "cases", seed.person(db, Role.DEVOPS), case=str(number))
    _press(page, "Accept as found")
    page.text_area[0].set_value("Agreed with the sender.")
    _press(page, "Accept what arrived")
    assert page.error[0].value
    assert not page.success
    assert listed(db, settings, seed.person(db, Role.VIEWER)) == [number]


def test_the_file_holds_what_fits_and_no_cell_of_it_is_a_formula(
    db: Database, settings: Settings, ada: money.User
) -> None:
    eve = money.add_user(db, "=cmd|' /C calc'!A0@example.com")
    open_desk(settings, db)
    numbers = [open_case(db, eve, 250, 3), open_case(db, ada, 900, 2)]
    with db.read() as conn:
        fitting = list(queries_cases.all_cases(conn, queries_cases.Order.OLDEST, queries_cases.Filters()))
        dear = list(
            queries_cases.all_cases(conn, queries_cases.Order.OLDEST, queries_cases.Filters(least=Decimal(500)))
        )
    assert [case.id for case in fitting] == numbers
    assert [case.id for case in dear] == numbers[1:]
    written = csv_file(("user", "amount"), [(case.email, -case.amount) for case in fitting]).decode("utf-8-sig")
    assert written.splitlines() == [
        "user,amount",
        "'=cmd|' /C calc'!A0@example.com,-250.00000000",
        "ada@example.com,-900.00000000",
    ]


@pytest.mark.parametrize("text_", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1"])
def test_a_text_that_looks_like_a_formula_is_defused(text_: str) -> None:
    assert cell(text_) == f"'{text_}"
    assert cell("plain") == "plain"


def _press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()


def test_every_currency_of_an_open_case_is_offered_and_those_of_closed_ones(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    for currency, age in (("ARST", 9), ("EURC", 8)):
        money.add_case(db, add_row(db, ada.id, currency=currency), age=timedelta(days=age))
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.reconciliation_cases SET resolved_at = now(), resolved_by = 'ada', resolution = 'x'"
                          " WHERE id = (SELECT max(id) FROM ops.reconciliation_cases)"))  # fmt: skip
        # Far more cases are younger than the first one.
        conn.execute(
            text(
                "WITH many AS (INSERT INTO transactions (user_id, type, amount, currency)"
                " SELECT :user, 'DEPOSIT', 1, 'XLM' FROM generate_series(1, 400) RETURNING id)"
                " INSERT INTO ops.reconciliation_cases (transaction_id, reason, details)"
                " SELECT id, 'AMOUNT_MISMATCH', '{}' FROM many"
            ),
            {"user": ada.id},
        )
    page = run_page(db, settings, "cases", viewer)
    assert page.selectbox(key="currency").options == ["ARST", "EURC", "XLM"]
