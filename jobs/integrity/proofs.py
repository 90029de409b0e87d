"""What must hold in the books, each as one statement that returns the rows for which it does not.

Every statement compares sources that are written apart: a balance with the entries, an entry with its transaction, a
status with the decision and the claim that led to it. It looks at one range of ids (`:first` to `:last`) or one part
of the hashes (`:part` of `:parts`), in one snapshot, and returns the columns of a finding.

Ranges of transactions follow the ledger's own key, so each is an index scan, and every subquery repeats the range: a
planner that preferred to hash the whole ledger would do so for each of them. No index of the application leads from a
user to the entries, so ranges of users are large: each of them is one sequential scan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobs.integrity.model import Check

_SIGNED = "CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END"

_DOUBLE_ENTRY = f"""
SELECT transaction_id || ' ' || kind || ' ' || currency || ' ' || asset_issuer AS subject, transaction_id,
       CAST(min(CAST(user_id AS text)) AS uuid) AS user_id, CAST(NULL AS text) AS account, currency, asset_issuer,
       '0' AS expected, trim_scale(sum({_SIGNED}))::text AS actual, sum({_SIGNED}) AS difference,
       'The legs of ' || kind || ' do not sum to zero: ' || trim_scale(sum({_SIGNED})) || ' ' || currency
       || ' is left over' AS sentence
  FROM ledger_entries
 WHERE transaction_id BETWEEN :first AND :last
 GROUP BY transaction_id, kind, currency, asset_issuer
HAVING sum({_SIGNED}) <> 0
"""  # noqa: S608

_BALANCES = f"""
SELECT user_id || ' ' || currency || ' ' || asset_issuer AS subject, CAST(NULL AS uuid) AS transaction_id, user_id,
       CAST(NULL AS text) AS account, currency, asset_issuer,
       trim_scale(coalesce(e.amount, 0))::text AS expected, trim_scale(coalesce(b.amount, 0))::text AS actual,
       coalesce(b.amount, 0) - coalesce(e.amount, 0) AS difference,
       CASE WHEN e.amount IS NULL THEN 'A balance of ' || trim_scale(b.amount) || ' ' || currency || ' has no entries'
            WHEN b.amount IS NULL THEN 'Entries of ' || trim_scale(e.amount) || ' ' || currency || ' have no balance'
            ELSE 'The balance in ' || currency || ' is not the sum of its entries' END AS sentence
  FROM (SELECT user_id, currency, asset_issuer, amount FROM balances WHERE user_id BETWEEN :first AND :last) AS b
  FULL JOIN (SELECT user_id, currency, asset_issuer, sum({_SIGNED}) AS amount
               FROM ledger_entries WHERE account_type = 'USER' AND user_id BETWEEN :first AND :last
              GROUP BY user_id, currency, asset_issuer) AS e USING (user_id, currency, asset_issuer)
 WHERE coalesce(b.amount, 0) <> coalesce(e.amount, 0)
"""  # noqa: S608

_OVERDRAWN = """
SELECT user_id || ' ' || currency || ' ' || asset_issuer AS subject, CAST(NULL AS uuid) AS transaction_id, user_id,
       CAST(NULL AS text) AS account, currency, asset_issuer, 'not below 0' AS expected,
       trim_scale(amount)::text AS actual, amount AS difference,
       'The balance in ' || currency || ' is below zero' AS sentence
  FROM balances WHERE user_id BETWEEN :first AND :last AND amount < 0
