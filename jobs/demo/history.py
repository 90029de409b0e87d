"""Half a day that the demo pretends to have behind it, so that every page has something to show from the first minute.

Settled transactions with their books, runs and probes as the engine would have left them. Written once, into a demo
database only, in one transaction, by sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Customer:
    """A user of the exchange: an address for mail and a wallet."""

    email: str
    wallet: str


_USERS = """
INSERT INTO users (email, wallet_public_key, created_at)
SELECT email, wallet, now() - interval '1 day' - random() * interval '90 days'
FROM unnest(CAST(:emails AS text[]), CAST(:wallets AS text[])) AS u (email, wallet)
ON CONFLICT (email) DO NOTHING
"""

# Settled deposits of the last half a day: the row, both legs, the notification. The balance comes from the legs afterwards.
# The sandbox's chain knows nothing of them: a day after they were made the audit of the history would say so.
_DEPOSITS = """
WITH picked AS (
    SELECT u.id AS user_id, now() - interval '10 minutes' - random() * interval '12 hours' AS at,
           round((20 + random() * 4000)::numeric, 2) AS amount, n,
           CASE WHEN random() < 0.55 THEN 'XLM' ELSE 'USDC' END AS currency
    FROM users u CROSS JOIN generate_series(1, :each) AS n
), settled AS (
    INSERT INTO transactions (user_id, type, amount, currency, asset_issuer, status, tx_hash, memo_type, created_at,
                              updated_at)
    SELECT user_id, 'DEPOSIT', amount, currency, CASE currency WHEN 'USDC' THEN :issuer END, 'SUCCESS',
           encode(sha256((user_id::text || n || 'demo')::bytea), 'hex'), 'none', at, at + random() * interval '2 minutes'
    FROM picked
    RETURNING id, user_id, amount, currency, asset_issuer, updated_at
), legs AS (
    INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency, asset_issuer,
                                created_at)
    SELECT id, 'DEPOSIT_CREDIT', leg.account_type, CASE leg.account_type WHEN 'USER' THEN user_id END, leg.direction,
           amount, currency, coalesce(asset_issuer, ''), updated_at
    FROM settled CROSS JOIN (VALUES ('USER', 'CREDIT'), ('PLATFORM_ASSET', 'DEBIT')) AS leg (account_type, direction)
)
INSERT INTO notifications (user_id, type, title, message, status, related_id, created_at, read_at)
SELECT user_id, 'TRANSACTION', 'Deposit confirmed',
       'Your deposit of ' || trim_scale(amount) || ' ' || currency || ' has been confirmed', 'READ', id, updated_at,
       updated_at + interval '5 minutes'
FROM settled
"""

_BALANCES = """
INSERT INTO balances (user_id, currency, asset_issuer, amount)
SELECT user_id, currency, asset_issuer, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END)
FROM ledger_entries WHERE account_type = 'USER' GROUP BY 1, 2, 3
ON CONFLICT (user_id, currency, asset_issuer) DO UPDATE SET amount = excluded.amount
"""

# One run a slot of each job over the last hours; now and then one failed, as on a real day.
_RUNS = """
INSERT INTO ops.runs (job, schedule, slot, trigger, triggered_by, state, attempt, host, queued_at, started_at,
                      finished_at, counters, error_class, error)
SELECT job, job, slot, 'schedule', 'system', CASE WHEN bad THEN 'failed' ELSE 'succeeded' END, 1, 'demo', slot,
       slot + interval '80 ms', slot + interval '80 ms' + took,
       CASE job WHEN 'reconcile-pending' THEN jsonb_build_object('seen', seen, 'settled', CASE WHEN bad THEN 0 ELSE seen END,
                                                                 'requests', seen + 3)
                ELSE '{}'::jsonb END,
       CASE WHEN bad THEN 'TransientError' END,
       CASE WHEN bad THEN 'Horizon answered 503 (still_ingesting) to the first request: nothing was settled.' END
FROM (
    SELECT plan.job, slot, random() < plan.failing AS bad, (5 + random() * 40)::int AS seen,
           plan.took_ms * (0.6 + random()) * interval '1 ms' AS took
    FROM (VALUES ('reconcile-pending', 120, 50, 900.0, 0.04), ('retry-failed', 300, 50, 300.0, 0.02),
                 ('probe-horizon', 15, 50, 60.0, 0.0), ('cleanup-notifications', 86400, 1, 140.0, 0.0))
         AS plan (job, seconds, runs, took_ms, failing)
    CROSS JOIN LATERAL (
        SELECT to_timestamp((floor(extract(epoch FROM now()) / plan.seconds) - n) * plan.seconds) AS slot
        FROM generate_series(1, plan.runs) AS n
    ) AS slots
) AS day
ORDER BY slot
ON CONFLICT DO NOTHING
"""

_SAMPLES = """
INSERT INTO ops.horizon_samples (server, at, verdict, latency_ms, age_s, lag, latest_ledger, closed_at, elder_ledger,
                                 core_ledger, ingest_ledger, passphrase, protocol, supported_protocol, horizon_version,
                                 database_connected, core_up, core_synced, capacity_usage, fee_p50, fee_p95, max_fee_p95)
SELECT :server, at, 'ok', 3 + random() * 9 + CASE WHEN random() < 0.03 THEN random() * 180 ELSE 0 END, random() * 5.2, 0,
       ledger, at - random() * interval '5 s', ledger - 17280, ledger, ledger, :passphrase, 23, 23, 'sandbox',
       true, true, true, 0.1 + random() * 0.5, 100, 100 + (random() * 300)::int, 1000 + (random() * 4000)::int
FROM (SELECT at, :ledger - (extract(epoch FROM now() - at) / 5)::bigint AS ledger
      FROM generate_series(now() - interval '3 hours', now() - interval '15 s', interval '15 s') AS at) AS samples
ON CONFLICT DO NOTHING
"""

# In a demo nobody waits two minutes to see a deposit settle, or a month to see the history audited.
_HURRY = """
UPDATE ops.schedules s SET expression = hurried.expression, updated_at = now(), version = version + 1
  FROM (VALUES ('reconcile-pending', '15'), ('verify-ledger', '60'), ('sync-wallets', '30'),
               ('audit-history', '*/5 * * * *')) AS hurried (name, expression)
 WHERE s.name = hurried.name
"""


def write_history(
    conn: Connection,
    customers: Sequence[Customer],
    *,
    issuer: str,
    server: str,
    passphrase: str,
    ledger: int,
    deposits_each: int = 6,
) -> None:
    """Writes it into a database without users, and nothing into another. Ledger is the sandbox's latest."""
    if conn.execute(text("SELECT EXISTS (SELECT 1 FROM users)")).scalar_one():
        return
    conn.execute(text("SELECT setseed(0.5)"))  # the same day in every demo, with its failures
    conn.execute(
        text(_USERS),
        {"emails": [one.email for one in customers], "wallets": [one.wallet for one in customers]},
    )
    conn.execute(text(_DEPOSITS), {"each": deposits_each, "issuer": issuer})
    conn.execute(text(_BALANCES))
    conn.execute(text(_RUNS))
    conn.execute(text(_SAMPLES), {"server": server, "passphrase": passphrase, "ledger": ledger})
    conn.execute(text(_HURRY))
