"""Pages show a row that nobody foresaw, and everything beside it: a broken row must not hide the money of others."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.db.books import add_row
from tests.ui import money
from tests.ui.desk import run_page, seen

SPOILT = [
    "user_id = NULL",
    "type = NULL",
    "amount = NULL",
    "amount = 'NaN'",
    "currency = NULL",
    "created_at = 'infinity'",
    "created_at = '-infinity'",
    "created_at = NULL",
]


@pytest.mark.parametrize("change", SPOILT)
def test_an_odd_row_is_on_every_page_with_its_case(
    db: Database, settings: Settings, viewer: UUID, ada: money.User, change: str
) -> None:
    row = add_row(db, ada.id)
    number = money.add_case(db, row, "ODD_ROW", details={"sentence": "The row cannot be right."})
    with db.begin() as conn:
        conn.execute(
            text(
                "ALTER TABLE transactions ALTER COLUMN user_id DROP NOT NULL, ALTER COLUMN type DROP NOT NULL,"
                " ALTER COLUMN amount DROP NOT NULL, ALTER COLUMN currency DROP NOT NULL,"
                " ALTER COLUMN created_at DROP NOT NULL"
            )
        )
        conn.execute(text(f"UPDATE transactions SET {change}"))
    pages = {
        name: run_page(db, settings, name, viewer, **query)
        for name, query in (
            ("overview", {}), ("cases", {}), ("transactions", {}), ("transaction", {"id": str(row)}),
        )
    }  # fmt: skip
    one = run_page(db, settings, "cases", viewer, case=str(number))
    for name, page in (*pages.items(), ("case", one)):
        assert not page.exception, name
        assert not page.error, name
    assert "The row itself cannot be right" in seen(pages["cases"])
    assert "Mend the row in the application" in seen(one)
    assert "the row itself cannot be right" in seen(pages["transaction"])
