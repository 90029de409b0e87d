"""Which wallets there are, which of them are due, and what the books keep for their owners.

An address with an id of its own (`M…`) leads to an account that others share; which one it is no SQL can tell, so the
base account of every user is kept, and renewed where the user's address has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.core.db import Database, jsonb
from jobs.horizon.model import Holdings
from jobs.integrity.drift import Books, Compared
from jobs.integrity.model import Check
from jobs.reconcile.address import parse_address

_USERS = 5000


def refresh_owners(db: Database) -> int:
    """Brings the base accounts up to date with the users' addresses; how many addresses name no account."""
    while True:
        with db.begin() as conn:
            stale = conn.execute(text(_STALE), {"most": _USERS}).all()
            rows = [
                {
                    "user_id": row.id,
                    "address": row.address,
                    "account": address.account if (address := parse_address(row.address)) else None,
                }
                for row in stale
            ]
            if rows:
                conn.execute(text(_OWN), {"rows": jsonb(rows)})
                continue
            conn.execute(
                text(
                    "DELETE FROM ops.wallets w"
                    " WHERE NOT EXISTS (SELECT FROM ops.wallet_owners o WHERE o.account = w.account)"
                )
            )
            return int(conn.execute(text("SELECT count(*) FROM ops.wallet_owners WHERE account IS NULL")).scalar_one())


