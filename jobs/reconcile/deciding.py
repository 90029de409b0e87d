"""A person's decision on a case: Horizon is asked at that moment, and one transaction does what follows.

Two steps, because nobody may hold a lock while waiting for an answer: `ask_again` reads, asks and judges without a
transaction; `conclude` takes the answer into one, where the case must still be open, the row must still be what was
shown and what Horizon was asked about, and no run may hold it. Whoever is second finds one of these gone and gets a
Conflict in one sentence; nothing is written then. The status, books and cases change in the one settling statement.

It is done where the person waits, not in a job: a look-up takes about a second, has a short time limit, and the answer
is what the person wants to know. Asking about several cases at once costs little more than asking about one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, text

from jobs.core import audit
from jobs.core.db import Database, jsonb
from jobs.core.errors import Conflict, NotFound, TransientError, UsageError
from jobs.core.flags import Flag, read_flags
from jobs.core.logs import get_logger
from jobs.core.people import Person
from jobs.core.permissions import require
from jobs.core.settings import Settings
from jobs.horizon import choice as servers
from jobs.horizon.decode import Undecodable, decode_envelope, is_hash
from jobs.reconcile import verdicts
from jobs.reconcile.asking import ask_about, pictures_of
from jobs.reconcile.cases import Waiting, close_cases, lock_case, read_cases
from jobs.reconcile.picture import Decision, Limits, Picture, Row
from jobs.reconcile.rules import hash_to_ask
from jobs.reconcile.settle import Attempt, Outcome, Proved, settle
from jobs.reconcile.store import Held, Wanted, database_now, hold_batch, read_rows
from jobs.reconcile.verdicts import RIGHTS, Choice, Payment, Refusal

log = get_logger(__name__)
MOST_AT_ONCE = 100
"""Cases that one call decides: more would keep the person waiting for too long."""
LONGEST_WAIT = timedelta(days=90)
_REQUEST_S = 5.0
_LOOK_S = 20.0
"""For how long Horizon is asked in all; what is not answered by then is refused."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A case as the person saw it: its number, its row's version, and the payment that they were offered to accept."""

    case_id: int
    version: str
    payment: Payment | None = None
    tx_hash: str | None = None
    """Of LINK: the other hash. Of ACCEPT of a claimable balance: the transaction that claimed it, if it has to be named."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a person wants, and why."""

    choice: Choice
    why: str
    until: datetime | None = None
    """Of WAIT: until when the same reason stays quiet."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A case with what Horizon's answer allows; `held` is the row that it was asked about."""

    seen: Seen
    ruling: Ruling
    held: Held
    decision: Decision | Refusal | None
    """None: nothing had to be asked."""


@dataclass(slots=True)
class _Question:
    """Who asks: a person, for as long as they can be expected to wait."""

    db: Database
    settings: Settings
    until: float
    job: str = field(default="cases", init=False)

    def count(self, name: str, n: int = 1) -> None:
        """A person's look-up has no counters; Horizon's own journal counts its requests."""

    def warning(self, event: str, **fields: Any) -> None:
        log.warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        log.error(event, **fields)

    def should_stop(self) -> bool:
        return time.monotonic() > self.until


def ask_again(db: Database, settings: Settings, seen: Sequence[Seen], ruling: Ruling) -> list[Answered | Refusal]:
    """What Horizon says at this moment about each case, in their order; must be called outside of a transaction.

    Raises UsageError for a ruling that says too little, TransientError when Horizon does not answer in time, and what
    the client raises when no server can be believed.
    """
    _check(ruling, len(seen))
    with db.read() as conn:
        cases = read_cases(conn, [one.case_id for one in seen])
        rows = {held.row.id: held for held in read_rows(conn, [case.transaction_id for case in cases.values()])}
        now = database_now(conn)
    found: list[Answered | Refusal] = []
    asked: dict[int, list[Held]] = {}
    for one in seen:
        case = cases.get(one.case_id)
        refusal = _stale(case, one)
        if case is None or refusal is not None:
            found.append(Refusal(refusal or f"There is no case {one.case_id}."))
            continue
        held = rows[case.transaction_id]
        if ruling.choice not in verdicts.choices(case.reason, held.row.type or "", held.row.status):
            found.append(
                Refusal(f"Case {case.id} does not allow that: its row is a {held.row.type} that is {held.row.status}.")
            )
            continue
        if (ruling.choice is Choice.LINK or one.tx_hash) and not is_hash((one.tx_hash or "").strip()):
            found.append(Refusal("The other hash is malformed: it is not 64 hex digits."))
            continue
        found.append(Answered(one, ruling, held, None))
        if ruling.choice is not Choice.WAIT:
            asked[one.case_id] = _questions(held, one, ruling.choice, settings)
    if asked:
        pictures = _look(db, settings, asked, now)
        found = [
            replace(one, decision=_judge(cases[one.seen.case_id], one, pictures[one.seen.case_id]))
            if isinstance(one, Answered)
            else one
            for one in found
        ]
    return found


