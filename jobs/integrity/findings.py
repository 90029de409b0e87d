"""Findings as they are kept: open while every look finds them again, closed by the look that does not.

Looking and keeping are one statement, so that what is written is what one snapshot showed: a settlement that commits
meanwhile is wholly in it or not at all. Nothing here touches the books.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from jobs.core.db import jsonb
from jobs.integrity.model import Check, CheckState, Found

MOST_NAMED = 1000
"""Findings of one statement that are handed back to be logged; all of them are kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one look left: how many differ, how many of them did not before, and the first of them by name."""

    count: int
    new: int
    named: Sequence[Found]


def look(
    conn: Connection, check: Check, statement: str, bounds: Mapping[str, object], *, run_id: int, dry_run: bool
) -> Kept:
    """Runs a check's statement over its bounds and keeps what it finds; a dry run only tells."""
    pattern = _TELL if dry_run else _KEEP
    rows = conn.execute(
        text(pattern.replace("{found}", statement)),
        {**bounds, "check": check.value, "run_id": run_id, "most": MOST_NAMED},
    ).all()
    named = [
        Found(
            check=check,
            subject=row.subject,
            sentence=row.sentence,
            expected=row.expected,
            actual=row.actual,
            difference=row.difference,
            transaction_id=row.transaction_id,
            user_id=row.user_id,
            account=row.account,
            currency=row.currency,
            asset_issuer=row.asset_issuer,
        )
        for row in rows
    ]
    return Kept(rows[0].total, rows[0].fresh, named) if rows else Kept(0, 0, ())


def keep(conn: Connection, check: Check, found: Sequence[Found], *, run_id: int) -> Kept:
    """Keeps what was found elsewhere than in the database, in the caller's transaction."""
    if not found:
        return Kept(0, 0, ())
    rows = jsonb([asdict(one) for one in found])
    return look(conn, check, _GIVEN, {"rows": rows}, run_id=run_id, dry_run=False)


def resolve_unseen(
    conn: Connection, check: Check, *, before: datetime, run_id: int, subjects: Sequence[str] | None = None
) -> int:
    """Closes what was not found again since `before`, of some subjects or of all; how many that were."""
    return conn.execute(
        text(
            "UPDATE ops.integrity_findings SET resolved_at = now(), resolved_run = :run_id"
            " WHERE check_name = :check AND resolved_at IS NULL AND seen_at < :before"
            "   AND (CAST(:subjects AS text[]) IS NULL OR subject = ANY(CAST(:subjects AS text[])))"
        ),
        {
            "check": check.value,
            "before": before,
            "run_id": run_id,
            "subjects": None if subjects is None else list(subjects),
        },
    ).rowcount


def finish_pass(conn: Connection, check: Check, *, as_of: datetime, looked_at: int, run_id: int) -> None:
    """Notes that everything was looked at; an older pass that ends later does not make a newer one look older."""
    conn.execute(
        text(
            "INSERT INTO ops.integrity_checks AS c (name, as_of, looked_at, run_id)"
            " VALUES (:check, :as_of, :looked_at, :run_id) ON CONFLICT (name) DO UPDATE"
            " SET as_of = excluded.as_of, looked_at = excluded.looked_at, run_id = excluded.run_id"
            " WHERE c.as_of < excluded.as_of"
        ),
        {"check": check.value, "as_of": as_of, "looked_at": looked_at, "run_id": run_id},
    )


def read_checks(conn: Connection) -> list[CheckState]:
    """How every check stands, in their order; those that never ran are there too."""
    passes = {row.name: row for row in conn.execute(text("SELECT * FROM ops.integrity_checks"))}
    findings = {
        row.check_name: row
        for row in conn.execute(
            text(
                "SELECT check_name, count(*) AS findings, min(found_at) AS oldest FROM ops.integrity_findings"
                " WHERE resolved_at IS NULL GROUP BY check_name"
            )
        )
    }
    states = []
    for check in Check:
        done, found = passes.get(check.value), findings.get(check.value)
        states.append(
            CheckState(
                check=check,
                as_of=done.as_of if done else None,
                looked_at=done.looked_at if done else 0,
                run_id=done.run_id if done else None,
                findings=found.findings if found else 0,
                oldest=found.oldest if found else None,
            )
        )
    return states


_COLUMNS = "subject, transaction_id, user_id, account, currency, asset_issuer, expected, actual, difference, sentence"

_KEEP = f"""
WITH found AS MATERIALIZED (
    SELECT DISTINCT ON (subject) * FROM ({{found}}) AS each ORDER BY subject
), kept AS (
    INSERT INTO ops.integrity_findings AS f (check_name, found_run, seen_run, {_COLUMNS})
    SELECT :check, :run_id, :run_id, {_COLUMNS} FROM found
        ON CONFLICT (check_name, subject) WHERE resolved_at IS NULL DO UPDATE
       SET seen_at = now(), seen_run = excluded.seen_run, expected = excluded.expected, actual = excluded.actual,
           difference = excluded.difference, sentence = excluded.sentence
    RETURNING f.id, f.found_at = f.seen_at AS new, {_COLUMNS}
)
SELECT {_COLUMNS}, count(*) OVER () AS total, count(*) FILTER (WHERE new) OVER () AS fresh
  FROM kept ORDER BY id LIMIT :most
"""  # noqa: S608 - the columns are ours

_TELL = f"""
SELECT {_COLUMNS}, count(*) OVER () AS total, 0 AS fresh
  FROM (SELECT DISTINCT ON (subject) * FROM ({{found}}) AS each ORDER BY subject) AS found
 WHERE :check <> '' AND :run_id > 0 LIMIT :most
"""  # noqa: S608

_GIVEN = f"""
SELECT {_COLUMNS}
  FROM jsonb_to_recordset(:rows) AS given(
       subject text, transaction_id uuid, user_id uuid, account text, currency text, asset_issuer text, expected text,
       actual text, difference numeric, sentence text)
"""  # noqa: S608
