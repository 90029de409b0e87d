"""Fills a throw-away database with years of a desk: by sets, on the server, in the order in which one needs the other.

How much stands in `Sizes`; everything that is not asked for there follows from it. The people are given sessions, so
that whoever measures can be them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import text

from checklists.load import find_template
from checklists.store import start_run
from dashboard.bench import engine, money
from jobs.bench.database import alone, drop_indexes, drop_keys
from jobs.bench.telling import Tell
from jobs.core.audit_seal import seal
from jobs.core.db import Database
from jobs.core.people import list_people
from jobs.core.permissions import Role
from jobs.core.sessions import open_session
from jobs.horizon.sandbox.network import SANDBOX_PASSPHRASE
from jobs.integrity.model import Check
from jobs.schedule.model import fires
from jobs.schedule.store import list_schedules

SERVERS = ("http://127.0.0.1:9", "http://127.0.0.1:19")
AT_ONCE = 500_000
"""Rows of one statement, at most about."""
_BIG = ("transactions", "ops.runs")
_PEOPLE = text("""
INSERT INTO ops.people (email, name, roles, password_hash)
SELECT 'person' || n || '@nexafx.test', 'Person ' || n, CAST(:roles AS text[]), 'nobody signs in with it'
  FROM generate_series(1, CAST(:people AS integer)) AS n
