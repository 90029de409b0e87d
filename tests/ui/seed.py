"""A small, lively desk for the tests of the pages: people of every role, jobs, runs, money, samples."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID, uuid4

from argon2 import PasswordHasher
from sqlalchemy import text

from jobs.core.audit import AuditRow, record_many
from jobs.core.audit_seal import seal
from jobs.core.db import Database, jsonb
from jobs.core.permissions import Role

PASSWORD = "correct horse battery"
SERVERS = ("http://127.0.0.1:8000", "https://horizon.stellar.org")
JOBS = (
    ("reconcile-pending", "interval", "120", 110),
    ("retry-failed", "interval", "300", 110),
    ("cleanup-notifications", "cron", "0 2 * * *", 600),
    ("probe-horizon", "interval", "15", 14),
)


@cache
def password_hash() -> str:
    """Of PASSWORD."""
    # The cheapest argon2 there is: what the tests prove is not its cost.
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def person(db: Database, role: Role, *, must_change: bool = False, name: str | None = None) -> UUID:
    """Somebody of one role, <role>@nexafx.test or <name>@nexafx.test, with PASSWORD."""
    with db.begin() as conn:
        found: UUID = conn.execute(
            text(
                "INSERT INTO ops.people (email, name, roles, password_hash, must_change)"
                " VALUES (:email, :name, :roles, :hash, :must) RETURNING id"
            ),
            {
                "email": f"{(name or role.value).lower()}@nexafx.test",
                "name": name or f"{role.value.replace('_', ' ').title()} Person",
                "roles": [role.value],
                "hash": password_hash(),
                "must": must_change,
            },
        ).scalar_one()
    return found


def signers(db: Database) -> dict[Role, UUID]:
    """Those who sign a deployment off: one for each of its roles, so that it can start."""
    names = {
        Role.DEVELOPER: "Dora",
        Role.QA_LEAD: "Quentin",
        Role.DEVOPS: "Oda",
        Role.PROJECT_MANAGER: "Pavel",
    }
    return {role: person(db, role, name=name) for role, name in names.items()}


def people(db: Database) -> dict[Role, UUID]:
    """One person of every role."""
    return {role: person(db, role) for role in Role}


def living(db: Database, *, trouble: bool = False) -> None:
    """A desk in the middle of its day; with `trouble`, much of what can be wrong is."""
    now = datetime.now(UTC)
    with db.begin() as conn:
        for name, kind, expression, limit in JOBS:
            conn.execute(
                text(
                    "INSERT INTO ops.schedules (name, kind, expression, timeout_s, created_at, updated_at)"
                    " VALUES (:name, :kind, :expression, :limit, now() - interval '3 days', now() - interval '3 days')"
                    " ON CONFLICT (name) DO UPDATE SET updated_at = excluded.updated_at"
                ),
                {"name": name, "kind": kind, "expression": expression, "limit": limit},
            )
        # The others were planned just now, however long ago this database's template was made.
        conn.execute(
            text("UPDATE ops.schedules SET created_at = now(), updated_at = now() WHERE name <> ALL (:names)"),
            {"names": [name for name, *_ in JOBS]},
        )
        runs = []
        for number, (name, kind, expression, _) in enumerate(JOBS):
            step = timedelta(seconds=int(expression)) if kind == "interval" else timedelta(days=1)
            # The nightly job ran a minute ago, whenever the tests run.
            newest = now if kind == "interval" else now + step - timedelta(minutes=1)
            for back in range(60, 0, -1):
                failed = (trouble and name == "reconcile-pending" and back <= 3) or (back == 31 and number < 2)
                seconds = 0.5 + 6 * abs(math.sin(back * (number + 2)))
                runs.append(
                    {
                        "job": name,
                        "at": newest - step * back + timedelta(seconds=1),
                        "end": newest - step * back + timedelta(seconds=1 + seconds),
                        "state": "failed" if failed else "succeeded",
                        "error": "Horizon answers 503: the server is over capacity" if failed else None,
                        "counters": jsonb({"seen": back * 3, "settled": back * 2}),
                    }
                )
        conn.execute(
            text(
                "INSERT INTO ops.runs (job, trigger, triggered_by, state, attempt, queued_at, started_at, finished_at,"
                " error, error_class, counters) VALUES (:job, 'manual', 'system', :state, 1, :at, :at, :end, :error,"
                " CASE WHEN CAST(:error AS text) IS NULL THEN NULL ELSE 'TransientError' END, :counters)"
            ),
            sorted(runs, key=lambda run: str(run["at"])),
        )
        conn.execute(
            text(
                "INSERT INTO ops.workers (id, host, pid, version, concurrency, beat_at, scheduler_at)"
                " VALUES (:id, 'ops-1', 42, '0.1.0', 4, now(), now())"
            ),
            {"id": uuid4()},
        )
        _horizon(db, now, trouble=trouble)
        user = conn.execute(
            text("INSERT INTO users (email) VALUES ('ada@example.com') ON CONFLICT (email) DO UPDATE"
                 " SET email = excluded.email RETURNING id")
        ).scalar_one()  # fmt: skip
        pending = [
            {"user": user, "amount": 12.5 * (index + 1), "currency": ("USDC", "XLM")[index % 2],
             "at": now - timedelta(minutes=(90 if trouble else 9) - index)}
            for index in range(9)
        ]  # fmt: skip
        conn.execute(
            text(
                "INSERT INTO transactions (user_id, type, amount, currency, created_at)"
                " VALUES (:user, 'DEPOSIT', :amount, :currency, :at)"
            ),
            pending,
        )
        if trouble:
            conn.execute(
                text("UPDATE ops.schedules SET paused_at = now(), paused_by = 'ada@nexafx.com',"
                     " paused_reason = 'the notification table is being moved' WHERE name = 'cleanup-notifications'")
            )  # fmt: skip
            conn.execute(
                text("UPDATE ops.flags SET value = false, changed_by = 'grace@nexafx.com', changed_at = now(),"
                     " reason = 'refunds are checked by hand today' WHERE name = 'enableRetry'")
            )  # fmt: skip
            conn.execute(
                text("INSERT INTO ops.reconciliation_cases (transaction_id, reason, details, opened_at)"
                     " SELECT id, 'amount_differs', '{}', now() - interval '2 hours' FROM transactions LIMIT 2")
            )  # fmt: skip
        record_many(
            conn,
            [
                AuditRow("run:231", "transaction.settled", "transaction", str(uuid4()), "job") for _ in range(14)
            ]
            + [
                AuditRow("ada@nexafx.com", "schedule.paused", "schedule", "cleanup-notifications", "dashboard",
                         reason="the notification table is being moved"),
                AuditRow("grace@nexafx.com", "flag.set", "flag", "enableRetry", "cli",
                         reason="refunds are checked by hand today"),
            ],
        )  # fmt: skip
        run_id = conn.execute(
            text(
                "INSERT INTO ops.checklist_runs (template_id, template_version, title, kind, definition, started_by)"
                " VALUES ('deployment', 'abc', 'Release 2.4.0 to production', 'release', '{}', 'ada@nexafx.com')"
                " RETURNING id"
            )
        ).scalar_one()
        conn.execute(
            text(
                "INSERT INTO ops.checklist_items (run_id, item_id, position, state)"
                " SELECT :run, 'phase/' || i, i, CASE WHEN i < 31 THEN 'done' ELSE 'open' END"
                " FROM generate_series(1, 88) i"
            ),
            {"run": run_id},
        )
    seal(db)


def _horizon(db: Database, now: datetime, *, trouble: bool) -> None:
    with db.begin() as conn:
        for server in SERVERS:
            conn.execute(
                text(
                    "INSERT INTO ops.horizon_servers (server, highest_ledger, limit_per_hour, remaining, tokens,"
                    " tokens_at) VALUES (:server, 56000000, 3600, 2870, 2870, now())"
                ),
                {"server": server},
            )
        conn.execute(
            text(
                "INSERT INTO ops.horizon_requests (minute, server, endpoint, job, outcome, count, total_ms, buckets)"
                " SELECT date_trunc('minute', now()) - make_interval(mins => m), :server, e, j, o, 10, 900,"
                " ARRAY[0,0,0,0,1,3,4,1,1,0,0,0,0,0,0] FROM generate_series(0, 50) m,"
                " (VALUES ('transaction', 'reconcile-pending', 'ok'), ('transaction', 'retry-failed', 'absent'),"
                " ('root', 'probe-horizon', 'ok'), ('fee_stats', 'probe-horizon', 'ok'),"
                " ('transaction', 'reconcile-pending', 'unavailable')) AS v (e, j, o)"
                " WHERE o <> 'unavailable' OR m < 4"
            ),
            {"server": SERVERS[0]},
        )
        samples = []
        for index, server in enumerate(SERVERS):
            for back in range(240, -1, -1):
                late = trouble and index == 1 and back < 12
                age_s = 34.0 if late else 3 + 2.5 * math.sin(back / 3 + index)
                samples.append(
                    {
                        "server": server,
                        "at": now - timedelta(seconds=15 * back),
                        "verdict": "warn" if late else "ok",
                        "reasons": jsonb(
                            [{"signal": "age", "verdict": "warn", "sentence": "the newest ledger is 34 s old"}]
                            if late
                            else []
                        ),
                        "latency": 90 + 60 * abs(math.sin(back / 5)) + 40 * index,
                        "age": age_s,
                        "lag": 4 if late else 0,
                        "ledger": 56_000_000 - back * 3,
                        "closed": now - timedelta(seconds=15 * back + age_s),
                    }
                )
        conn.execute(
            text(
                "INSERT INTO ops.horizon_samples (server, at, verdict, reasons, latency_ms, age_s, lag, latest_ledger,"
                " closed_at, elder_ledger, core_ledger, ingest_ledger, passphrase, protocol, supported_protocol,"
                " horizon_version, core_version, database_connected, core_up, core_synced, capacity_usage, fee_p50,"
                " fee_p95, max_fee_p95) VALUES (:server, :at, :verdict, :reasons, :latency, :age, :lag, :ledger,"
                " :closed, 50000000, :ledger, :ledger, 'NexaFX Sandbox Network ; 2026', 23, 23, '23.0.0', '23.0.1',"
                " true, true, true, 0.41, 100, 2000, 10000) ON CONFLICT DO NOTHING"
            ),
            samples,
        )
