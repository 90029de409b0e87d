"""The page Cases answers: what must a person decide, worth how much?"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard import queries_cases
from jobs.core.db import Database
from jobs.core.permissions import Right, Role, allowed
from jobs.core.settings import Settings
from jobs.reconcile.cases import resolve_case
from tests.db.books import add_row
from tests.ui import money, seed
from tests.ui.desk import run_page, seen

_CASE = re.compile(r">Case (\d+)</a>")


def listed(db: Database, settings: Settings, viewer: UUID, **query: str) -> list[int]:
    return [int(one) for one in _CASE.findall(seen(run_page(db, settings, "cases", viewer, **query)))]


def open_case(db: Database, ada: money.User, amount: int, hours: int, reason: str = "AMOUNT_MISMATCH") -> int:
    row = add_row(db, ada.id, amount=Decimal(amount))
    return money.add_case(db, row, reason, age=timedelta(hours=hours))


@pytest.mark.parametrize("role", list(Role))
def test_it_is_there_for_every_role_and_the_button_for_those_who_may(
    db: Database, settings: Settings, ada: money.User, role: Role
) -> None:
    number = open_case(db, ada, 250, 2)
    page = run_page(db, settings, "cases", seed.person(db, role), case=str(number))
    assert not page.exception
    assert not page.error
    assert f"Case {number}: the amount differs" in seen(page)
    assert bool(page.button) is allowed([role], Right.DECIDE_CASES)


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


def test_a_case_closes_by_a_word_and_the_transaction_stays(db: Database, settings: Settings, ada: money.User) -> None:
    number = open_case(db, ada, 250, 2)
    page = run_page(db, settings, "cases", seed.person(db, Role.ON_CALL), case=str(number))
    _press(page, "Close this case")
    said = seen(page)
    assert "no money moves" in said
    page.text_area[0].set_value("Agreed with the sender.")
    _press(page, "Close the case")
    with db.read() as conn:
        closed = conn.execute(text("SELECT resolved_by, resolution FROM ops.reconciliation_cases")).one()
        status = conn.execute(text("SELECT status FROM transactions")).scalar_one()
        audited = conn.execute(text("SELECT actor, reason, origin FROM ops.audit WHERE action = 'case.resolved'")).one()
    assert tuple(closed) == ("on-call@nexafx.test", "Agreed with the sender.")
    assert tuple(audited) == ("on-call@nexafx.test", "Agreed with the sender.", "dashboard")
    assert status == "PENDING"


def test_closed_cases_tell_who_decided_what(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    number = open_case(db, ada, 250, 2)
    with db.begin() as conn:
        resolve_case(conn, number, actor="grace@nexafx.com", resolution="The sender paid a fee on top.", origin="cli")
    said = seen(run_page(db, settings, "cases", viewer, order="Closed"))
    assert "grace@nexafx.com" in said
    assert "The sender paid a fee on top." in said
    assert listed(db, settings, viewer) == []


def _press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click()
    page.run()
