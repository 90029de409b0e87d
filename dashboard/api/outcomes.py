"""Requests that may be sent twice: a pipeline that repeats one after a lost answer must not start two runs.

A request with an `Idempotency-Key` leaves what came of it in the transaction that does it. The second one with that key
waits at the key's row until the first has committed, and gets the same answer; if the first was rolled back there is no
row, nothing was done, and the second does it. After a day a key is forgotten.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

from dashboard.api.errors import KEY_REUSED, Problem
from jobs.core.tokens import Token

HEADER = "idempotency-key"
KEPT_HOURS = 24
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was answered: the status, and the body as JSON."""

    status: int
    answer: bytes


def read_key(value: str | None) -> str | None:
    """The key of a request; Problem 422 for one that is not accepted."""
    if value is not None and not _KEY.fullmatch(value):
        raise Problem(
            422, "The Idempotency-Key is not accepted: use 1 to 200 visible ASCII characters, such as a UUID."
        )
    return value


def claim(conn: Connection, token: Token, key: str, request_sha256: bytes) -> Outcome | None:
    """Takes a key for this transaction; if it was taken before, what came of it then.

    Raises Problem 422 if the key belongs to another request.
    """
    conn.execute(
        text(
            "DELETE FROM ops.api_outcomes WHERE (token_id, key) IN (SELECT token_id, key FROM ops.api_outcomes"
            " WHERE token_id = :token AND at < now() - make_interval(hours => :hours) FOR UPDATE SKIP LOCKED)"
        ),
        {"token": token.id, "hours": KEPT_HOURS},
    )
    ours = conn.execute(
        text(
            "INSERT INTO ops.api_outcomes (token_id, key, request_sha256) VALUES (:token, :key, :hash)"
            " ON CONFLICT (token_id, key) DO NOTHING"
        ),
        {"token": token.id, "key": key, "hash": request_sha256},
    ).rowcount
    if ours:
        return None
    row = conn.execute(
        text("SELECT request_sha256, status, answer FROM ops.api_outcomes WHERE token_id = :token AND key = :key"),
        {"token": token.id, "key": key},
    ).one()
    if row.request_sha256 != request_sha256:
        raise Problem(
            422, "This Idempotency-Key was used for another request: take a new key for a new request.", kind=KEY_REUSED
        )
    return Outcome(row.status, row.answer)


def keep(conn: Connection, token: Token, key: str, outcome: Outcome) -> None:
    """Writes what came of the request, to be committed with what it did."""
    conn.execute(
        text("UPDATE ops.api_outcomes SET status = :status, answer = :answer WHERE token_id = :token AND key = :key"),
        {"status": outcome.status, "answer": outcome.answer, "token": token.id, "key": key},
    )
