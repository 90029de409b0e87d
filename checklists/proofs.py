"""Items prove themselves: a check runs against the real thing, its result is kept, and a pass ticks.

A check may take a minute, so it runs outside of any transaction, and what it found is kept in one: the result with the
hash of its output, the event and the audit row, and the tick, if it still is the line's turn by then. Two people who run
the same check at once both leave a result; the tick is a conditional update, so there is one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from checklists.checks.model import CheckContext, CheckResult, Verdict
from checklists.checks.registry import run_check
from checklists.evidence import list_evidence
from checklists.grammar import Check, EvidenceKind
from checklists.history import keep
from checklists.lines import TrackedItem
from checklists.proving import may_tick, why_not_proven
from checklists.reads import ChecklistRun, RunState, load_run
from checklists.store import line_of, open_run, tick_proven
from checklists.tracker import Refused
from checklists.voiding import void_broken
from jobs.core.db import Database, jsonb
from jobs.core.errors import NexaError
from jobs.core.people import Person
from jobs.core.permissions import Right, Role, require
from jobs.core.settings import Settings

SYSTEM = Person(UUID(int=0), "system", "nexaops", frozenset({Role.ADMINISTRATOR}))
"""Who runs a check that nobody asked for; shown as what it is, never as a person."""
PROVEN = "Its check passed."
"""The reason of a tick that a check made; what it said stands beside."""
PARALLEL = 4
LONGEST_SUMMARY = 1000
_SURE = 10**15


@dataclass(frozen=True, slots=True)
class Proof:
    """What one look came to: what was found, and whether that ticked the line.

    `held_back` says why a pass did not tick. With `refused` nothing was kept, and the sentence says why.
    """

    item_id: str
    label: str
    verdict: Verdict
    summary: str
    mend: str | None = None
    ticked: bool = False
    held_back: str | None = None
    refused: bool = False


def prove(db: Database, settings: Settings, run_id: int, item_id: str, actor: Person, *, origin: str) -> Proof:
    """Runs the check of one line and keeps what it found; ticks the line if it passed and is its turn.

    Raises NotFound, Forbidden, or Refused (the run is closed, or there is nothing to check now).
    """
    require(actor, Right.TICK)
    with db.read() as conn:
        run = load_run(conn, run_id)
        line = line_of(run, item_id)
        given = [
            piece.body or ""
            for piece in list_evidence(conn, run_id, item_id)
            if piece.kind == EvidenceKind.TEXT and piece.withdrawn_at is None
        ]
    if run.state is not RunState.OPEN:
        raise Refused(f"Run {run_id} is closed: its checks do not run any more.")
    check = line.definition.check
    why_not = why_not_proven(line, run.read_at)
    if check is None or why_not is not None:
        raise Refused(str(why_not))
    context = CheckContext(db, settings, run.fields, run.started_at, run.read_at, given)
    result = run_check(check.use, check.with_, context)
    with db.begin() as conn:
        return _keep(conn, open_run(conn, run_id), line, check, result, actor, origin)


def prove_all(
    db: Database, settings: Settings, wanted: Iterable[tuple[int, TrackedItem]], actor: Person, *, origin: str
) -> Iterator[Proof]:
    """Runs the checks of these lines, each with its run's id, a few at a time; hands each result on as it comes.

    What is refused for one line is that line's own result. Which lines: `proving.to_prove` of a phase.
    """
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="prove") as pool:
        under_way = [pool.submit(_prove_one, db, settings, run, line, actor, origin) for run, line in wanted]
        try:
            for future in as_completed(under_way):
                yield future.result()
        finally:
            for future in under_way:
                future.cancel()


def _prove_one(db: Database, settings: Settings, run_id: int, line: TrackedItem, actor: Person, origin: str) -> Proof:
    try:
        return prove(db, settings, run_id, line.id, actor, origin=origin)
    except NexaError as error:
        return Proof(line.id, line.label, Verdict.UNABLE, str(error), refused=True)


def _keep(
    conn: Connection,
    run: ChecklistRun,
    seen: TrackedItem,
    check: Check,
    result: CheckResult,
    actor: Person,
    origin: str,
) -> Proof:
    output, digest = canonical(result.output)
    summary = result.summary[:LONGEST_SUMMARY]
    check_id: int = conn.execute(
        text(
            "INSERT INTO ops.checklist_checks"
            " (run_id, item_id, name, params, verdict, summary, mend, output, sha256, expires_at, ran_by)"
            " VALUES (:run_id, :item_id, :name, :params, :verdict, :summary, :mend, CAST(:output AS jsonb), :sha256,"
            "  clock_timestamp() + :ttl, :actor) RETURNING id"
        ),
        {
            "run_id": run.id,
            "item_id": seen.id,
            "name": check.use,
            "params": jsonb(dict(check.with_)),
            "verdict": result.verdict.value,
            "summary": summary,
            "mend": result.mend,
            "output": output,
            "sha256": digest,
            "ttl": check.ttl,
            "actor": actor.email,
        },
    ).scalar_one()
    new = {"check": check_id, "name": check.use, "verdict": result.verdict.value, "sha256": digest}
    keep(
        conn, run.id, actor, "check", origin, item_id=seen.id, new=new, note=summary, became=result.verdict.value
    )  # fmt: skip
    void_broken(
        conn, run.id, actor, f"the check of “{seen.label}” ran again: {result.verdict.value}", origin=origin
    )  # fmt: skip
    ticked, held_back = False, None
    line = line_of(run, seen.id)
    if may_tick(line, result.verdict, seen.mark.version, by_itself=actor.id == SYSTEM.id):
        try:
            tick_proven(conn, run, line, actor, PROVEN, origin)
            ticked = True
        except NexaError as error:  # not its turn, not theirs, or somebody was faster: nothing was written
            held_back = str(error)
    return Proof(seen.id, seen.label, result.verdict, summary, result.mend, ticked, held_back)


def canonical(output: Mapping[str, object]) -> tuple[str, str]:
    """What was seen as JSON with sorted keys and no spaces, and its SHA-256 in hex.

    The database keeps it as `jsonb`: read back and written this way again, it has the same hash.
    """
    written = json.dumps(_kept(output), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return written, hashlib.sha256(written.encode()).hexdigest()


def _kept(value: object) -> object:
    """What `jsonb` returns as it was given: no number beyond its digits, no text that UTF-8 does not have."""
    if isinstance(value, Mapping):
        return {str(_kept(str(key))): _kept(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(item) for item in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not abs(value) < _SURE:
        return str(value)  # infinity, what is no number, and what a reader of JSON may round
    if isinstance(value, float):
        return value + 0.0  # there is no minus zero
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    return value
