"""sync-wallets: what a wallet holds beside what the books say; silence and motion are no drift, and nothing moves."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from jobs.horizon.sandbox.server import SandboxServer
from jobs.horizon.sandbox.wallet import Wallet, asset, muxed
from jobs.run.store import RunRow
from tests.db.books import add_row, add_user, everything, fund, run_job, value

JOB = "sync-wallets"
PAYER = Wallet.named("payer")
WALLET = Wallet.named("user").address
ISSUER = Wallet.named("issuer").address
LONG_AGO = timedelta(days=3)


def owner(db: Database, amount: str, wallet: str = WALLET, currency: str = "XLM", issuer: str = "") -> UUID:
    """A user who, by the books, has so much since long ago."""
    user = add_user(db, wallet)
    with db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO balances (user_id, currency, asset_issuer, amount) VALUES (:user, :currency, :issuer, :a)"
            ),
            {"user": user, "currency": currency, "issuer": issuer, "a": Decimal(amount)},
        )
    return user


def sync(db: Database, horizon: Settings, **params: object) -> RunRow:
    run = run_job(db, horizon, JOB, **params)
    assert run.state == "succeeded", run.error
    return run


def open_drift(db: Database) -> list[tuple[str, str, str, str]]:
    """Currency, books, chain and difference of everything that is open."""
    with db.read() as conn:
        rows = conn.execute(
            text(
                "SELECT currency, expected, actual, trim_scale(difference)::text FROM ops.integrity_findings"
                " WHERE check_name = 'wallets' AND resolved_at IS NULL ORDER BY subject"
            )
        )
        return [tuple(row) for row in rows]


def test_wallets_that_hold_what_the_books_say_are_no_finding(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    sandbox.ledger.fund(WALLET, "12.3456789", {asset("USDC", ISSUER): "7.5"})
    user = owner(db, "12.3456789")
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO balances (user_id, currency, asset_issuer, amount) VALUES (:user, 'USDC', :issuer, 7.5)"),
            {"user": user, "issuer": ISSUER},
        )
    run = sync(db, horizon)
    assert (run.counters["wallets"], run.counters["findings"]) == (1, 0)
    assert value(db, "SELECT as_of = (SELECT min(compared_at) FROM ops.wallets) FROM ops.integrity_checks") is True


def test_drift_tells_books_chain_and_difference_and_changes_neither(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    sandbox.ledger.fund(WALLET, 10, {asset("USDC", ISSUER): 5})
    owner(db, "12.5")
    before = everything(db)
    run = sync(db, horizon)
    assert run.counters["new"] == 1
    assert open_drift(db) == [("XLM", "12.5", "10", "-2.5")]
    assert value(db, "SELECT sentence FROM ops.integrity_findings") == (
        "The wallet holds 2.5 XLM less than the books say"
    )
    assert everything(db) == before


def test_drift_keeps_its_age_and_its_history_and_ends_when_both_agree(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    owner(db, "12.5")
    for native in (10, 10, 11, "12.5"):
        sandbox.ledger.fund(WALLET, native)
        run = sync(db, horizon)
    assert run.counters["resolved"] == 1
    assert open_drift(db) == []
    assert value(db, "SELECT count(*) FROM ops.integrity_findings") == 1
    with db.read() as conn:
        history = conn.execute(text("SELECT trim_scale(chain)::text FROM ops.wallet_history ORDER BY id")).scalars()
        assert list(history) == ["10", "11", "12.5"]


def test_what_is_pending_explains_that_a_wallet_holds_more_and_no_more_than_itself(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = owner(db, "12")
    add_row(db, user, amount=Decimal(3))
    sandbox.ledger.fund(WALLET, 15)
    assert sync(db, horizon).counters["findings"] == 0
    sandbox.ledger.fund(WALLET, "15.0000001")
    sync(db, horizon)
    assert open_drift(db) == [("XLM", "12", "15.0000001", "3.0000001")]


def test_money_that_is_missing_is_explained_by_nothing_that_is_pending(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = owner(db, "12")
    add_row(db, user, amount=Decimal(3))
    sandbox.ledger.fund(WALLET, "11.9")
    sync(db, horizon)
    assert open_drift(db) == [("XLM", "12", "11.9", "-0.1")]


def test_drift_that_a_new_deposit_might_explain_is_not_over_before_both_sides_agree(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = owner(db, "12")
    sandbox.ledger.fund(WALLET, 15)
    assert sync(db, horizon).counters["new"] == 1
    add_row(db, user, amount=Decimal(3))
    assert sync(db, horizon).counters["resolved"] == 0
    sandbox.ledger.fund(WALLET, 12)
    assert sync(db, horizon).counters["resolved"] == 1


def test_what_was_settled_a_moment_ago_may_not_be_on_the_chain_that_was_read(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = add_user(db, WALLET)
    fund(db, user, Decimal(4))
    young = add_row(db, user, amount=Decimal(4), status="SUCCESS", age=timedelta(seconds=5))
    sandbox.ledger.fund(WALLET, 0)
    assert sync(db, horizon).counters["findings"] == 0
    with db.begin() as conn:
        conn.execute(
            text("UPDATE transactions SET updated_at = now() - interval '5 minutes' WHERE id = :i"), {"i": young}
        )
    assert sync(db, horizon).counters["findings"] == 1


def test_users_of_one_base_account_are_compared_by_their_sum(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    for number, amount in enumerate(("1", "2", "3.5")):
        owner(db, amount, wallet=muxed(WALLET, number))
    sandbox.ledger.fund(WALLET, "6.5")
    run = sync(db, horizon)
    assert (run.counters["wallets"], run.counters["findings"]) == (1, 0)
    sandbox.ledger.fund(WALLET, 6)
    sync(db, horizon)
    assert value(db, "SELECT sentence FROM ops.integrity_findings") == (
        "The wallet that 3 users share holds 0.5 XLM less than the books say"
    )


def test_a_wallet_that_does_not_exist_holds_nothing(db: Database, horizon: Settings) -> None:
    owner(db, "2")
    owner(db, "0", wallet=Wallet.named("new").address)
    assert sync(db, horizon).counters["wallets"] == 2
    assert open_drift(db) == [("XLM", "2", "0", "-2")]


def test_a_404_of_a_server_that_does_not_know_its_own_transactions_is_no_answer(
    db: Database, horizon: Settings
) -> None:
    owner(db, "2")
    with pytest.MonkeyPatch.context() as patch:

        async def unknown(_horizon: object) -> bool:
            return False

        patch.setattr("jobs.horizon.client.Horizon.canary", unknown)
        run = sync(db, horizon)
    assert (run.counters["wallets"], run.counters["unanswered"], run.counters["findings"]) == (0, 1, 0)


def test_a_currency_that_is_on_no_chain_and_assets_that_the_books_do_not_keep_are_not_compared(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    owner(db, "100", currency="EUR")
    sandbox.ledger.fund(WALLET, 55, {asset("SPAM", ISSUER): 1_000_000})
    assert sync(db, horizon).counters["findings"] == 0


def test_a_tolerance_forgives_fees(db: Database, horizon: Settings, sandbox: SandboxServer) -> None:
    owner(db, "2")
    sandbox.ledger.fund(WALLET, "1.99999")
    assert sync(db, horizon, tolerance="0.00001").counters["findings"] == 0
    assert sync(db, horizon, tolerance="0.000009").counters["findings"] == 1


def test_a_server_that_does_not_answer_leads_to_no_finding(db: Database, settings: Settings) -> None:
    owner(db, "2")
    run = run_job(db, settings.model_copy(update={"horizon_attempts": 1}), JOB)
    assert run.state == "failed"
    assert open_drift(db) == []
    assert value(db, "SELECT count(*) FROM ops.integrity_checks") == 0


def test_the_limit_lets_those_that_moved_come_first_and_the_others_take_turns(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    wallets = [Wallet.named(f"turn {number}").address for number in range(6)]
    users = [owner(db, "1", wallet=wallet) for wallet in wallets]
    for wallet in wallets:
        sandbox.ledger.fund(wallet, 1)
    for _ in range(3):
        assert value(db, "SELECT count(*) FROM ops.integrity_checks") == 0
        run = sync(db, horizon, limit=2)
        assert run.counters["wallets"] == 2
        assert run.counters["requests"] <= 2 + 6
    assert value(db, "SELECT count(compared_at) FROM ops.wallets") == 6
    with db.begin() as conn:
        conn.execute(text("UPDATE balances SET updated_at = now() WHERE user_id = ANY(:ids)"), {"ids": users[3:]})
    oldest = value(db, "SELECT account FROM ops.wallets ORDER BY compared_at, account LIMIT 1")
    before = value(db, "SELECT now()")
    sync(db, horizon, limit=2)
    with db.read() as conn:
        asked = set(
            conn.execute(text("SELECT account FROM ops.wallets WHERE compared_at > :b"), {"b": before}).scalars()
        )
    assert oldest in asked
    assert asked & set(wallets[3:])


def test_a_wallet_that_nobody_owns_any_more_drifts_no_more(
    db: Database, horizon: Settings, sandbox: SandboxServer
) -> None:
    user = owner(db, "2")
    assert sync(db, horizon).counters["findings"] == 1
    sandbox.ledger.fund(Wallet.named("new").address, 2)
    with db.begin() as conn:
        conn.execute(
            text("UPDATE users SET wallet_public_key = :new WHERE id = :id"),
            {"new": Wallet.named("new").address, "id": user},
        )
    assert sync(db, horizon).counters["resolved"] == 1
    assert value(db, "SELECT count(*) FROM ops.wallets") == 1


def test_addresses_that_name_no_account_are_counted_and_not_asked_for(db: Database, horizon: Settings) -> None:
    owner(db, "2", wallet="GNOBODY")
    owner(db, "2", wallet="  ")
    run = sync(db, horizon)
    assert (run.counters["malformed"], run.counters["wallets"]) == (1, 0)


def test_a_dry_run_tells_and_keeps_nothing(db: Database, horizon: Settings) -> None:
    owner(db, "2")
    run = run_job(db, horizon, JOB, dry_run=True)
    assert run.counters["findings"] == 1
    assert open_drift(db) == []
    assert value(db, "SELECT count(*) FROM ops.wallet_history") == 0
