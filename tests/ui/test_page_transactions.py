"""The page Transactions answers: where is this deposit?"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import event

from dashboard import queries_money
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.db.books import add_row
from tests.ui import money, seed
from tests.ui.desk import run_page, seen

_ID = re.compile(r'href="/transaction\?id=([0-9a-f-]{36})"')


def found(db: Database, settings: Settings, viewer: UUID, **query: str) -> list[UUID]:
    """The transactions that the page lists, in its order."""
    return [UUID(one) for one in _ID.findall(seen(run_page(db, settings, "transactions", viewer, **query)))]


@pytest.mark.parametrize("role", list(Role))
def test_it_is_there_for_every_role(db: Database, settings: Settings, ada: money.User, role: Role) -> None:
    add_row(db, ada.id)
    page = run_page(db, settings, "transactions", seed.person(db, role))
    assert not page.exception
    assert not page.error
    assert "1 transaction waits for the chain" in seen(page)


def test_without_a_session_nothing_is_said(db: Database, settings: Settings, ada: money.User) -> None:
    add_row(db, ada.id)
    assert "ada@example.com" not in seen(run_page(db, settings, "transactions", None))


def test_an_empty_desk_says_what_will_stand_here(db: Database, settings: Settings, viewer: UUID) -> None:
    assert "What users deposit and withdraw stands here" in seen(run_page(db, settings, "transactions", viewer))


def test_newest_first_whatever_the_status(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    rows = [
        add_row(db, ada.id, age=timedelta(minutes=minutes), status=status)
        for minutes, status in ((30, "SUCCESS"), (20, "PENDING"), (10, "FAILED"), (5, "CANCELLED"))
    ]
    assert found(db, settings, viewer) == rows[::-1]


def test_a_row_tells_amount_state_and_last_look(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id, amount=Decimal("1250.50000000"))
    money.add_check(db, row)
    said = seen(run_page(db, settings, "transactions", viewer))
    assert "1,250.50<span" in said
    assert "Horizon does not list it yet" in said
    assert "3 tries" in said
    assert "ada@example.com" in said
    assert "nx-wait" in said
    assert "<span>pending</span>" in said


def test_an_open_case_stands_beside_the_state_and_leads_to_it(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    number = money.add_case(db, add_row(db, ada.id))
    assert f'href="/cases?case={number}"' in seen(run_page(db, settings, "transactions", viewer))


def test_a_failure_is_told_in_words(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    add_row(db, ada.id, status="FAILED", failure_reason="tx_failed (op_underfunded)")
    said = seen(run_page(db, settings, "transactions", viewer))
    assert "The sender had too little" in said
    assert "op_underfunded" not in said


def test_pending_money_stands_on_top_by_currency(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    for amount in ("10", "2.5"):
        add_row(db, ada.id, amount=Decimal(amount), age=timedelta(minutes=7))
    said = seen(run_page(db, settings, "transactions", viewer))
    assert "12.50<span" in said
    assert "2 waiting" in said
    assert "7 min ago" in said


def test_the_address_filters(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    old = add_row(db, ada.id, age=timedelta(days=2), currency="EURC")
    young = add_row(db, ada.id, status="SUCCESS", type="WITHDRAW")
    assert found(db, settings, viewer, status="PENDING") == [old]
    assert found(db, settings, viewer, type="Withdrawal") == [young]
    assert found(db, settings, viewer, currency="EURC") == [old]
    assert found(db, settings, viewer, age="Last hour") == [young]
    assert found(db, settings, viewer, age="Older than 24 hours") == [old]
    assert found(db, settings, viewer, status="PENDING", age="Last hour") == []


def test_everything_a_user_may_quote_finds_it(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    row = add_row(db, ada.id, tx_hash="AB" * 32, memo_type="text", memo="NX 77/b", destination="GEXTERNAL")
    stranger = money.add_user(db, "eve@example.com", None)
    add_row(db, stranger.id)
    for quoted in (
        str(row),
        str(row)[:8],
        str(row)[:12],
        "ab" * 32,
        "abababab",
        "ADA@example.com",
        "ada@",
        "ada",
        "NX 77/b",
        money.WALLET,
        "GEXTERNAL",
    ):
        assert found(db, settings, viewer, q=quoted) == [row], quoted


def test_what_is_not_found_is_said_in_words_and_stays_text(db: Database, settings: Settings, viewer: UUID) -> None:
    said = seen(run_page(db, settings, "transactions", viewer, q=money.SCRIPT))
    assert "Nothing found for" in said
    assert "<script" not in said


def test_markup_in_what_users_write_is_text(db: Database, settings: Settings, viewer: UUID) -> None:
    mallory = money.add_user(db, f"{money.SCRIPT}@example.com", None)
    add_row(db, mallory.id, status="FAILED", failure_reason=money.SCRIPT)
    said = seen(run_page(db, settings, "transactions", viewer))
    assert "&lt;script&gt;" in said
    assert "<script" not in said


def test_pages_go_on_by_key_and_miss_nothing(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_money, "PAGE", 3)
    rows = [add_row(db, ada.id, age=timedelta(minutes=minutes)) for minutes in (1, 2, 3, 4, 4, 5, 6)]
    first = found(db, settings, viewer)
    second = found(db, settings, viewer, before=str(first[-1]))
    third = found(db, settings, viewer, before=str(second[-1]))
    assert sorted([*first, *second, *third]) == sorted(rows)
    assert [len(first), len(second), len(third)] == [3, 3, 1]


def test_what_no_index_knows_is_looked_for_in_stretches(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_money, "REACH", 2)
    kept = add_row(db, ada.id, age=timedelta(hours=5), currency="EURC")
    for minutes in (10, 20, 30):
        add_row(db, ada.id, age=timedelta(minutes=minutes))
    said = seen(run_page(db, settings, "transactions", viewer, currency="EURC"))
    assert _ID.findall(said) == []
    assert "looked for back to" in said
    onward = re.search(r"before=([0-9a-f-]{36})", said)
    assert onward is not None
    assert found(db, settings, viewer, currency="EURC", before=onward[1]) == [kept]


def test_an_odd_key_in_the_address_is_the_first_page(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    row = add_row(db, ada.id)
    assert found(db, settings, viewer, before="x' OR 1=1") == [row]
    assert found(db, settings, viewer, before=str(UUID(int=7))) == [row]


def test_the_number_of_statements_does_not_grow_with_the_rows(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    def statements() -> int:
        asked: list[str] = []
        listener = lambda conn, cursor, statement, *rest: asked.append(statement)
        event.listen(db.engine, "before_cursor_execute", listener)
        run_page(db, settings, "transactions", viewer)
        event.remove(db.engine, "before_cursor_execute", listener)
        return len(asked)

    add_row(db, ada.id)
    few = statements()
    for _ in range(20):
        money.add_check(db, add_row(db, ada.id))
    assert statements() == few


def test_every_currency_that_waits_is_offered_and_those_of_the_newest_that_ended(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_money, "_OFFERED", 1)
    for status in ("PENDING", "SUCCESS"):
        for currency, days in (("ARST" if status == "PENDING" else "BRLT", 3), ("XLM", 1)):
            add_row(db, ada.id, status=status, currency=currency, age=timedelta(days=days))
    add_row(db, ada.id, status="FAILED", currency="EURC")
    page = run_page(db, settings, "transactions", viewer)
    assert page.selectbox(key="currency").options == ["ARST", "EURC", "XLM"]
