"""The money of a filled desk: transactions with what settling leaves of them, cases, findings. Statements by sets.

A year of transactions at even distances; the newest still wait, as after some hours without Horizon. The books, decisions,
claims, notifications, events and audit rows are those of the newest tenth: no page looks for them by anything but a key.
"""

from __future__ import annotations

USERS = """
WITH made AS (
    INSERT INTO users (email, wallet_public_key, created_at)
    SELECT 'user' || n || '@example.com', 'G' || upper(left(encode(sha256(CAST('w' || n AS bytea)), 'hex'), 55)), CAST(:since AS timestamptz)
      FROM generate_series(1, CAST(:users AS integer)) AS n RETURNING id)
INSERT INTO bench_users SELECT row_number() OVER (), id FROM made
"""

TRANSACTIONS = """
INSERT INTO transactions (user_id, type, amount, currency, asset_issuer, status, tx_hash, destination, memo_type, memo,
                          failure_reason, created_at, updated_at)
SELECT u.id, s.type, 1 + s.n * 7919 % 500000 / 100.0, s.currency,
       CASE WHEN s.currency <> 'XLM' THEN rpad('GISSUER', 56, 'A') END, s.status,
       encode(sha256(CAST(CAST(s.n AS text) AS bytea)), 'hex'), CASE WHEN s.type <> 'DEPOSIT' THEN rpad('G', 56, 'A') END,
       'id', CAST(s.n AS text), CASE s.status WHEN 'FAILED' THEN 'op_underfunded: the account had too little' END, s.at,
       s.at + CASE s.status WHEN 'PENDING' THEN interval '0' ELSE interval '95 s' END
  FROM (SELECT n, CAST(:now AS timestamptz) - (CAST(:transactions AS bigint) - n) * CAST(:step AS interval) AS at,
               CASE WHEN n > CAST(:transactions AS bigint) - :pending THEN 'PENDING' WHEN n % 37 = 0 THEN 'FAILED'
                    WHEN n % 211 = 0 THEN 'CANCELLED' ELSE 'SUCCESS' END AS status,
               (ARRAY['DEPOSIT', 'DEPOSIT', 'WITHDRAW', 'DEPOSIT', 'WITHDRAW', 'SWAP', 'DEPOSIT'])[1 + n % 7] AS type,
               (ARRAY['XLM', 'XLM', 'USDC', 'XLM', 'USDC', 'EURC'])[1 + n % 6] AS currency
          FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS n) AS s
  JOIN bench_users u ON u.n = 1 + s.n * 31 % :users
"""

LEDGER = """
INSERT INTO ledger_entries (transaction_id, kind, account_type, user_id, direction, amount, currency, asset_issuer,
                            created_at)
SELECT t.id, CASE t.type WHEN 'DEPOSIT' THEN 'DEPOSIT_CREDIT' ELSE 'WITHDRAW_DEBIT' END, leg.account,
       CASE leg.account WHEN 'USER' THEN t.user_id END,
       CASE WHEN (t.type = 'DEPOSIT') = (leg.account = 'USER') THEN 'CREDIT' ELSE 'DEBIT' END,
       t.amount, t.currency, coalesce(t.asset_issuer, ''), t.updated_at
  FROM (SELECT * FROM transactions WHERE status = 'SUCCESS' AND created_at > :recent ORDER BY created_at) AS t
 CROSS JOIN (VALUES ('USER'), ('PLATFORM_ASSET')) AS leg (account)
"""

BALANCES = """
INSERT INTO balances (user_id, currency, asset_issuer, amount)
SELECT user_id, currency, asset_issuer,
       greatest(0, sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END))
  FROM ledger_entries WHERE account_type = 'USER' GROUP BY 1, 2, 3
"""