def due(conn: Connection, limit: int) -> list[str]:
    """The accounts to ask now, in their order."""
    return list(conn.execute(text(_DUE), {"limit": limit, "half": (limit + 1) // 2}).scalars())


def books_of(conn: Connection, accounts: Sequence[str], since: datetime) -> list[Books]:
    """What the books keep for the owners of these accounts, in one snapshot; recent is what changed after `since`."""
    rows = conn.execute(text(_BOOKS), {"accounts": list(accounts), "since": since})
    return [Books(**row._mapping) for row in rows]


def note(
    conn: Connection, holdings: Sequence[Holdings], compared: Sequence[Compared], *, server: str, run_id: int
) -> None:
    """Notes when the accounts were compared, and each pair that is not as it was the last time."""
    ledgers = [{"account": held.account, "ledger": held.ledger} for held in sorted(holdings, key=lambda h: h.account)]
    conn.execute(text(_COMPARED), {"rows": jsonb(ledgers), "server": server})
    pairs = [
        {
            "account": one.books.account,
            "currency": one.books.currency,
            "asset_issuer": one.books.asset_issuer,
            "books": one.books.amount,
            "chain": one.chain,
            "in_motion": one.in_motion,
            "ledger": one.ledger,
        }
        for one in compared
    ]
    conn.execute(text(_HISTORY), {"rows": jsonb(pairs), "run_id": run_id})


def resolve_gone(conn: Connection, run_id: int) -> int:
    """Closes the drift of what is no longer there to be compared; how many that were."""
    return conn.execute(text(_GONE), {"check": Check.WALLETS.value, "run_id": run_id}).rowcount


def compared_since(conn: Connection) -> tuple[datetime, int] | None:
    """Since when every wallet was compared at least once, and how many there are; None as long as one never was."""
    row = conn.execute(
        text(
            "SELECT coalesce(min(compared_at), now()) AS oldest, count(*) AS wallets, count(compared_at) AS compared"
            "  FROM ops.wallets"
        )
    ).one()
    return (row.oldest, row.wallets) if row.wallets == row.compared else None


_STALE = """
SELECT u.id, nullif(btrim(u.wallet_public_key), '') AS address
  FROM users u LEFT JOIN ops.wallet_owners o ON o.user_id = u.id
 WHERE nullif(btrim(u.wallet_public_key), '') IS DISTINCT FROM o.address
 LIMIT :most
"""

_OWN = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset(:rows) AS g(user_id uuid, address text, account text)
), gone AS (
    DELETE FROM ops.wallet_owners o USING given g WHERE o.user_id = g.user_id AND g.address IS NULL
), named AS (
    INSERT INTO ops.wallets (account) SELECT DISTINCT account FROM given WHERE account IS NOT NULL ORDER BY account
        ON CONFLICT DO NOTHING
)
INSERT INTO ops.wallet_owners (user_id, address, account)
SELECT user_id, address, account FROM given WHERE address IS NOT NULL ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET address = excluded.address, account = excluded.account
"""

_DUE = """
WITH moved AS (
    SELECT w.account, 0 AS turn, w.compared_at FROM ops.wallets w
     WHERE w.account IN (SELECT o.account FROM ops.wallet_owners o JOIN balances b ON b.user_id = o.user_id
                          WHERE b.updated_at > w.compared_at)
     ORDER BY w.compared_at, w.account LIMIT :half
), waiting AS (
    SELECT account, 1 AS turn, compared_at FROM ops.wallets ORDER BY compared_at NULLS FIRST, account LIMIT :limit
)
SELECT account FROM (SELECT * FROM moved UNION ALL SELECT * FROM waiting) AS turns
 GROUP BY account ORDER BY min(turn), min(compared_at) NULLS FIRST, account LIMIT :limit
"""

_BOOKS = """
WITH owners AS MATERIALIZED (
    SELECT account, user_id FROM ops.wallet_owners WHERE account = ANY(CAST(:accounts AS text[]))
), kept AS (
    SELECT o.account, b.currency, b.asset_issuer, sum(b.amount) AS amount, count(*) AS users,
           CASE count(*) WHEN 1 THEN CAST(min(CAST(o.user_id AS text)) AS uuid) END AS user_id
      FROM owners o JOIN balances b ON b.user_id = o.user_id GROUP BY o.account, b.currency, b.asset_issuer
), moving AS (
    SELECT o.account, t.currency, coalesce(t.asset_issuer, '') AS asset_issuer,
           sum(t.amount) FILTER (WHERE t.status = 'PENDING') AS pending,
           sum(t.amount) FILTER (WHERE t.status <> 'PENDING') AS recent
      FROM owners o JOIN transactions t ON t.user_id = o.user_id
     WHERE t.status = 'PENDING' OR t.updated_at >= :since
     GROUP BY o.account, t.currency, coalesce(t.asset_issuer, '')
)
SELECT k.account, k.currency, k.asset_issuer, k.amount, coalesce(m.pending, 0) AS pending,
       coalesce(m.recent, 0) AS recent, k.users, k.user_id
  FROM kept k LEFT JOIN moving m USING (account, currency, asset_issuer)
 ORDER BY k.account, k.currency, k.asset_issuer
"""

_COMPARED = """
UPDATE ops.wallets w SET compared_at = now(), ledger = g.ledger, server = :server
  FROM jsonb_to_recordset(:rows) AS g(account text, ledger bigint)
 WHERE w.account = g.account
"""

_HISTORY = """
INSERT INTO ops.wallet_history (account, currency, asset_issuer, books, chain, in_motion, ledger, run_id)
SELECT g.account, g.currency, g.asset_issuer, g.books, g.chain, g.in_motion, g.ledger, :run_id
  FROM jsonb_to_recordset(:rows) AS g(account text, currency text, asset_issuer text, books numeric, chain numeric,
                                      in_motion numeric, ledger bigint)
  LEFT JOIN LATERAL (SELECT books, chain FROM ops.wallet_history h
                      WHERE h.account = g.account AND h.currency = g.currency AND h.asset_issuer = g.asset_issuer
                      ORDER BY h.id DESC LIMIT 1) AS last ON true
 WHERE (last.books, last.chain) IS DISTINCT FROM (g.books, g.chain)
"""

_GONE = """
UPDATE ops.integrity_findings f SET resolved_at = now(), resolved_run = :run_id
 WHERE f.check_name = :check AND f.resolved_at IS NULL
   AND NOT EXISTS (SELECT FROM ops.wallet_owners o JOIN balances b ON b.user_id = o.user_id
                    WHERE o.account = f.account AND b.currency = f.currency AND b.asset_issuer = f.asset_issuer)
"""