""")
# They have followed their schedules all the time.
_SCHEDULES = text("UPDATE ops.schedules SET created_at = :since, updated_at = :since")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of a past there is, and how many people look at it."""

    runs: int = 3_000_000
    transactions: int = 10_000_000
    days: int = 365
    people: int = 50

    @property
    def users(self) -> int:
        """Of the exchange."""
        return min(200_000, max(10, self.transactions // 50))

    @property
    def pending(self) -> int:
        """Transactions that wait: one of two thousand."""
        return max(20, self.transactions // 2000)


@dataclass(frozen=True, slots=True)
class Desk:
    """A filled desk: the people's sessions as cookies, and what pages that show one thing are asked for."""

    cookies: tuple[str, ...]
    transaction: UUID
    failed_run: int
    good_run: int
    checklist: int
    alert: int
    rule: str
    incident: int


def fill(db: Database, sizes: Sizes, tell: Tell) -> None:
    """Fills a migrated database without rows; `tell` is told how far it is."""
    with db.begin() as conn:
        now: datetime = conn.execute(text("SELECT now()")).scalar_one()
        since = now - timedelta(days=sizes.days)
        conn.execute(_SCHEDULES, {"since": since})
        conn.execute(_PEOPLE, {"roles": [role.value for role in Role], "people": max(sizes.people, 8)})
        conn.execute(text("CREATE UNLOGGED TABLE bench_users (n bigint PRIMARY KEY, id uuid NOT NULL)"))
    checklist = _checklist(db)
    bound: dict[str, object] = {
        **asdict(sizes), "users": sizes.users, "pending": sizes.pending, "now": now, "since": since,
        "recent": now - (now - since) / 10, "step": (now - since) / sizes.transactions, "server": SERVERS[0],
        "servers": list(SERVERS), "passphrase": SANDBOX_PASSPHRASE, "checks": [it.value for it in Check],
        "checklist": checklist,
    }  # fmt: skip
    with db.begin() as conn:
        again = [sql for table in _BIG for sql in drop_indexes(conn, table)]
        again = drop_keys(conn, "transactions") + again
    for words, statements in _batches(db, sizes, bound):
        tell(words)
        _run(db, *statements)
    tell("indexes")
    with db.begin() as conn:
        conn.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        for definition in again:
            conn.exec_driver_sql(definition)
    alone(db, "VACUUM (ANALYZE) transactions, ops.runs")
    for words, group in _PARTS.items():
        for number, statement in enumerate(group, 1):
            tell(f"{words}, {number} of {len(group)}")
            _run(db, (statement, bound))
    tell("the audit trail's chain")
    seal(db)
    tell("statistics")
    alone(db, "VACUUM (ANALYZE)")
    alone(db, "CHECKPOINT")


_PARTS: Mapping[str, Sequence[str]] = {
    "runs": engine.AFTER_RUNS,
    "cases": (money.CASES,),
    "settlements": (money.LEDGER, money.BALANCES, money.DECISIONS, money.CLAIMS, money.NOTIFICATIONS, money.EVENTS,
                    money.CHECKS, money.AUDIT),
    "integrity": money.INTEGRITY,
    "Horizon": engine.HORIZON,
    "samples": engine.SAMPLES,
    "alerts": engine.ALERTS,
    "checklists": engine.CHECKLISTS,
}  # fmt: skip

Statement = tuple[str, Mapping[str, object]]


def _run(db: Database, *statements: Statement) -> None:
    with db.begin() as conn:
        conn.execute(text("SET LOCAL session_replication_role = replica"))  # what they refer to is known to exist
        conn.execute(text("SET LOCAL synchronous_commit = off"))
        conn.execute(text("SET LOCAL work_mem = '256MB'"))
        for sql, bound in statements:
            conn.execute(text(sql), bound)


def _batches(db: Database, sizes: Sizes, bound: Mapping[str, object]) -> Iterator[tuple[str, list[Statement]]]:
    yield "users", [(money.USERS, bound)]
    for first in range(1, sizes.transactions + 1, AT_ONCE):
        last = min(sizes.transactions, first + AT_ONCE - 1)
        yield (
            f"{last:,} of {sizes.transactions:,} transactions",
            [(money.TRANSACTIONS, {**bound, "first": first, "last": last})],
        )
    pace = _pace(db)
    now: datetime = bound["now"]  # type: ignore[assignment]  # put there above
    length = timedelta(seconds=sizes.runs / sum(1 / seconds for seconds in pace.values()))
    parts = math.ceil(sizes.runs / AT_ONCE)
    jobs = {"jobs": list(pace), "seconds": list(pace.values())}
    for part in range(parts):
        stretch = {"from": now - length * (1 - part / parts), "until": now - length * (1 - (part + 1) / parts)}
        yield f"{sizes.runs * (part + 1) // parts:,} of {sizes.runs:,} runs", [(engine.RUNS, {**jobs, **stretch})]


def _pace(db: Database) -> dict[str, float]:
    """Seconds between two slots of each schedule that is on."""
    with db.read() as conn:
        now: datetime = conn.execute(text("SELECT now()")).scalar_one()
        plans = [plan for plan in list_schedules(conn) if plan.active(now)]
    slots = {plan.name: list(islice(fires(plan, now), 2)) for plan in plans}
    return {name: (two[1] - two[0]).total_seconds() for name, two in slots.items() if len(two) == 2}


def _checklist(db: Database) -> int:
    """A deployment, begun as anybody begins one; its number."""
    with db.begin() as conn:
        person = next(one for one in list_people(conn) if one.email == "person1@nexafx.test")
        fields = {"date": "2026-01-05", "version": "2.4.0", "deployed_by": person.email, "notes": "As rehearsed."}
        return start_run(conn, find_template("deployment"), fields, person, origin="bench")


def open_desk(db: Database, sizes: Sizes) -> Desk:
    """The people of a filled database, each with a new session, and what its pages are asked for."""
    with db.begin() as conn:
        people = conn.execute(
            text("SELECT id FROM ops.people ORDER BY length(email), email LIMIT :most"), {"most": sizes.people}
        ).scalars()
        cookies = tuple(open_session(conn, person, origin="bench", hours=24) for person in people)
        row = conn.execute(
            text("""
            SELECT (SELECT transaction_id FROM ops.decisions ORDER BY id DESC LIMIT 1) AS transaction,
                   (SELECT id FROM ops.runs WHERE state = 'failed' AND job = 'reconcile-pending' ORDER BY id DESC LIMIT 1) AS failed_run,
                   (SELECT run_id FROM ops.decisions ORDER BY id DESC LIMIT 1) AS good_run,
                   (SELECT min(id) FROM ops.checklist_runs WHERE state = 'open') AS checklist, a.id AS alert, a.rule,
                   (SELECT incident_id FROM ops.incident_alerts ORDER BY incident_id DESC LIMIT 1) AS incident
              FROM ops.alerts a WHERE a.state = 'firing' ORDER BY a.id LIMIT 1
            """)
        ).one()
    return Desk(cookies, **{**row._mapping, "failed_run": row.failed_run or row.good_run})