"""

# One fault for each posting, the gravest first. Amounts are compared with the platform's leg: a user's leg may differ
# by a fee that has a leg of its own, and that the legs sum to zero is proved elsewhere.
_ENTRIES = """
SELECT transaction_id || ' ' || kind AS subject, transaction_id, user_id, CAST(NULL AS text) AS account, currency,
       asset_issuer,
       CASE fault WHEN 'orphan' THEN 'a transaction' WHEN 'nobody' THEN 'a user' WHEN 'row' THEN calls_for
                  WHEN 'never debited' THEN 'a WITHDRAW_DEBIT' WHEN 'never refunded' THEN 'a WITHDRAW_REFUND'
                  WHEN 'user' THEN row_user::text WHEN 'asset' THEN row_asset
                  ELSE trim_scale(row_amount)::text END AS expected,
       CASE fault WHEN 'row' THEN row_is WHEN 'user' THEN user_id::text WHEN 'asset' THEN entry_asset
                  WHEN 'amount' THEN trim_scale(amount)::text ELSE 'none' END AS actual,
       CASE fault WHEN 'amount' THEN amount - row_amount END AS difference,
       kind || ' of ' || trim_scale(amount) || ' ' || currency ||
       CASE fault WHEN 'orphan' THEN ' belongs to no transaction'
                  WHEN 'nobody' THEN ' names no user'
                  WHEN 'row' THEN ' stands beside a transaction that is ' || row_is
                  WHEN 'never debited' THEN ' gives back what was never taken'
                  WHEN 'never refunded' THEN ' takes back what was never given'
                  WHEN 'user' THEN ' went to another user than its transaction''s'
                  WHEN 'asset' THEN ' is in another asset than its transaction'
                  ELSE ' is not the amount of its transaction' END AS sentence
  FROM (
    SELECT e.transaction_id, e.kind, e.user_id, e.amount, e.currency, e.asset_issuer, t.user_id AS row_user,
           t.amount AS row_amount, t.type || ' ' || t.status AS row_is,
           t.currency || ':' || coalesce(t.asset_issuer, '') AS row_asset,
           e.currency || ':' || e.asset_issuer AS entry_asset,
           CASE e.kind WHEN 'DEPOSIT_CREDIT' THEN 'DEPOSIT SUCCESS' WHEN 'WITHDRAW_REFUND' THEN 'WITHDRAW FAILED'
                       WHEN 'REFUND_REVERSAL' THEN 'WITHDRAW SUCCESS' WHEN 'WITHDRAW_DEBIT' THEN 'WITHDRAW' END
           AS calls_for,
           CASE WHEN t.id IS NULL THEN 'orphan'
                WHEN e.account_type = 'USER' AND e.user_id IS NULL THEN 'nobody'
                WHEN e.kind = 'DEPOSIT_CREDIT' AND (t.type, t.status) <> ('DEPOSIT', 'SUCCESS') THEN 'row'
                WHEN e.kind = 'WITHDRAW_DEBIT' AND t.type <> 'WITHDRAW' THEN 'row'
                WHEN e.kind = 'WITHDRAW_REFUND' AND (t.type <> 'WITHDRAW' OR t.status = 'PENDING') THEN 'row'
                WHEN e.kind = 'REFUND_REVERSAL' AND (t.type, t.status) <> ('WITHDRAW', 'SUCCESS') THEN 'row'
                WHEN e.kind = 'WITHDRAW_REFUND' AND NOT EXISTS (
                     SELECT FROM ledger_entries o WHERE o.transaction_id = t.id AND o.kind = 'WITHDRAW_DEBIT'
                                                    AND o.transaction_id BETWEEN :first AND :last)
                THEN 'never debited'
                WHEN e.kind = 'REFUND_REVERSAL' AND NOT EXISTS (
                     SELECT FROM ledger_entries o WHERE o.transaction_id = t.id AND o.kind = 'WITHDRAW_REFUND'
                                                    AND o.transaction_id BETWEEN :first AND :last)
                THEN 'never refunded'
                WHEN e.kind NOT IN ('DEPOSIT_CREDIT', 'WITHDRAW_DEBIT', 'WITHDRAW_REFUND', 'REFUND_REVERSAL') THEN NULL
                WHEN e.account_type = 'USER' AND e.user_id <> t.user_id THEN 'user'
                -- What was posted before a payment was accepted as found follows what had been expected.
                WHEN e.kind IN ('WITHDRAW_DEBIT', 'WITHDRAW_REFUND') AND EXISTS (
                     SELECT FROM ops.decisions d WHERE d.transaction_id = t.id AND d.verdict = 'accepted'
                                                   AND d.transaction_id BETWEEN :first AND :last) THEN NULL
                WHEN (e.currency, e.asset_issuer) <> (t.currency, coalesce(t.asset_issuer, '')) THEN 'asset'
                WHEN e.account_type LIKE 'PLATFORM%' AND e.amount <> t.amount THEN 'amount' END AS fault
      FROM ledger_entries e LEFT JOIN transactions t ON t.id = e.transaction_id AND t.id BETWEEN :first AND :last
     WHERE e.transaction_id BETWEEN :first AND :last
  ) AS judged
 WHERE fault IS NOT NULL
