"""cleanup-reconciliation: what is done and old goes, what is unresolved stays whatever its age."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.db.books import add_row, run_job, value

CLEANUP = "cleanup-reconciliation"
NAMES = ("events", "looks", "findings", "wallets")


def test_what_is_done_goes_with_age_and_what_is_unresolved_never(db: Database, settings: Settings, user: UUID) -> None:
    settled, pending, disputed, young = (
        add_row(db, user, status=status, type="DEPOSIT") for status in ("SUCCESS", "PENDING", "FAILED", "SUCCESS")
    )
    with db.begin() as conn:
        for row, age in ((settled, "500 days"), (pending, "500 days"), (disputed, "500 days"), (young, "399 days")):
            conn.execute(
                text(
                    "INSERT INTO ops.checks (transaction_id, outcome, detail, last_at)"
                    " VALUES (:row, 'absent', '', now() - CAST(:age AS interval));"
                ),
                {"row": row, "age": age},
            )
            conn.execute(
                text(
                    "INSERT INTO ops.looks (transaction_id, outcome, server, times, first_at, last_at, detail)"
                    " VALUES (:row, 'timeout', '', 1, now() - CAST(:age AS interval), now() - CAST(:age AS interval), '')"
                ),
                {"row": row, "age": age},
            )
        conn.execute(
            text(
                "INSERT INTO ops.reconciliation_cases (transaction_id, reason, details) VALUES (:row, 'REFUND_SPENT', '{}')"
            ),
            {"row": disputed},
        )
        conn.execute(
            text(
                "INSERT INTO ops.outbox (kind, transaction_id, payload, sent_at, dead_at) VALUES"
                " ('delivered', :row, '{}', now() - interval '91 days', NULL),"
                " ('delivered lately', :row, '{}', now() - interval '89 days', NULL),"
                " ('given up', :row, '{}', NULL, now() - interval '900 days')"
            ),
            {"row": settled},
        )
        conn.execute(
            text(
                "INSERT INTO ops.integrity_findings (check_name, subject, account, currency, asset_issuer, expected, actual,"
                "   sentence, found_run, seen_run, found_at, resolved_at) VALUES"
                " ('wallets', 'old', 'GA', 'XLM', '', '', '', '', 1, 1, now() - interval '900 days', now() - interval '500 days'),"
                " ('wallets', 'young', 'GA', 'XLM', '', '', '', '', 1, 1, now() - interval '900 days', now()),"
                " ('wallets', 'open', 'GB', 'XLM', '', '', '', '', 1, 1, now() - interval '900 days', NULL)"
            )
        )
        conn.execute(
            text(
                "INSERT INTO ops.wallet_history (account, currency, asset_issuer, at, books, chain, in_motion, ledger, run_id)"
                " SELECT account, 'XLM', '', now() - make_interval(days => days), days, days, 0, 1, 1"
                " FROM (VALUES ('GA'), ('GB')) AS a(account), (VALUES (900), (800), (500), (10)) AS d(days)"
            )
        )
    expected = {"events": 1, "looks": 2, "findings": 1, "wallets": 2}
    dry = run_job(db, settings, CLEANUP, dry_run=True)
    assert {name: dry.counters[name] for name in NAMES} == expected
    run = run_job(db, settings, CLEANUP)
    assert (run.state, {name: run.counters[name] for name in NAMES}) == ("succeeded", expected)
    assert value(db, "SELECT array_agg(kind ORDER BY id) FROM ops.outbox") == ["delivered lately", "given up"]
    for table in ("checks", "looks"):
        kept = value(db, f"SELECT array_agg(transaction_id) FROM ops.{table}")
        assert isinstance(kept, list)
        assert set(kept) == {pending, disputed, young}
    assert value(db, "SELECT array_agg(subject ORDER BY id) FROM ops.integrity_findings") == ["young", "open"]
    assert value(db, "SELECT array_agg(books ORDER BY id) FROM ops.wallet_history WHERE account = 'GA'") == [500, 10]
    assert value(db, "SELECT count(*) FROM ops.wallet_history WHERE account = 'GB'") == 4
    assert {name: run_job(db, settings, CLEANUP).counters[name] for name in NAMES} == dict.fromkeys(NAMES, 0)
