"""The 22 rules of `sign-off.md`, each proven by a test named after it.

The first twelve stand here, the others in `test_signing_rules_around.py`. Where a rule reaches into another room (the
chain of the audit trail, packs, retention), these prove its part in signing; the rest is proven beside the code that does it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Connection, text

from checklists.evidence import add_text
from checklists.lines import State, leaves
from checklists.record import digest_of
from checklists.signatures import SignatureKind, signed_record
from checklists.signing import Proof, sign, to_sign
from checklists.store import assign, comment, hand_over, mark_na, set_field, start_run, tick, untick
from checklists.tracker import Refused
from checklists.voiding import void_broken
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, NexaError, UsageError
from jobs.core.people import disable_person
from jobs.core.permissions import Role
from jobs.core.sessions import open_session, session_name, touch_session
from tests.db.signing import (
    ABOVE_THE_GATE,
    ALL,
    DEVELOPER,
    DEVOPS,
    HERE,
    MANAGER,
    QA_LEAD,
    RELEASE,
    Floor,
    note,
)
from tests.ui import seed


def test_every_rule_has_a_test_that_is_named_after_it() -> None:
    files = Path(__file__).parent.glob("test_signing_rules*.py")
    named = {
        rule for file in files for rule in re.findall(r"^def test_rule_(\d\d)_", file.read_text("utf-8"), re.MULTILINE)
    }
    assert named == {f"{number:02}" for number in range(1, 23)}


def test_rule_01_a_signature_has_the_printed_name_the_servers_time_and_a_meaning(signed: Floor) -> None:
    with signed.db.begin() as conn:
        before = conn.execute(text("SELECT clock_timestamp()")).scalar_one()
    signed.tick(("ship/deploy", "ship/watch"))
    kept = signed.sign(DEVELOPER)
    assert (kept.name, kept.email, kept.meaning) == ("Dora", "dora@nexafx.test", "authored")
    assert kept.statement == "I built and tested this version."
    assert before < kept.signed_at < signed.run().read_at
    assert kept.signed_at.utcoffset() == timedelta(0)
    with signed.db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET name = 'Dora Married' WHERE email = 'dora@nexafx.test'"))
    assert [one.name for one in signed.run().signatures] == ["Quentin", "Dora"]


def test_rule_02_it_binds_the_hash_of_all_that_it_answers_for_and_fails_on_another_run(signed: Floor) -> None:
    (kept,) = signed.run().signatures
    with signed.db.read() as conn:
        record = signed_record(conn, signed.run_id, kept.id)
    assert record is not None
    assert hashlib.sha256(record.encode()).hexdigest() == kept.digest
    held = json.loads(record)
    assert (held["run"], held["template"], held["version"]) == (signed.run_id, "release", RELEASE.version)
    assert held["summary"] == {"version": "2.4.0"}
    assert held["phases"] == ["build", "test"]
    assert set(held["items"]) == {*ABOVE_THE_GATE, "test/pair"}
    assert held["items"]["build/notes"]["state"] == "done"
    assert held["items"]["build/notes"]["evidence"] == [
        ["notes", hashlib.sha256(b"Settles twice as fast.").hexdigest()]
    ]

    twin = signed.start()
    signed.tick(ABOVE_THE_GATE, run_id=twin)
    with signed.db.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ops.checklist_signatures (run_id, role, kind, meaning, statement, name, email, roles, record,"
                " digest) SELECT :twin, role, kind, meaning, statement, name, email, roles, record, digest"
                " FROM ops.checklist_signatures"
            ),
            {"twin": twin},
        )
    assert signed.run().signed == {QA_LEAD}
    assert signed.run(twin).signed == frozenset()


Change = Callable[[Connection, Floor], object]


def _checked_again(conn: Connection, floor: Floor) -> None:
    conn.execute(
        text(
            "INSERT INTO ops.checklist_checks (run_id, item_id, name, params, verdict, summary, output, sha256,"
            " expires_at, ran_by) VALUES (:id, 'test/suite', 'suite.green', '{}', 'passed', 'ok', '{}', 'bb',"
            " now() + interval '1 hour', 'test')"
        ),
        {"id": floor.run_id},
    )
    void_broken(conn, floor.run_id, floor.people[QA_LEAD], "the check of “Run the suite” ran again", **HERE)


_BOUND: dict[str, Change] = {
    "a tick": lambda conn, floor: tick(conn, floor.run_id, "test/pair", 1, floor.people[QA_LEAD], **HERE),
    "a reopening": lambda conn, floor: untick(conn, floor.run_id, "test/suite", 2, floor.people[QA_LEAD], **HERE),
    "an N/A": lambda conn, floor: mark_na(conn, floor.run_id, "test/pair", 1, floor.people[QA_LEAD], "Alone", **HERE),
    "evidence": lambda conn, floor: add_text(
        conn, floor.run_id, "test/suite", "log", "412 passed", floor.people[QA_LEAD], **HERE
    ),
    "the summary": lambda conn, floor: set_field(
        conn, floor.run_id, "version", "2.4.1", 1, floor.starter, "a typing error", **HERE
    ),
    "a check's result": _checked_again,
}


@pytest.mark.parametrize("change", _BOUND.values(), ids=_BOUND.keys())
def test_rule_03_changing_what_is_bound_voids_it_visibly_and_closes_the_gate(signed: Floor, change: Change) -> None:
    assert not signed.run().phases[2].gate
    with signed.db.begin() as conn:
        change(conn, signed)
    run = signed.run()
    (void,) = run.signatures
    assert (void.name, void.holds, void.voided_at is not None) == ("Quentin", False, True)
    assert void.voided_why
    assert run.phases[2].gate == ("the signature of QA Lead",)
    assert signed.kinds()[0] == "signature void"


def test_rule_03_comments_hand_overs_and_work_below_the_gate_do_not_void_it(signed: Floor) -> None:
    with signed.db.begin() as conn:
        quentin = signed.people[QA_LEAD]
        comment(conn, signed.run_id, "test/suite", "Took four minutes", quentin, **HERE)
        comment(conn, signed.run_id, None, "Nearly there", quentin, **HERE)
        assign(conn, signed.run_id, "test/pair", quentin, assignee=quentin.email, **HERE)
        hand_over(conn, signed.run_id, quentin.email, signed.starter, "The rest is yours", **HERE)
    signed.tick(("ship/deploy",))
    assert signed.run().signed == {QA_LEAD}


def test_rule_03_a_check_that_says_the_same_again_does_not_void_it_and_one_that_fails_does(floor: Floor) -> None:
    floor.result("test/suite", "passed", sha256="aa")
    floor.tick(ABOVE_THE_GATE)
    floor.sign(QA_LEAD)
    floor.result("test/suite", "passed", sha256="bb")
    assert floor.run().signed == {QA_LEAD}
    floor.result("test/suite", "failed", sha256="cc")
    assert floor.run().signed == frozenset()


def test_rule_03_a_change_that_went_past_the_commands_is_not_believed_either(signed: Floor) -> None:
    with signed.db.begin() as conn:
        conn.execute(
            text("UPDATE ops.checklist_items SET changed_by = 'mallory@nexafx.com' WHERE item_id = 'test/suite'")
        )
    assert signed.run().signed == frozenset()
    assert signed.run().phases[2].gate


def test_rule_04_the_password_is_asked_again_and_after_ten_idle_minutes_everything(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    quentin = floor.people[QA_LEAD]
    with floor.db.begin() as conn:
        token = open_session(conn, quentin.id, origin="test", hours=1)
    session = session_name(token)

    def attempt(password: str, email: str | None = None) -> int:
        proof = Proof(password, email, session)
        return sign(floor.db, floor.run_id, QA_LEAD, quentin, proof, floor.digest(QA_LEAD), **HERE)

    with pytest.raises(Forbidden, match="password is wrong"):
        attempt("")  # a session alone
    with floor.db.begin() as conn:
        conn.execute(text("UPDATE ops.sessions SET seen_at = now() - interval '11 minutes'"))
        touch_session(conn, token)  # coming back does not make it one period again
    with pytest.raises(UsageError, match="more than ten minutes"):
        attempt(seed.PASSWORD)
    with pytest.raises(Forbidden, match="signed in as Quentin"):
        attempt(seed.PASSWORD, "dora@nexafx.test")
    assert attempt(seed.PASSWORD, "Quentin@nexafx.test")
    with floor.db.begin() as conn:
        untick(conn, floor.run_id, "test/suite", 2, quentin, **HERE)
        tick(conn, floor.run_id, "test/suite", 3, quentin, **HERE)
    assert attempt(seed.PASSWORD)  # one continuous period again


def test_rule_05_a_disabled_person_cannot_sign_and_what_they_signed_still_shows(signed: Floor) -> None:
    signed.tick(("ship/deploy", "ship/watch"))
    with signed.db.begin() as conn:
        for role in (QA_LEAD, DEVELOPER):
            disable_person(conn, signed.people[role].email, actor="system", origin="test")
    with pytest.raises(Forbidden):
        signed.sign(DEVELOPER)
    assert [(one.name, one.holds) for one in signed.run().signatures] == [("Quentin", True)]


def test_rule_05_a_one_time_password_that_others_know_signs_nothing(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    with floor.db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET must_change = true"))
    with pytest.raises(Forbidden, match="one-time password"):
        floor.sign(QA_LEAD)


def test_rule_06_the_role_is_checked_when_the_signature_commits_and_kept_with_it(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    both = floor.hire("Bea", QA_LEAD, Role.ON_CALL)
    assert floor.sign(QA_LEAD, both).roles == {QA_LEAD, Role.ON_CALL}
    floor.tick(("ship/deploy", "ship/watch"))
    with floor.db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}' WHERE email = 'dora@nexafx.test'"))
    with pytest.raises(Forbidden, match="takes the role developer"):
        floor.sign(DEVELOPER)  # the person as the page knew them still had it


def test_rule_07_no_administrator_stands_in_for_a_role(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    root = floor.hire("Root", Role.ADMINISTRATOR, Role.RELEASE_MANAGER)
    with pytest.raises(Forbidden, match="no other will do"):
        floor.sign(QA_LEAD, root)


def test_rule_07_one_person_cannot_fill_two_separated_roles(signed: Floor) -> None:
    signed.tick(("ship/deploy", "ship/watch"))
    many = signed.hire("Manny", DEVELOPER, DEVOPS, MANAGER, Role.ADMINISTRATOR)
    signed.sign(DEVELOPER, many)
    signed.sign(DEVOPS, many)  # which nothing separates from the developer
    with pytest.raises(Forbidden, match="You signed as Developer"):
        signed.sign(MANAGER, many)


def test_rule_07_who_did_the_work_does_not_judge_it(floor: Floor) -> None:
    both = floor.hire("Bob", DEVELOPER, QA_LEAD)
    floor.tick(("build/compile",), both)
    floor.tick(("build/notes", "test/suite"))
    with pytest.raises(Forbidden, match="You closed “Compile”"):
        floor.sign(QA_LEAD, both)
    assert floor.sign(QA_LEAD).holds


def test_rule_08_a_run_starts_only_if_distinct_people_can_sign_it(db: Database, floor: Floor) -> None:
    def starting(**more: str) -> None:
        with db.begin() as conn:
            start_run(conn, RELEASE, {"version": "1"}, floor.starter, origin="test", **more)

    starting()
    # Whoever is both cannot be two of them.
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{developer,qa_lead}' WHERE email = 'dora@nexafx.test'"))
        disable_person(conn, "quentin@nexafx.test", actor="system", origin="test")
    with pytest.raises(
        Refused, match="Developer and QA Lead must be signed by 2 different people, and there is only Dora"
    ):
        starting()
    with db.begin() as conn:
        disable_person(conn, "dora@nexafx.test", actor="system", origin="test")
    with pytest.raises(Refused, match="nobody with an open account can sign as Developer and QA Lead"):
        starting()


@pytest.mark.parametrize(
    ("role", "done", "words"),
    [
        (QA_LEAD, (), "“Compile”, “Write notes”, “Run the suite” must come first"),
        (MANAGER, ALL, "the signature of DevOps must come first"),
    ],
)
def test_rule_09_signing_out_of_order_is_refused(floor: Floor, role: Role, done: tuple[str, ...], words: str) -> None:
    if done:
        floor.tick(ABOVE_THE_GATE)
        floor.sign(QA_LEAD)
        floor.tick(("ship/deploy", "ship/watch"))
    with pytest.raises(Refused, match=words):
        floor.sign(role)


def test_rule_09_what_a_check_has_proven_must_still_be_proven(floor: Floor) -> None:
    floor.result("test/suite", "passed", age="2 h")
    floor.tick(ABOVE_THE_GATE)
    with pytest.raises(Refused, match="the check of “Run the suite” \\(its result is too old"):
        floor.sign(QA_LEAD)
    floor.result("test/suite", "failed")
    with pytest.raises(Refused, match="“Run the suite” \\(its check has failed since"):
        floor.sign(QA_LEAD)
    floor.result("test/suite", "passed")
    assert floor.sign(QA_LEAD).holds


def test_rule_10_the_digest_that_was_shown_is_the_one_that_is_signed(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    shown = floor.digest(QA_LEAD)
    with floor.db.begin() as conn:
        note(conn, floor.run_id, floor.people[DEVELOPER])
    with pytest.raises(Conflict, match="has changed since you looked"):
        floor.sign(QA_LEAD, digest=shown)
    assert floor.sign(QA_LEAD).digest == digest_of(to_sign(floor.run(), QA_LEAD))


def test_rule_11_a_rejection_has_a_reason_and_reopens_the_phase(signed: Floor) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        signed.reject(QA_LEAD, " ")
    signed.reject(QA_LEAD, "The suite skipped refunds")
    run = signed.run()
    void, rejection = run.signatures
    assert (rejection.kind, rejection.meaning, rejection.reason) == (
        SignatureKind.REJECTED, "rejected", "The suite skipped refunds"
    )  # fmt: skip
    assert void.voided_why == "QA Lead rejected: The suite skipped refunds"
    states = {line.id: line.mark.state for line in leaves(run.phases)}
    assert states["test/suite"] is State.OPEN  # the last phase of what this role signs for
    assert states["build/compile"] is State.DONE
    signed.reject(QA_LEAD, "And it does not build", "build")
    assert {line.mark.state for line in leaves(signed.run().phases)} == {State.OPEN}
    with pytest.raises(UsageError, match="no phase that you sign for"):
        signed.reject(QA_LEAD, "Not mine", "ship")


def test_rule_12_of_two_who_sign_as_one_role_one_wins_and_its_audit_row_commits_with_it(floor: Floor) -> None:
    floor.tick(ABOVE_THE_GATE)
    people = [floor.people[QA_LEAD], *(floor.hire(name, QA_LEAD) for name in ("Ria", "Sam"))]
    digest, start = floor.digest(QA_LEAD), Barrier(len(people))

    def one(index: int) -> object:
        start.wait()
        try:
            return floor.sign(QA_LEAD, people[index], digest=digest)
        except NexaError as error:
            return error

    with ThreadPoolExecutor(len(people)) as pool:
        outcomes = list(pool.map(one, range(len(people))))
    (winner,) = floor.run().signatures
    conflicts = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert len(conflicts) == 2
    assert all(f"{winner.name} signed as QA Lead" in str(error) for error in conflicts)
    with floor.db.read() as conn:
        rows = conn.execute(text("SELECT actor, new FROM ops.audit WHERE action = 'checklist.signed'")).all()
    assert [(row.actor, row.new["digest"]) for row in rows] == [(winner.email, winner.digest)]
