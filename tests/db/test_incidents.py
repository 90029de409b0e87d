"""Incidents: one lead at every moment, one end, an alert in one of them, and everything said kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DatabaseError

from checklists.load import find_template
from checklists.store import start_run
from jobs.alerts import incidents as room
from jobs.alerts.incident_story import timeline
from jobs.alerts.incidents import About, Incident
from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, NexaError, NotFound, UsageError
from jobs.core.flags import Flag, set_flag
from jobs.core.people import Person
from jobs.core.permissions import Role
from tests.ui import seed
from tests.ui.alerts import a_rule, an_alert, an_incident, someone


@pytest.fixture
def ada(db: Database) -> Person:
    return someone(db, seed.person(db, Role.ON_CALL, name="Ada"))


@pytest.fixture
def grace(db: Database) -> Person:
    return someone(db, seed.person(db, Role.DEVOPS, name="Grace"))


def stands(db: Database, number: int) -> Incident:
    with db.read() as conn:
        return room.get_incident(conn, number)


def told(db: Database, number: int) -> list[str]:
    with db.read() as conn:
        return [f"{moment.who} {moment.what}" for moment in timeline(conn, room.get_incident(conn, number))]


def do(db: Database, command: Callable[[Connection], object]) -> None:
    with db.begin() as conn:
        command(conn)


def together(db: Database, *commands: Callable[[Connection], object]) -> list[str]:
    """Runs commands at once; the refusals."""
    gate, refused = threading.Barrier(len(commands)), list[str]()

    def run(command: Callable[[Connection], object]) -> None:
        gate.wait()
        try:
            do(db, command)
        except NexaError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=run, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return refused


def test_its_whole_course_stands_in_one_column(db: Database, ada: Person, grace: Person) -> None:
    a_rule(db, title="A job fails")
    alert = an_alert(db)
    number = an_incident(db, ada.id, alerts=(alert,))
    do(db, lambda conn: room.add_note(conn, number, "Horizon answers 503", ada, origin="test"))
    do(
        db,
        lambda conn: set_flag(conn, Flag.RECONCILIATION, False, actor=ada.email, reason="it spares it", origin="test"),
    )
    do(db, lambda conn: room.hand_over(conn, number, grace.email, "wait for Horizon", 1, ada, origin="test"))
    do(db, lambda conn: conn.execute(text("INSERT INTO ops.app_versions (version) VALUES ('2.4.1')")))
    do(db, lambda conn: room.resolve(conn, number, "Horizon is back", grace, origin="test"))
    do(db, lambda conn: room.add_note(conn, number, "it was their disk", grace, origin="test"))
    assert told(db, number) == [
        "ada@nexafx.test opened the incident",
        "ada@nexafx.test noted",
        "ada@nexafx.test switched enableReconciliation off",
        "ada@nexafx.test handed over",
        " Production runs version 2.4.1 for the first time",
        "grace@nexafx.test resolved the incident",
        "grace@nexafx.test noted",
    ]
    with db.read() as conn:
        seen = timeline(conn, room.get_incident(conn, number))
    assert [moment.said for moment in seen if moment.said] == [
        "Horizon answers 503", "it spares it", "To grace@nexafx.test: wait for Horizon", "Horizon is back",
        "it was their disk",
    ]  # fmt: skip
    ended = stands(db, number)
    assert (ended.lead, ended.resolved_by, ended.open) == ("grace@nexafx.test", "grace@nexafx.test", False)


def test_what_happened_to_its_alerts_and_who_was_told_is_in_it(db: Database, ada: Person) -> None:
    a_rule(db, title="A job fails")
    alert, other = an_alert(db), an_alert(db, subject="retry-failed")
    number = an_incident(db, ada.id, alerts=(alert,))
    with db.begin() as conn:
        for one in (alert, other):
            conn.execute(
                text("INSERT INTO ops.audit (actor, action, entity, entity_id, origin)"
                     " VALUES ('run:7', 'alert.fired', 'alert', :id, 'job')"), {"id": str(one)}
            )  # fmt: skip
            conn.execute(
                text("INSERT INTO ops.notices (key, channel, title, body, created_by, state, ended_at, error, alerts) VALUES"
                     " (:key, 'slack://', 'It fails', '', 'run:7', 'delivered', now(), NULL, ARRAY[:id]),"
                     " (:key, 'mailto://', 'It fails', '', 'run:7', 'dead', now(), 'it answers 550', ARRAY[:id])"),
                {"key": f"alert-{one}-step-1", "id": one},
            )  # fmt: skip
    said = told(db, number)
    assert said.count("run:7 A job fails, reconcile-pending fired") == 1
    assert said.count(" Told on mailto:// (given up), slack://: It fails") == 1
    assert not any("retry-failed" in line for line in said)


def test_of_two_who_resolve_at_once_one_is_told_who_was_faster(db: Database, ada: Person, grace: Person) -> None:
    number = an_incident(db, ada.id)
    refused = together(
        db,
        lambda conn: room.resolve(conn, number, "it is over", ada, origin="test"),
        lambda conn: room.resolve(conn, number, "over", grace, origin="test"),
    )
    assert len(refused) == 1
    assert f"{stands(db, number).resolved_by} resolved incident {number}" in refused[0]
    assert sum("resolved the incident" in line for line in told(db, number)) == 1


def test_of_two_who_hand_over_at_once_one_has_to_look_again(db: Database, ada: Person, grace: Person) -> None:
    linus = someone(db, seed.person(db, Role.ON_CALL, name="Linus"))
    number = an_incident(db, ada.id)
    refused = together(
        db,
        lambda conn: room.hand_over(conn, number, grace.email, "yours", 1, ada, origin="test"),
        lambda conn: room.hand_over(conn, number, linus.email, "yours", 1, ada, origin="test"),
    )
    assert len(refused) == 1
    assert f"{stands(db, number).lead} has it now" in refused[0]
    assert sum("handed over" in line for line in told(db, number)) == 1


def test_an_alert_belongs_to_one_incident(db: Database, ada: Person) -> None:
    a_rule(db)
    alert = an_alert(db)
    first, second = an_incident(db, ada.id, alerts=(alert,)), an_incident(db, ada.id, "Another")
    with pytest.raises(Conflict, match=f"alert {alert} of incident {first}"):
        do(db, lambda conn: room.add_alerts(conn, second, [alert], ada, origin="test"))
    with pytest.raises(Conflict):
        an_incident(db, ada.id, "A third", alerts=(alert,))
    with db.read() as conn:
        assert [one.id for one in room.open_incidents(conn)] == [first, second]
    do(db, lambda conn: room.remove_alert(conn, first, alert, ada, reason="another matter", origin="test"))
    with pytest.raises(Conflict, match="no part"):
        do(db, lambda conn: room.remove_alert(conn, first, alert, ada, reason="twice", origin="test"))
    do(db, lambda conn: room.add_alerts(conn, second, [alert], ada, origin="test"))
    with db.read() as conn:
        assert room.incidents_of(conn, [alert]) == {alert: second}


def test_a_correction_keeps_what_it_was(db: Database, ada: Person, grace: Person) -> None:
    number = an_incident(db, ada.id)
    seen = stands(db, number)
    about = About("Deposits  hang for everybody", "warn", seen.began_at)
    do(db, lambda conn: room.correct(conn, number, about, 1, grace, reason="it is less", origin="test"))
    assert stands(db, number).title == "Deposits hang for everybody"
    assert (
        "corrected the title: Deposits hang → Deposits hang for everybody; the severity: critical → warn"
        in told(db, number)[-1]
    )
    again = About("Something else", "warn", seen.began_at)
    with pytest.raises(Conflict, match="was changed meanwhile"):
        do(db, lambda conn: room.correct(conn, number, again, 1, ada, reason="no", origin="test"))


def test_a_review_is_one_checklist_run_unless_it_was_abandoned(db: Database, ada: Person) -> None:
    number = an_incident(db, ada.id)

    def review(conn: Connection) -> None:
        fields = {"incident": str(number), "date": "2026-11-28"}
        run = start_run(conn, find_template("post-incident-review"), fields, ada, origin="test")
        room.attach_review(conn, number, run, ada, origin="test")

    with pytest.raises(Conflict, match="still open"):
        do(db, review)
    do(db, lambda conn: room.resolve(conn, number, "it is over", ada, origin="test"))
    assert len(together(db, review, review)) == 1
    with db.begin() as conn:
        assert conn.execute(text("SELECT count(*) FROM ops.checklist_runs")).scalar_one() == 1
        conn.execute(text("UPDATE ops.checklist_runs SET state = 'abandoned', closed_at = now(), closed_by = 'x'"))
    first = stands(db, number).review_run
    do(db, review)
    assert stands(db, number).review_run != first


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (About("  ", "warn", datetime.now(UTC)), "title is empty"),
        (About("x" * 201, "warn", datetime.now(UTC)), "201 characters"),
        (About("x", "note", datetime.now(UTC)), "no severity"),
        (About("x", "warn", datetime.now(UTC) + timedelta(hours=2)), "in the future"),
    ],
)
def test_what_cannot_be_is_one_sentence(db: Database, ada: Person, about: About, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        do(db, lambda conn: room.open_incident(conn, about, ada, lead=ada.email, origin="test"))


def test_it_goes_to_somebody_who_may_act_on_it(db: Database, ada: Person) -> None:
    number = an_incident(db, ada.id)
    viewer = someone(db, seed.person(db, Role.VIEWER))
    for to, words in (("gone@nexafx.test", "no open account"), (viewer.email, "may not act"), (ada.email, "already")):
        with pytest.raises(NexaError, match=words):
            do(db, lambda conn, to=to: room.hand_over(conn, number, to, "take it", 1, ada, origin="test"))  # type: ignore[misc]
    with pytest.raises(Forbidden):
        do(db, lambda conn: room.resolve(conn, number, "no", viewer, origin="test"))
    with pytest.raises(NotFound):
        do(db, lambda conn: room.add_note(conn, 999, "x", ada, origin="test"))
    assert stands(db, number).lead == ada.email


def test_what_was_written_is_never_changed(db: Database, ada: Person) -> None:
    number = an_incident(db, ada.id)
    do(db, lambda conn: room.add_note(conn, number, "first", ada, origin="test"))
    for statement in ("UPDATE ops.incident_entries SET body = 'x'", "DELETE FROM ops.incident_entries"):
        with pytest.raises(DatabaseError):
            do(db, lambda conn, statement=statement: conn.execute(text(statement)))  # type: ignore[misc]


def test_ended_ones_are_walked_by_key(db: Database, ada: Person) -> None:
    numbers = [an_incident(db, ada.id, f"Number {n}") for n in range(5)]
    for number in numbers[:4]:
        do(db, lambda conn, number=number: room.resolve(conn, number, "over", ada, origin="test"))  # type: ignore[misc]
    with db.read() as conn:
        first = room.ended_incidents(conn, limit=3)
        rest = room.ended_incidents(conn, before=first[-1].id, limit=3)
        assert [one.id for one in (*first, *rest)] == numbers[3::-1]
