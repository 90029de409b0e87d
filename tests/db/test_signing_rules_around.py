"""Rules 13 to 22 of `sign-off.md`: what stands around a signature, each proven by a test named after it."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from checklists import moving
from checklists.delegation import delegate, list_delegations, revoke
from checklists.lines import leaves
from checklists.moving import move_run
from checklists.reads import RunState, list_events
from checklists.schema import Template
from checklists.signing import Proof, sign
from checklists.signoff import exceptions, line_for
from checklists.store import close_run, tick, untick
from checklists.tracker import Refused
from jobs.core.errors import Conflict, Forbidden, UsageError
from jobs.core.permissions import Role
from tests.db.signing import (
    ABOVE_THE_GATE,
    DEFINITION,
    DEVELOPER,
    DEVOPS,
    HERE,
    MANAGER,
    QA_LEAD,
    RELEASE,
    Floor,
)
from tests.ui import seed


def test_rule_13_signatures_and_the_audit_trail_are_only_added_to(signed: Floor) -> None:
    for statement in (
        "UPDATE ops.checklist_signatures SET name = 'Somebody'",
        "UPDATE ops.checklist_signatures SET voided_at = now(), voided_by = 'x', voided_why = 'x', name = 'Somebody'",
        "DELETE FROM ops.checklist_signatures",
        "TRUNCATE ops.checklist_signatures",
        "UPDATE ops.audit SET actor = 'x'",
        "DELETE FROM ops.checklist_events",
    ):
        with pytest.raises(DBAPIError, match="append-only"), signed.db.begin() as conn:
            conn.execute(text(statement))
    with pytest.raises(DBAPIError, match="check constraint"), signed.db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.checklist_signatures (run_id, role, kind, meaning, statement, name, email, roles, record,"
                " digest) SELECT run_id, 'devops', kind, meaning, statement, name, email, roles, '{}', digest"
                " FROM ops.checklist_signatures"
            )
        )


def test_rule_14_the_servers_clock_counts_and_a_late_entry_is_flagged_with_its_reason(floor: Floor) -> None:
    dora = floor.people[DEVELOPER]
    done_at = floor.run().started_at
    with floor.db.begin() as conn:
        with pytest.raises(UsageError, match="say why"):
            tick(conn, floor.run_id, "build/compile", 1, dora, performed_at=done_at, **HERE)
        tick(conn, floor.run_id, "build/compile", 1, dora, performed_at=done_at, note="The desk was down", **HERE)
    run = floor.run()
    mark = next(leaves(run.phases)).mark
    assert mark.at is not None
    assert done_at < mark.at
    told = [words for line, words in exceptions(run, line_for(run, QA_LEAD)) if line.id == "build/compile"]
    assert len(told) == 1
    assert told[0].startswith("it was entered late")


def test_rule_15_failed_signings_are_recorded_and_five_lock_the_account(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    quentin, digest = floor.people[QA_LEAD], floor.digest(QA_LEAD)
    attempt = partial(sign, floor.db, floor.run_id, QA_LEAD, quentin, seen_digest=digest, **HERE)

    def wrong(_: int) -> None:
        with pytest.raises(Forbidden, match="locked for 15 minutes"):
            attempt(proof=Proof("guess", quentin.email))

    with ThreadPoolExecutor(5) as pool:
        list(pool.map(wrong, range(5)))  # in a crowd each one is counted
    with pytest.raises(Forbidden):
        attempt(proof=Proof(seed.PASSWORD, quentin.email))
    assert not floor.run().signatures
    with floor.db.read() as conn:
        rows = conn.execute(text("SELECT actor, reason FROM ops.audit WHERE action = 'person.signing_refused'")).all()
    assert {(row.actor, row.reason) for row in rows} == {(quentin.email, f"run {floor.run_id} as qa_lead")}
    assert len(rows) == 6


def test_rule_16_a_delegation_is_scoped_ends_and_shows_on_whose_behalf(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    quinn, una = floor.hire("Quinn", QA_LEAD, DEVELOPER), floor.hire("Una", Role.ON_CALL)
    until = floor.run().read_at + timedelta(hours=8)
    with pytest.raises(Forbidden, match="nobody who could has let you"):
        floor.sign(QA_LEAD, una, on_behalf_of=quinn.email)
    with floor.db.begin() as conn:
        with pytest.raises(UsageError, match="within 30 days"):
            delegate(conn, floor.run_id, QA_LEAD, una.email, until + timedelta(days=31), quinn, "On leave", **HERE)
        with pytest.raises(Forbidden, match="takes the role qa_lead yourself"):
            delegate(conn, floor.run_id, QA_LEAD, una.email, until, floor.starter, "On leave", **HERE)
        number = delegate(conn, floor.run_id, QA_LEAD, una.email, until, quinn, "On leave", **HERE)
    with pytest.raises(Forbidden, match="nobody who could has let you"):
        floor.sign(DEVELOPER, una, on_behalf_of=quinn.email)  # of this role only
    kept = floor.sign(QA_LEAD, una, on_behalf_of=quinn.email)
    assert (kept.name, kept.on_behalf_name, kept.holds) == ("Una", "Quinn", True)
    with floor.db.begin() as conn:
        revoke(conn, floor.run_id, number, quinn, **HERE)
        assert list_delegations(conn, floor.run_id) == ()
        untick(conn, floor.run_id, "test/suite", 2, quinn, **HERE)
        tick(conn, floor.run_id, "test/suite", 3, quinn, **HERE)
    with pytest.raises(Forbidden):
        floor.sign(QA_LEAD, una, on_behalf_of=quinn.email)


def test_rule_16_who_signs_for_somebody_obeys_the_separation_and_so_does_the_other(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    quentin, dora = floor.people[QA_LEAD], floor.people[DEVELOPER]
    until = floor.run().read_at + timedelta(hours=8)
    with floor.db.begin() as conn:
        delegate(conn, floor.run_id, QA_LEAD, dora.email, until, quentin, "On leave", **HERE)
    with pytest.raises(Forbidden, match="You closed “Compile”"):
        floor.sign(QA_LEAD, dora, on_behalf_of=quentin.email)


def test_rule_17_an_expedited_run_passes_its_gates_and_closes_only_when_it_was_reviewed(floor: Floor) -> None:
    with pytest.raises(Refused, match="nobody with an open account can sign as Review of the expedited start"):
        floor.start(urgent="Withdrawals fail")  # whoever starts it does not review it
    reviewer = floor.hire("Rex", Role.RELEASE_MANAGER)
    floor.run_id = floor.start(urgent="Withdrawals fail")
    run = floor.run()
    assert run.review_due_at == run.started_at + timedelta(hours=48)
    assert not run.phases[2].gate
    floor.tick(("ship/deploy", "ship/watch", *ABOVE_THE_GATE))
    for role in (DEVELOPER, QA_LEAD, DEVOPS, MANAGER):
        floor.sign(role)
    close = partial(close_run, run_id=run.id, actor=floor.starter, outcome=RunState.DONE, **HERE)
    with pytest.raises(Refused, match="Review of the expedited start must sign first"), floor.db.begin() as conn:
        close(conn)
    with pytest.raises(Forbidden, match="You started this run expedited"):
        floor.sign(Role.RELEASE_MANAGER, floor.starter)
    floor.sign(Role.RELEASE_MANAGER, reviewer)
    with floor.db.begin() as conn:
        close(conn)
    assert floor.run().state is RunState.DONE


def test_rule_18_a_run_holds_who_asked_who_approved_apart_from_them_and_what_was_unusual(signed: Floor) -> None:
    signed.tick(("ship/deploy", "ship/watch"))
    for role in (DEVELOPER, DEVOPS, MANAGER):
        signed.sign(role)
    run = signed.run()
    approver = next(one for one in run.signatures if one.meaning == "approved")
    assert run.started_by == "rhea@nexafx.test"
    assert approver.email not in {run.started_by, *(one.email for one in run.signatures if one is not approver)}
    times = {line.id: line.mark.at for line in leaves(run.phases) if line.mark.at is not None}
    assert times["test/suite"] < times["ship/deploy"]
    assert [(line.id, words) for line, words in exceptions(run, line_for(run, MANAGER))] == [
        ("test/pair", "it was left open")
    ]


def test_rule_19_nothing_that_was_signed_can_be_deleted_and_a_record_verifies_by_itself(signed: Floor) -> None:
    for table in ("checklist_runs", "checklist_signatures", "checklist_evidence"):
        with pytest.raises(DBAPIError), signed.db.begin() as conn:
            conn.execute(text(f"DELETE FROM ops.{table}"))
    with signed.db.read() as conn:
        rows = conn.execute(text("SELECT record, digest FROM ops.checklist_signatures")).all()
    assert [hashlib.sha256(row.record.encode()).hexdigest() for row in rows] == [row.digest for row in rows]


def test_rule_20_of_two_on_one_item_one_wins_and_the_signature_is_voided_once(signed: Floor) -> None:
    with signed.db.begin() as conn:
        untick(conn, signed.run_id, "test/suite", 2, signed.people[QA_LEAD], **HERE)
    with pytest.raises(Conflict), signed.db.begin() as conn:
        untick(conn, signed.run_id, "test/suite", 2, signed.starter, **HERE)
    assert signed.kinds().count("signature void") == 1


def test_rule_21_what_was_undone_stays_in_the_history(signed: Floor) -> None:
    signed.reject(QA_LEAD, "The suite skipped refunds")
    with signed.db.read() as conn:
        events = list_events(conn, signed.run_id, item_id="test/suite")
    assert [(event.kind, event.note) for event in events] == [
        ("unticked", "The suite skipped refunds"),
        ("ticked", None),
    ]


def test_rule_22_a_run_moves_to_a_newer_version_only_by_an_explicit_step_that_voids(
    signed: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, test, ship = json.loads(json.dumps(DEFINITION["phases"]))
    build["items"] = [{"id": "compile", "do": "Compile with warnings as errors"}, build["items"][1], "Sign the image"]
    test["items"] = test["items"][:1]
    newest = Template.model_validate({**DEFINITION, "phases": [build, test, ship]})
    monkeypatch.setattr(moving, "find_template", lambda _name: newest)
    assert signed.run().template_version == RELEASE.version  # pinned, whatever the files say
    with signed.db.begin() as conn:
        with pytest.raises(Conflict, match="look again at what would change"):
            move_run(conn, signed.run_id, "what it was", signed.starter, "Warnings", **HERE)
        changed = move_run(conn, signed.run_id, newest.version, signed.starter, "Warnings", **HERE)
    assert changed.new == (("build/sign-the-image", "Sign the image"),)
    assert [(one.item_id, one.old, one.new) for one in changed.reworded] == [
        ("build/compile", "Compile", "Compile with warnings as errors")
    ]
    assert (changed.removed, changed.kept) == ((("test/pair", "Compare"),), 4)
    run = signed.run()
    states = {line.id: line.mark.state.value for line in leaves(run.phases)}
    assert states == {
        "build/compile": "open", "build/notes": "done", "build/sign-the-image": "open", "test/suite": "done",
        "ship/deploy": "open", "ship/watch": "open",
    }  # fmt: skip
    assert [(one.item_id, one.text) for one in run.retired] == [("test/pair", "Compare")]
    assert run.template_version == newest.version
    assert [one.holds for one in run.signatures] == [False]
    assert run.phases[2].gate