"""

# The last word of a run that was no dry one, and the claim: what this desk settled, whatever the row says now.
_SETTLED = """
  FROM transactions t
  LEFT JOIN ops.claims c ON c.transaction_id = t.id AND c.transaction_id BETWEEN :first AND :last
  LEFT JOIN LATERAL (
       SELECT verdict FROM ops.decisions d
        WHERE d.transaction_id = t.id AND NOT d.dry_run AND d.verdict IN ('success', 'rescue', 'failed', 'accepted', 'marked_failed', 'cancelled')
        ORDER BY d.id DESC LIMIT 1) AS decided ON true
 WHERE t.id BETWEEN :first AND :last
"""

_POSTINGS = f"""
SELECT id || ' ' || missing AS subject, id AS transaction_id, user_id, CAST(NULL AS text) AS account, currency,
       asset_issuer, trim_scale(amount)::text AS expected, '0' AS actual, -amount AS difference,
       CASE missing WHEN 'DEPOSIT_CREDIT' THEN 'The deposit succeeded, but its ' || trim_scale(amount) || ' ' || currency
                                               || ' were never credited'
                    WHEN 'WITHDRAW_REFUND' THEN 'The withdrawal failed, but its ' || trim_scale(amount) || ' ' || currency
                                                || ' were never refunded'
                    ELSE 'The withdrawal succeeded, and its refund of ' || trim_scale(amount) || ' ' || currency
                         || ' was never taken back' END AS sentence
  FROM (
    SELECT t.id, t.user_id, t.amount, t.currency, coalesce(t.asset_issuer, '') AS asset_issuer,
           CASE WHEN t.type = 'DEPOSIT' AND t.status = 'SUCCESS'
                 AND (c.transaction_id IS NOT NULL OR decided.verdict IN ('success', 'rescue', 'accepted'))
                THEN 'DEPOSIT_CREDIT'
                WHEN t.type = 'WITHDRAW' AND t.status = 'FAILED' AND (decided.verdict = 'failed' OR EXISTS (
                     SELECT FROM ledger_entries e WHERE e.transaction_id = t.id AND e.kind = 'WITHDRAW_DEBIT'
                                                    AND e.transaction_id BETWEEN :first AND :last))
                THEN 'WITHDRAW_REFUND'
                WHEN t.type = 'WITHDRAW' AND decided.verdict IN ('marked_failed', 'cancelled') THEN 'WITHDRAW_REFUND'
                WHEN t.type = 'WITHDRAW' AND t.status = 'SUCCESS' AND EXISTS (
                     SELECT FROM ledger_entries e WHERE e.transaction_id = t.id AND e.kind = 'WITHDRAW_REFUND'
                                                    AND e.transaction_id BETWEEN :first AND :last)
                THEN 'REFUND_REVERSAL' END AS missing
    {_SETTLED}
  ) AS due
 WHERE missing IS NOT NULL AND NOT EXISTS (
       SELECT FROM ledger_entries e WHERE e.transaction_id = due.id AND e.kind = due.missing
                                      AND e.transaction_id BETWEEN :first AND :last)