# Decided by the newest runs, some hundred rows each.
DECISIONS = """
INSERT INTO ops.decisions (run_id, transaction_id, at, dry_run, verdict, reason, proof)
SELECT r.ids[1 + t.n % cardinality(r.ids)], t.id, t.updated_at, false, 'success', 'The chain has it.',
       jsonb_build_object('ledger', 50000000 + t.n, 'hash', t.tx_hash, 'server', CAST(:server AS text), 'amount', t.amount)
  FROM (SELECT *, row_number() OVER (ORDER BY created_at) AS n FROM transactions WHERE status = 'SUCCESS' AND created_at > :recent) AS t,
       (SELECT array_agg(id ORDER BY id) AS ids FROM (
            SELECT id FROM ops.runs WHERE job = 'reconcile-pending' AND state = 'succeeded' ORDER BY id DESC LIMIT 2000) AS n) AS r
"""
CLAIMS = """
INSERT INTO ops.claims (network, tx_hash, operation_index, transaction_id, claimed_at)
SELECT 'bench', tx_hash, 0, id, updated_at FROM transactions WHERE status = 'SUCCESS' AND created_at > :recent
"""
NOTIFICATIONS = """
INSERT INTO notifications (user_id, type, title, message, status, related_id, created_at, read_at)
SELECT user_id, 'TRANSACTION', 'Deposit confirmed', 'Your deposit of ' || trim_scale(amount) || ' ' || currency
       || ' has been confirmed', 'READ', id, updated_at, updated_at FROM transactions WHERE status = 'SUCCESS' AND created_at > :recent
"""
EVENTS = """
INSERT INTO ops.outbox (kind, transaction_id, payload, created_at, sent_at, attempts)
SELECT 'transaction.succeeded', id, jsonb_build_object('id', id, 'amount', amount), updated_at, updated_at, 1
  FROM transactions WHERE status = 'SUCCESS' AND created_at > :recent ORDER BY created_at
"""
CHECKS = """
INSERT INTO ops.checks (transaction_id, attempts, first_at, last_at, next_at, outcome, detail, server, times)
SELECT id, 3, created_at, now(), now(), 'absent', 'Horizon does not know the hash yet.', :server, 3
  FROM transactions WHERE status = 'PENDING'
"""
# What settling and people wrote, in the order of its time.
AUDIT = """
INSERT INTO ops.audit (at, actor, action, entity, entity_id, old, new, reason, origin)
SELECT at, actor, action, entity, entity_id, old, new, reason, origin FROM (
    SELECT updated_at AS at, 'run:' || (1 + random() * 1000)::integer AS actor, 'transaction.settled' AS action,
           'transaction' AS entity, CAST(id AS text) AS entity_id, CAST('{"status": "PENDING"}' AS jsonb) AS old,
           CAST('{"status": "SUCCESS"}' AS jsonb) AS new, CAST(NULL AS text) AS reason, 'job' AS origin
      FROM transactions WHERE status = 'SUCCESS' AND created_at > :recent
    UNION ALL
    SELECT CAST(:now AS timestamptz) - n * (CAST(:now AS timestamptz) - CAST(:since AS timestamptz)) / (10 * :days), 'person' || n % :people || '@nexafx.test',
           (ARRAY['flag.set', 'schedule.paused', 'schedule.resumed', 'case.decided', 'item.ticked'])[1 + n % 5],
           (ARRAY['flag', 'schedule', 'schedule', 'case', 'item'])[1 + n % 5],
           CASE n % 5 WHEN 0 THEN 'enableRetry' WHEN 1 THEN 'reconcile-pending' ELSE CAST(n AS text) END,
           jsonb_build_object('value', n % 2 = 0), jsonb_build_object('value', n % 2 = 1), 'as agreed this morning', 'dashboard'
      FROM generate_series(1, 10 * CAST(:days AS integer)) AS n) AS rows
 ORDER BY at
"""

# A tenth of what waits, at most 250, needs a person; some thousands were decided.
CASES = """
INSERT INTO ops.reconciliation_cases (transaction_id, reason, details, opened_at, resolved_at, resolved_by, resolution,
                                      decision)
SELECT id, (ARRAY['AMOUNT_MISMATCH', 'MEMO_MISMATCH', 'NO_HASH', 'EXPIRED_UNPROVEN'])[1 + n % 4],
       jsonb_build_object('expected', jsonb_build_object('amount', amount), 'found', jsonb_build_object('amount', amount - 0.5),
                          'server', CAST(:server AS text)),
       created_at + interval '1 hour', CASE WHEN status <> 'PENDING' THEN created_at + interval '5 hours' END,
       CASE WHEN status <> 'PENDING' THEN 'person1@nexafx.test' END,
       CASE WHEN status <> 'PENDING' THEN 'The customer was called.' END,
       CASE WHEN status <> 'PENDING' THEN 'accepted' END
  FROM (SELECT *, row_number() OVER (PARTITION BY status ORDER BY created_at) AS n FROM (
          (SELECT * FROM transactions WHERE status = 'PENDING' ORDER BY created_at LIMIT least(250, greatest(3, :pending / 10)))
          UNION ALL
          (SELECT * FROM transactions WHERE status = 'FAILED' ORDER BY created_at DESC LIMIT :pending)) AS found) AS t
 ORDER BY created_at
"""

INTEGRITY = (
    """
INSERT INTO ops.integrity_checks (name, as_of, looked_at, run_id)
SELECT name, now(), :transactions, 1 FROM unnest(CAST(:checks AS text[])) AS c (name)
""",
    """
INSERT INTO ops.wallet_owners (user_id, address, account)
SELECT id, wallet_public_key, wallet_public_key FROM users
""",
    """
INSERT INTO ops.wallets (account, compared_at, ledger, server) SELECT account, now(), 50000000, :server FROM ops.wallet_owners
""",
    """
INSERT INTO ops.wallet_history (account, currency, asset_issuer, at, books, chain, in_motion, ledger, run_id)
SELECT account, 'XLM', '', CAST(:now AS timestamptz) - n * interval '1 hour', 10 * n, 10 * n, 0, 50000000 - n, 1
  FROM generate_series(10, 1, -1) AS n CROSS JOIN (SELECT account FROM ops.wallets LIMIT 20000) AS w
""",
    """
INSERT INTO ops.integrity_findings (check_name, subject, account, currency, asset_issuer, expected, actual, difference,
                                    sentence, found_at, found_run, seen_run, resolved_at, resolved_run)
SELECT 'wallets', 'wallet ' || n, account, 'XLM', '', '10', '9.5', -0.5, 'The chain holds 0.5 XLM less than the books.',
       CAST(:now AS timestamptz) - n * interval '4 hours', 1, 1,
       CASE WHEN n > 20 THEN CAST(:now AS timestamptz) - n * interval '4 hours' + interval '3 hours' END,
       CASE WHEN n > 20 THEN 1 END
  FROM (SELECT account, row_number() OVER () AS n FROM ops.wallets LIMIT least(2000, 6 * :days)) AS w
""",
    """
INSERT INTO ops.history_audits (seed, total, confirmed, started_at, started_run, last_run, finished_at)
SELECT n, :transactions, :transactions, CAST(:now AS timestamptz) - n * interval '30 days', 1, 1,
       CAST(:now AS timestamptz) - n * interval '30 days' + interval '2 hours' FROM generate_series(12, 1, -1) AS n
""",
)
