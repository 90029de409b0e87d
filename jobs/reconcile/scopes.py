"""What the planner has to know, and where a reading of pages stands: sums in SQL, never the rows themselves.

A reading that is cut short goes on where its cursor stands. The cursor moves in the transaction that writes what the
pages up to it have shown (`advance`), and only from where this run had found it: of two runs one moves it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, text

from jobs.horizon.decode import Undecodable, decode_envelope
from jobs.horizon.model import Watermark
from jobs.reconcile.address import parse_address
from jobs.reconcile.plan import EARLY, Age, Group, close_time
from jobs.reconcile.store import Wanted, due_parameters, due_statement


@dataclass(frozen=True, slots=True)
class Due:
    """The rows that are due: in groups that share an account, and how many only their hash or no request can help."""

    rows: int
    groups: tuple[Group, ...]
    others: int


@dataclass(frozen=True, slots=True)
class Move:
    """A cursor that moves once everything up to `after` (TOIDs) is paid; None: the reading has come to its end."""

    scope: str
    before: int
    after: int | None


def read_due(conn: Connection, wanted: Wanted, mark: Watermark, passphrase: str, *, run_id: int) -> Due:
    """The rows that are due and not looked at by run `run_id`, by the account whose pages would list them and by age, as far as `mark` goes."""
    parameters = due_parameters(wanted, run_id=run_id) | {
        "elder": mark.elder_ledger,
        "latest": mark.ledger,
        "closed_at": mark.closed_at,
        "early": EARLY,
        "close": close_time(mark),
    }
    found: dict[str, dict[int, Age]] = {}
    rows = others = 0
    for record in conn.execute(due_statement(_DUE_BY_ACCOUNT, wanted), parameters):
        rows += record.rows
        if not record.askable:
            continue
        scope = _account_of(record, passphrase)
        if scope is None:
            others += record.rows
            continue
        ages = found.setdefault(scope, {})
        age = Age(record.since, record.rows, record.oldest, record.middle)
        ages[record.age] = age if record.age not in ages else ages[record.age].add(age)
    groups = tuple(
        Group(scope, tuple(sorted(ages.values(), key=lambda age: age.since))) for scope, ages in sorted(found.items())
    )
    return Due(rows, groups, others)


def begin(conn: Connection, network: str, scope: str, since: int) -> int:
    """The cursor (TOID) to read on from: where an earlier reading of the same stretch was cut short, or ledger `since`."""
    token: int = conn.execute(
        text(
            "INSERT INTO ops.page_cursors AS c (network, scope, since, token) VALUES (:network, :scope, :since, :token)"
            " ON CONFLICT (network, scope) DO UPDATE"
            " SET (since, token, began_at) = (SELECT"
            "   CASE WHEN goes_on THEN c.since ELSE EXCLUDED.since END,"
            "   CASE WHEN goes_on THEN c.token ELSE EXCLUDED.token END,"
            "   CASE WHEN goes_on THEN c.began_at ELSE now() END"
            "   FROM (SELECT c.since <= EXCLUDED.since AND c.token >= EXCLUDED.token"
            "                AND c.began_at > now() - interval '1 day' AS goes_on) AS known)"
            " RETURNING token"
        ),
        {"network": network, "scope": scope, "since": since, "token": since << 32},
    ).scalar_one()
    return token


def advance(conn: Connection, network: str, moves: Iterable[Move]) -> None:
    """Moves cursors in the caller's transaction; one that another run has moved meanwhile stays where that put it."""
    for move in sorted(moves, key=lambda move: (move.scope, move.before)):
        place = {"network": network, "scope": move.scope, "before": move.before, "after": move.after}
        where = "WHERE network = :network AND scope = :scope AND token = :before"
        if move.after is None:
            conn.execute(text(f"DELETE FROM ops.page_cursors {where}"), place)  # noqa: S608 - a constant
        else:
            conn.execute(text(f"UPDATE ops.page_cursors SET token = :after {where}"), place)  # noqa: S608


def _account_of(record: Row[tuple[object, ...]], passphrase: str) -> str | None:
    """The account of a group: of a signed withdrawal the one that sends it, else the receiver's."""
    if record.envelope is not None:
        try:
            return decode_envelope(record.envelope.strip(), passphrase).source
        except Undecodable:
            return None
    address = parse_address(record.receiver)
    return None if address is None else address.account


# Envelopes and multiplexed addresses are grouped by their first 39 bytes (52 characters), which nearly hold the account:
# one representative of each group is decoded. Ages are magnitudes of ledgers, since one straggler must not make a group of its own.
_DUE_BY_ACCOUNT = """
WITH due AS (
    -- 64 hex digits: a regular expression for it took most of the statement's time.
    SELECT t.created_at, (length(trim(t.tx_hash)) = 64
                          AND btrim(lower(trim(t.tx_hash)), '0123456789abcdef') = '') IS TRUE AS askable,
           CASE WHEN t.type = 'WITHDRAW' THEN nullif(t.envelope_xdr, '') END AS envelope,
           coalesce(nullif(t.destination, ''),
                    (SELECT u.wallet_public_key FROM users u WHERE u.id = t.user_id)) AS receiver,
           least(:latest, greatest(:elder,
               :latest - ceil(extract(epoch FROM CAST(:closed_at AS timestamptz) - t.created_at + CAST(:early AS interval))
                              / extract(epoch FROM CAST(:close AS interval))),
               CASE WHEN c.outcome = 'absent' THEN c.ledger END)) AS since
    {due}
)
SELECT askable,
       CASE WHEN askable THEN floor(ln(CAST(greatest(:latest - since, 1) AS double precision)) / ln(CAST(2 AS double precision)))
            END AS age,
       CAST(min(since) AS bigint) AS since, CAST(avg(since) AS bigint) AS middle, count(*) AS rows, min(created_at) AS oldest,
       min(envelope) AS envelope, min(receiver) AS receiver
  FROM due
 GROUP BY askable, age, left(CASE WHEN askable THEN envelope END, 52),
          CASE WHEN askable AND envelope IS NULL THEN CASE WHEN receiver LIKE 'M%' THEN left(receiver, 52) ELSE receiver END END
"""