def conclude(conn: Connection, settings: Settings, who: Person, answered: Answered, *, origin: str) -> str:
    """Does what was decided in the caller's transaction, once; returns what to say.

    Raises Forbidden, NotFound, UsageError when the choice does not hold, and Conflict when somebody else was faster.
    """
    seen, ruling = answered.seen, answered.ruling
    require(who, RIGHTS[ruling.choice])
    case = lock_case(conn, seen.case_id)
    if case is None:
        raise NotFound(f"There is no case {seen.case_id}.")
    stale = _stale(case, seen)
    if stale is not None:
        raise Conflict(stale)
    if read_flags(conn)[Flag.DRY_RUN]:
        raise Conflict("dryRun is on: nothing may change now.")
    if ruling.choice is Choice.WAIT:
        return _wait(conn, who, case, ruling, origin)
    decision = answered.decision
    if not isinstance(decision, Decision):
        raise UsageError(decision.sentence if decision is not None else "Horizon was not asked.")
    attempt = Attempt(None, f"person:{uuid4()}", settings.passphrase, who.email, ruling.why.strip(), origin)
    row = _hold(conn, attempt, answered)
    if ruling.choice is Choice.LINK:
        return _link(conn, attempt, case, row, (seen.tx_hash or "").strip().lower(), decision)
    return _settle(conn, attempt, case, row, decision)


def _check(ruling: Ruling, count: int) -> None:
    if not ruling.why.strip():
        raise UsageError("Say why: whoever comes after you will want to know.")
    if count > MOST_AT_ONCE:
        raise UsageError(f"At most {MOST_AT_ONCE} cases are decided at once.")
    if ruling.choice is Choice.WAIT and ruling.until is None:
        raise UsageError("Say until when the case may wait.")


def _stale(case: Waiting | None, seen: Seen) -> str | None:
    """Why a case is no longer what the person saw; None: it is."""
    if case is None:
        return None
    if case.resolved_at is not None:
        return f"Case {case.id} was already closed by {case.resolved_by}: look at it again."
    if case.version != seen.version:
        return f"The transaction of case {case.id} has changed since you looked: look at it again."
    return None


def _questions(held: Held, seen: Seen, choice: Choice, settings: Settings) -> list[Held]:
    """The row as it is to be asked about, and, for a second hash, once more under that one."""
    row = held.row
    if hash_to_ask(row) is None and choice is Choice.FAIL and held.envelope_xdr:
        # What was signed may have been sent, although its hash was never saved.
        try:
            signed = decode_envelope(held.envelope_xdr.strip(), settings.passphrase)
            return [replace(held, row=replace(row, tx_hash=signed.hashes[0]))]
        except Undecodable:
            return [held]
    if seen.tx_hash:
        return [held, replace(held, row=replace(row, tx_hash=seen.tx_hash.strip().lower()))]
    return [held]


def _look(
    db: Database, settings: Settings, asked: Mapping[int, Sequence[Held]], now: datetime
) -> dict[int, list[Picture]]:
    """The pictures of every case, by its number, from one server and one round of questions."""
    batch = [held for several in asked.values() for held in several]
    quick = settings.model_copy(
        update={"horizon_timeout_s": min(settings.horizon_timeout_s, _REQUEST_S), "horizon_attempts": 1}
    )
    question = _Question(db, quick, time.monotonic() + _LOOK_S)
    if all(hash_to_ask(held.row) is None for held in batch):
        pictures = [Picture(held.row, now, limits=_limits(settings)) for held in batch]
    else:
        try:
            pictures = asyncio.run(_ask(question, batch, now))
        except TimeoutError:
            raise TransientError(
                f"Horizon did not answer within {_LOOK_S:.0f} seconds: nothing is decided, try again later."
            ) from None
    taken = iter(pictures)
    return {case_id: [next(taken) for _ in several] for case_id, several in asked.items()}


async def _ask(question: _Question, batch: Sequence[Held], now: datetime) -> list[Picture]:
    async with asyncio.timeout(_LOOK_S + _REQUEST_S), servers.Choice(question, urgent=True) as chosen:
        findings = await ask_about(question, chosen.current, batch, now)
        network = Attempt(None, "", question.settings.passphrase).network
        return await asyncio.to_thread(pictures_of, question, network, batch, findings)


def _limits(settings: Settings) -> Limits:
    return Limits(timedelta(minutes=settings.no_hash_after_min), timedelta(hours=settings.expire_unproven_after_h))


def _judge(case: Waiting, answered: Answered, pictures: Sequence[Picture]) -> Decision | Refusal:
    first, second = pictures[0], pictures[1] if len(pictures) > 1 else None
    match answered.ruling.choice:
        case Choice.ACCEPT:
            return verdicts.accept(first, case.reason, answered.seen.payment, second)
        case Choice.FAIL:
            return verdicts.fail(first, case.reason)
        case Choice.CANCEL:
            return verdicts.cancel(first, case.reason)
        case _:
            return Refusal("Name the other hash.") if second is None else verdicts.link(first, second)


