"""Reads of the page Integrity: how each check stands, what is open, wallets over time, the audit of the history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Connection, text

from dashboard.queries import cached
from jobs.integrity.findings import read_checks
from jobs.integrity.model import CheckState

PAGE = 25
POINTS = 120
_CHANGES = 50
_OWNERS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something open, with whose it is."""

    id: int
    check_name: str
    sentence: str
    expected: str
    actual: str
    difference: Decimal | None
    transaction_id: UUID | None
    account: str | None
    currency: str | None
    email: str | None
    found_at: datetime
    found_run: int
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Findings:
    """One page of findings, newest first; `older` continues it."""

    found: tuple[Finding, ...]
    older: int | None


@dataclass(frozen=True, slots=True)
class Point:
    """How many wallets differed at a time."""

    at: datetime
    wallets: int


@dataclass(frozen=True, slots=True)
class Change:
    """Both sides of one asset of a wallet, from a time on; amounts in units."""

    at: datetime
    currency: str
    books: Decimal
    chain: Decimal
    in_motion: Decimal
    ledger: int
    run_id: int


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet with its first owners and its newest changes."""

    account: str
    compared_at: datetime | None
    users: int
    emails: tuple[str, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """The newest audit of the history: the one under way, or the last that ended."""

    id: int
    seed: int
    sample: int | None
    total: int
    confirmed: int
    contradicted: int
    unknown: int
    started_at: datetime
    advanced_at: datetime
    finished_at: datetime | None
    given_up: bool
    last_run: int

    @property
    def done(self) -> int:
        return self.confirmed + self.contradicted + self.unknown


@cached(ttl=5)
def checks(conn: Connection) -> tuple[CheckState, ...]:
    """How every check stands, in their order."""
    return tuple(read_checks(conn))


@cached(ttl=3)
def findings(conn: Connection, check: str | None, before: int | None = None) -> Findings:
    """A page of open findings after the finding `before`."""
    rows = conn.execute(text(_FINDINGS), {"check": check, "before": before, "most": PAGE + 1}).all()
    found = tuple(Finding(**row._mapping) for row in rows[:PAGE])
    return Findings(found, found[-1].id if len(rows) > PAGE else None)


@cached(ttl=30)
def drift(conn: Connection, length: timedelta) -> tuple[Point, ...]:
    """How many wallets and assets differed, at even steps up to now."""
    return tuple(Point(row.at, row.wallets) for row in conn.execute(text(_DRIFT), {"length": length, "points": POINTS}))


@cached(ttl=5)
def wallet(conn: Connection, account: str) -> Wallet | None:
    """A wallet; None if no user has it."""
    row = conn.execute(text(_WALLET), {"account": account, "owners": _OWNERS}).one()
    if not row.users:
        return None
    changes = conn.execute(text(_WALLET_CHANGES), {"account": account, "most": _CHANGES})
    return Wallet(
        account, row.compared_at, row.users, tuple(row.emails), tuple(Change(**one._mapping) for one in changes)
    )


@cached(ttl=5)
def newest_audit(conn: Connection) -> Audit | None:
    """The newest audit; None before the first."""
    row = conn.execute(
        text(
            "SELECT id, seed, sample, total, confirmed, contradicted, unknown, started_at, advanced_at, finished_at,"
            " given_up, last_run FROM ops.history_audits ORDER BY id DESC LIMIT 1"
        )
    ).one_or_none()
    return None if row is None else Audit(**row._mapping)


_FINDINGS = """
SELECT f.id, f.check_name, f.sentence, f.expected, f.actual, f.difference, f.transaction_id, f.account, f.currency,
       u.email, f.found_at, f.found_run, f.seen_at
  FROM ops.integrity_findings f LEFT JOIN users u ON u.id = f.user_id
 WHERE f.resolved_at IS NULL AND (CAST(:check AS text) IS NULL OR f.check_name = :check)
   AND (CAST(:before AS bigint) IS NULL OR f.id < :before)
 ORDER BY f.id DESC LIMIT :most
"""

_DRIFT = """
WITH drift AS MATERIALIZED (
    SELECT found_at, resolved_at FROM ops.integrity_findings
     WHERE check_name = 'wallets' AND (resolved_at IS NULL OR resolved_at > now() - CAST(:length AS interval))
)
SELECT s.at, (SELECT count(*) FROM drift d
               WHERE d.found_at <= s.at AND (d.resolved_at IS NULL OR d.resolved_at > s.at)) AS wallets
  FROM (SELECT now() - CAST(:length AS interval) * (n::float8 / :points) AS at
          FROM generate_series(0, :points) AS n) AS s
 ORDER BY s.at
"""

_WALLET = """
SELECT (SELECT compared_at FROM ops.wallets WHERE account = :account) AS compared_at, count(*) AS users,
       coalesce((array_agg(u.email ORDER BY u.email))[1:CAST(:owners AS integer)], '{}') AS emails
  FROM ops.wallet_owners o JOIN users u ON u.id = o.user_id
 WHERE o.account = :account
"""

_WALLET_CHANGES = """
SELECT at, currency, books, chain, in_motion, ledger, run_id FROM ops.wallet_history
 WHERE account = :account ORDER BY id DESC LIMIT :most
"""
