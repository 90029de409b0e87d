"""The page Integrity answers: do the books balance, and as of when?"""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import text

from dashboard import queries_integrity
from jobs.core.db import Database
from jobs.core.permissions import Right, Role, allowed
from jobs.core.settings import Settings
from jobs.integrity.model import Check
from tests.db.books import add_row, run_job
from tests.ui import money, seed
from tests.ui.desk import run_page, seen


def proved(db: Database, *, hours: float = 1) -> None:
    """Every check has looked at everything, so long ago."""
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.integrity_checks (name, as_of, looked_at, run_id)"
                " SELECT c, now() - make_interval(secs => :seconds), 1204, 7 FROM unnest(CAST(:checks AS text[])) AS c"
            ),
            {"seconds": hours * 3600, "checks": [check.value for check in Check]},
        )


def find(db: Database, check: Check, user: money.User | None = None, **values: object) -> None:
    """An open finding of three hours ago."""
    usual = {"subject": str(values), "expected": "12.5", "actual": "10", "difference": "-2.5", "sentence": "It differs"}
    row = usual | {"transaction_id": None, "account": None} | values
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.integrity_findings (check_name, subject, expected, actual, difference, sentence,"
                " transaction_id, account, user_id, found_run, seen_run, found_at) VALUES (:check, :subject, :expected,"
                " :actual, :difference, :sentence, :transaction_id, :account, :user, 7, 8, now() - interval '3 hours')"
            ),
            row | {"check": check.value, "user": user.id if user else None},
        )


@pytest.mark.parametrize("role", list(Role))
def test_it_is_there_for_every_role_and_the_buttons_for_those_who_may(
    db: Database, settings: Settings, role: Role
) -> None:
    page = run_page(db, settings, "integrity", seed.person(db, role))
    assert not page.exception
    assert not page.error
    labels = {button.label for button in page.button}
    jobs = {"Run verify-ledger", "Run sync-wallets", "Run audit-history"}
    assert labels & jobs == (jobs if allowed([role], Right.RUN_JOBS) else set())


def test_before_the_first_proof_nothing_is_green_and_it_says_what_will_come(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    said = seen(run_page(db, settings, "integrity", viewer))
    assert "The books have not been proved yet" in said
    assert "verify-ledger looks for them every 6 hours" in said
    assert "nx-chip nx-ok" not in said


def test_books_that_balance_say_so_with_their_age(db: Database, settings: Settings, viewer: UUID) -> None:
    proved(db)
    said = seen(run_page(db, settings, "integrity", viewer))
    assert "<h1>The books balance</h1>" in said
    assert "Proved as of" in said
    assert said.count("nx-chip nx-ok") == len(Check)
    assert "1,204 users" in said
    assert "Nothing differs." in said


def test_an_old_proof_is_no_green_light(db: Database, settings: Settings, viewer: UUID) -> None:
    proved(db, hours=25)
    said = seen(run_page(db, settings, "integrity", viewer))
    assert "Nobody has proved the books since" in said
    assert "no fresh proof" in said
    assert "no data since" in said
    assert said.count("nx-chip nx-ok") == 1  # the audit of the history, which comes once a month


def test_a_finding_names_what_whose_expected_actual_and_difference(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    proved(db)
    row = add_row(db, ada.id)
    find(db, Check.BALANCES, ada)
    find(db, Check.STATUSES, ada, transaction_id=row, expected="SUCCESS", actual="PENDING", difference=None)
    said = seen(run_page(db, settings, "integrity", viewer))
    assert "The books do not balance: 2 rows differ, the oldest since" in said
    assert "-2.50" in said
    assert ">success<" in said
    assert f'href="/transaction?id={row}"' in said
    assert 'href="/transactions?q=ada%40example.com"' in said
    assert 'href="/run?id=7"' in said


def test_drift_of_wallets_alone_leaves_the_books_balanced(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    proved(db)
    find(db, Check.WALLETS, ada, account=money.WALLET)
    page = run_page(db, settings, "integrity", viewer)
    said = seen(page)
    assert "<h1>The books balance</h1>" in said
    assert "1 wallet differs" in said
    assert f'href="/integrity?account={money.WALLET}"' in said
    assert len(page.get("plotly_chart")) == 1


def test_findings_are_narrowed_and_walked_by_key(
    db: Database, settings: Settings, viewer: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries_integrity, "PAGE", 2)
    proved(db)
    for number in range(3):
        find(db, Check.BALANCES, sentence=f"Balance {number}")
    find(db, Check.ENTRIES, sentence="Entry 0")
    said = seen(run_page(db, settings, "integrity", viewer))
    assert "Entry 0" in said
    assert "Balance 0" not in said
    said = seen(run_page(db, settings, "integrity", viewer, before="3"))
    assert "Balance 0" in said
    assert "Balance 2" not in said
    said = seen(run_page(db, settings, "integrity", viewer, check="Every balance is the sum of its entries"))
    assert "Entry 0" not in said
    assert "Balance 2" in said


def test_a_wallet_shows_both_sides_over_time(db: Database, settings: Settings, viewer: UUID, ada: money.User) -> None:
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.wallet_owners (user_id, address, account) VALUES (:id, :w, :w)"),
            {"id": ada.id, "w": money.WALLET},
        )
        conn.execute(
            text(
                "INSERT INTO ops.wallet_history (account, currency, asset_issuer, books, chain, in_motion, ledger, run_id)"
                " VALUES (:w, 'XLM', '', 12.5, 10, 1, 1234567, 9)"
            ),
            {"w": money.WALLET},
        )
    said = seen(run_page(db, settings, "integrity", viewer, account=money.WALLET))
    assert "Of ada@example.com" in said
    assert "-2.50" in said
    assert "1,234,567" in said
    assert "There is no such wallet" in seen(run_page(db, settings, "integrity", viewer, account="<script>"))


def test_the_audit_of_the_history_tells_how_far_it_is(db: Database, settings: Settings, viewer: UUID) -> None:
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.history_audits (seed, sample, total, confirmed, contradicted, unknown, started_run,"
                " last_run) VALUES (5, 1000, 1000, 240, 1, 9, 3, 4)"
            )
        )
    page = run_page(db, settings, "integrity", viewer)
    said = seen(page)
    assert "goes on from there" in said
    for words in ("240", "Contradicted", "Unknown"):
        assert words in said


def test_what_comes_from_the_tables_is_never_read_as_markup(db: Database, settings: Settings, viewer: UUID) -> None:
    find(db, Check.ENTRIES, sentence=money.SCRIPT, expected=money.SCRIPT, actual=money.SCRIPT)
    assert "<script" not in seen(run_page(db, settings, "integrity", viewer))


def test_a_real_proof_stands_on_the_page_and_on_the_overview(
    db: Database, settings: Settings, viewer: UUID, ada: money.User
) -> None:
    seed.living(db)
    with db.begin() as conn:
        conn.execute(text("INSERT INTO balances (user_id, currency, amount) VALUES (:id, 'XLM', 3)"), {"id": ada.id})
    run_job(db, settings, "verify-ledger")
    assert "A balance of 3 XLM has no entries" in seen(run_page(db, settings, "integrity", viewer))
    overview = seen(run_page(db, settings, "overview", viewer))
    assert "The books do not balance: 1 finding is open" in overview
    assert 'href="/integrity"' in overview