def _hold(conn: Connection, attempt: Attempt, answered: Answered) -> Row:
    """Locks the row for this transaction; Conflict if it is no longer what was asked about, or if a run has it."""
    wanted = answered.held.row
    batch = hold_batch(
        conn, Wanted(wanted.status, transaction_id=wanted.id, everything=True), owner=attempt.owner, after=None, limit=1
    )
    if not batch:
        status = conn.execute(text("SELECT status FROM transactions WHERE id = :id"), {"id": wanted.id}).scalar_one()
        if status != wanted.status:
            raise Conflict(f"The transaction is {status} by now: look at it again.")
        raise Conflict("A run, or somebody else, is looking at this transaction just now: try again in a moment.")
    if batch[0] != answered.held:
        raise Conflict("The transaction has changed since Horizon was asked: look at it again.")
    return batch[0].row


_REFUSED = {
    Outcome.REUSED: "This payment has paid another row meanwhile: one payment pays one row.",
    Outcome.REFUND_SPENT: "The user's balance does not cover what would have to be taken from it.",
    Outcome.HELD: "Balances may not move now: enableBalanceUpdates is off.",
    Outcome.LOST: "The transaction has changed meanwhile: look at it again.",
}


def _settle(conn: Connection, attempt: Attempt, case: Waiting, row: Row, decision: Decision) -> str:
    flags = read_flags(conn)
    outcomes = settle(
        conn,
        attempt,
        [Proved(row, decision)],
        notify=flags[Flag.NOTIFICATIONS],
        move_balances=flags[Flag.BALANCE_UPDATES],
    )
    outcome = outcomes[row.id]
    if outcome is not Outcome.SETTLED:
        raise Conflict(_REFUSED[outcome])
    status = conn.execute(text("SELECT status FROM transactions WHERE id = :id"), {"id": row.id}).scalar_one()
    return f"Case {case.id}: the transaction is {status}. {decision.sentence}"


def _wait(conn: Connection, who: Person, case: Waiting, ruling: Ruling, origin: str) -> str:
    now = database_now(conn)
    if ruling.until is None or ruling.until <= now:
        raise UsageError("The time until which the case may wait has to be in the future.")
    if ruling.until - now > LONGEST_WAIT:
        raise UsageError(f"A case may wait for {LONGEST_WAIT.days} days at most.")
    why = ruling.why.strip()
    close_cases(conn, [case.id], actor=who.email, decision="waiting", why=why, until=ruling.until)
    told = {"decision": "waiting", "quiet_until": ruling.until.isoformat()}
    audit.record(
        conn,
        audit.AuditRow(who.email, "case.resolved", "case", str(case.id), origin, {"reason": case.reason}, told, why),
    )
    return f"Case {case.id} waits until {ruling.until:%Y-%m-%d %H:%M} UTC."


def _link(conn: Connection, attempt: Attempt, case: Waiting, row: Row, new: str, decision: Decision) -> str:
    """The row looks for its payment under the other hash from now on; its envelope stays, as what was once signed."""
    conn.execute(
        text(
            "UPDATE transactions SET tx_hash = :new, updated_at = now(), processing_locked_at = NULL,"
            " processing_locked_by = NULL WHERE id = :id AND status = 'PENDING' AND processing_locked_by = :owner"
        ),
        {"new": new, "id": row.id, "owner": attempt.owner},
    )
    others = conn.execute(
        text(
            "SELECT id, reason FROM ops.reconciliation_cases WHERE transaction_id = :id AND resolved_at IS NULL"
            " ORDER BY id FOR UPDATE"
        ),
        {"id": row.id},
    ).all()
    why, actor = attempt.why or "", attempt.actor
    close_cases(conn, [one.id for one in others], actor=actor, decision="linked", why=why)
    conn.execute(
        text(
            "INSERT INTO ops.decisions (decided_by, transaction_id, dry_run, verdict, reason, proof)"
            " VALUES (:actor, :id, false, 'linked', :reason, :proof)"
        ),
        {"actor": actor, "id": row.id, "reason": case.reason, "proof": jsonb(decision.proof)},
    )
    audit.record_many(
        conn,
        [
            audit.AuditRow(
                actor, "transaction.linked", "transaction", str(row.id), attempt.origin,
                {"tx_hash": row.tx_hash}, {"tx_hash": new}, why,
            ),
            *(
                audit.AuditRow(
                    actor, "case.resolved", "case", str(one.id), attempt.origin,
                    {"reason": one.reason}, {"decision": "linked"}, why,
                )
                for one in others
            ),
        ],
    )  # fmt: skip
    return f"Case {case.id}: the transaction has its new hash. The next look will say: {decision.sentence}"