"""  # noqa: S608

_STATUSES = f"""
SELECT id::text AS subject, id AS transaction_id, user_id, CAST(NULL AS text) AS account, currency, asset_issuer,
       proved AS expected, status AS actual, CAST(NULL AS numeric) AS difference,
       CASE WHEN claimed AND proved = 'SUCCESS'
            THEN 'A payment on the chain is claimed by this transaction, which is ' || status
            ELSE 'The last proof of this desk said ' || proved || ', and the transaction is ' || status END AS sentence
  FROM (
    SELECT t.id, t.user_id, t.currency, coalesce(t.asset_issuer, '') AS asset_issuer, t.status,
           c.transaction_id IS NOT NULL AS claimed,
           CASE WHEN c.transaction_id IS NOT NULL OR decided.verdict IN ('success', 'rescue') THEN 'SUCCESS'
                WHEN decided.verdict = 'failed' THEN 'FAILED' END AS proved
    {_SETTLED}
  ) AS settled
 WHERE proved <> status
"""  # noqa: S608

# The ledger's unique key makes it impossible; an application's own table may not have that key.
_REPEATED = """
SELECT transaction_id || ' ' || kind || ' ' || account_type AS subject, transaction_id,
       CAST(min(CAST(user_id AS text)) AS uuid) AS user_id, CAST(NULL AS text) AS account, min(currency) AS currency,
       min(asset_issuer) AS asset_issuer, '1 entry' AS expected, count(*) || ' entries' AS actual,
       sum(amount) - min(amount) AS difference,
       kind || ' was posted ' || count(*) || ' times to ' || account_type AS sentence
  FROM ledger_entries
 WHERE transaction_id BETWEEN :first AND :last
 GROUP BY transaction_id, kind, account_type
HAVING count(*) > 1
"""

# A claim knows the inner hash of a fee-bump, so rows that hold its two hashes meet here, too.
_PAID_TWICE = """
SELECT id::text AS subject, id AS transaction_id, user_id, CAST(NULL AS text) AS account, currency, asset_issuer,
       'a payment of its own' AS expected, rows || ' transactions on one hash' AS actual, amount AS difference,
       'It is SUCCESS on a hash that ' || CASE rows WHEN 2 THEN 'another transaction' ELSE (rows - 1) || ' others' END
       || ' succeeded on, and claims no payment of it' AS sentence
  FROM (
    SELECT id, user_id, amount, currency, asset_issuer, claimed, count(*) OVER (PARTITION BY hash) AS rows
      FROM (SELECT t.id, t.user_id, t.amount, t.currency, coalesce(t.asset_issuer, '') AS asset_issuer,
                   c.transaction_id IS NOT NULL AS claimed, coalesce(c.tx_hash, lower(t.tx_hash)) AS hash
              FROM transactions t LEFT JOIN ops.claims c ON c.transaction_id = t.id
             WHERE t.status = 'SUCCESS' AND t.type IN ('DEPOSIT', 'WITHDRAW') AND t.tx_hash <> '') AS paid
     WHERE (hashtext(hash) & 2147483647) % :parts = :part
  ) AS counted
 WHERE rows > 1 AND NOT claimed
"""

BY_TRANSACTION: Mapping[Check, Sequence[str]] = {
    Check.DOUBLE_ENTRY: (_DOUBLE_ENTRY,),
    Check.ENTRIES: (_ENTRIES,),
    Check.POSTINGS: (_POSTINGS,),
    Check.STATUSES: (_STATUSES,),
    Check.DOUBLES: (_REPEATED,),
}
BY_USER: Mapping[Check, Sequence[str]] = {Check.BALANCES: (_BALANCES,), Check.OVERDRAWN: (_OVERDRAWN,)}
BY_HASH: Mapping[Check, Sequence[str]] = {Check.DOUBLES: (_PAID_TWICE,)}


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through the data, and the statements that go it."""

    table: str
    """Whose ids are walked; empty for the hashes."""
    size: int
    """Rows of a range, or of a part of the hashes."""
    proofs: Mapping[Check, Sequence[str]]


WALKS = (
    Walk("transactions", 20_000, BY_TRANSACTION),
    Walk("users", 100_000, BY_USER),
    Walk("", 1_000_000, BY_HASH),
)
