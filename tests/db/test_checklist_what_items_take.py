"""Evidence, second persons, decisions, hand-over and mentions in the database, each with its history."""

import hashlib
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from checklists.evidence import add_file, add_link, add_text, judge_file, list_evidence, read_file, withdraw
from checklists.lines import State, TrackedItem, leaves
from checklists.mentions import seen, unseen
from checklists.reads import RunState, list_events, load_run
from checklists.schema import Template
from checklists.store import assign, close_run, comment, hand_over, set_field, start_run, tick, verify
from checklists.tracker import Refused
from jobs.core.db import Database
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.people import Person, add_person
from jobs.core.permissions import Role

RELEASE = Template.model_validate(
    {
        "schema": 1,
        "id": "release",
        "title": "Release",
        "kind": "deployment",
        "fields": {"version": {"required": True}},
        "phases": [
            {
                "id": "all",
                "items": [
                    {
                        "id": "pay",
                        "do": "Pay",
                        "evidence": [{"type": "text", "label": "hash", "pattern": "[0-9a-f]{4}"}],
                    },
                    {"id": "pair", "do": "Compare", "verify_by": "second-person"},
                    {
                        "id": "go",
                        "do": "Go on?",
                        "decide": {"continue": "next", "back": {"start": "rollback-critical"}},
                    },
                ],
            }
        ],
    }
)
PNG = b"\x89PNG\r\n\x1a\n and more"
HERE = {"origin": "test"}


def person(conn: Connection, name: str, *roles: Role) -> Person:
    email = f"{name.lower()}@nexafx.com"
    add_person(conn, email, roles, actor="system", origin="test", name=name)
    return Person(uuid4(), email, name, frozenset(roles))


@pytest.fixture
def ana(db: Database) -> Person:
    with db.begin() as conn:
        return person(conn, "Ana", Role.RELEASE_MANAGER)


@pytest.fixture
def ben(db: Database) -> Person:
    with db.begin() as conn:
        return person(conn, "Ben", Role.DEVOPS)


@pytest.fixture
def run_id(db: Database, ana: Person) -> int:
    with db.begin() as conn:
        return start_run(conn, RELEASE, {"version": "2.4.0"}, ana, origin="test")


def line(conn: Connection, run_id: int, item_id: str) -> TrackedItem:
    return next(leaf for leaf in leaves(load_run(conn, run_id).phases) if leaf.id == item_id)


def test_what_an_item_asks_for_is_matched_and_then_it_can_be_ticked(db: Database, run_id: int, ana: Person) -> None:
    with db.begin() as conn:
        with pytest.raises(Refused, match="takes evidence first: hash"):
            tick(conn, run_id, "all/pay", 1, ana, **HERE)
        with pytest.raises(UsageError, match="must look like"):
            add_text(conn, run_id, "all/pay", "hash", "xyz", ana, **HERE)
        with pytest.raises(UsageError, match="asks for a text"):
            add_link(conn, run_id, "all/pay", "hash", "https://nexafx.com/x", ana, **HERE)
        number = add_text(conn, run_id, "all/pay", "hash", " abcd ", ana, **HERE)
        assert tick(conn, run_id, "all/pay", 1, ana, **HERE) == 2
        with pytest.raises(UsageError, match="with a reason"):
            withdraw(conn, run_id, number, ana, " ", **HERE)
        withdraw(conn, run_id, number, ana, "the wrong one", **HERE)
        assert line(conn, run_id, "all/pay").missing_evidence == ("hash",)
        (kept,) = list_evidence(conn, run_id)
        assert (kept.body, kept.adder, kept.withdrawn_why) == ("abcd", "Ana", "the wrong one")
        assert kept.sha256 == hashlib.sha256(b"abcd").hexdigest()
        kinds = [event.kind for event in list_events(conn, run_id, item_id="all/pay")]
        assert kinds == ["evidence withdrawn", "ticked", "evidence"]


def test_a_file_comes_back_as_it_was_and_a_disguised_one_is_refused(db: Database, run_id: int, ana: Person) -> None:
    with db.begin() as conn:
        number = add_file(conn, run_id, "all/pay", "screen", r"C:\shots\a.png", PNG, ana, **HERE)
        assert read_file(conn, run_id, number) == ("a.png", "image/png", PNG)
        with pytest.raises(NotFound):
            read_file(conn, run_id + 1, number)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.png", b"MZ\x90", "not what its ending says"),
        ("a.txt", b"\xff\xfe\x00", "not what its ending says"),
        ("a.exe", b"MZ", "of no kind that is kept"),
        ("a.svg", b"<svg onload=alert(1)>", "of no kind that is kept"),
        ("a.txt", b"", "is empty"),
        ("a.txt", b"x" * (10 * 1024 * 1024 + 1), "at most 10 MB"),
        ("\x1b[2J.txt", b"x", "holds the character U\\+001B"),
    ],
)
def test_what_is_no_honest_file_is_refused_in_one_sentence(name: str, content: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        judge_file(name, content)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://", "ftp://x", "https://a b", "https://u:secret@x.com"])
def test_a_link_is_an_address_of_a_page(db: Database, run_id: int, ana: Person, url: str) -> None:
    with db.begin() as conn, pytest.raises(UsageError):
        add_link(conn, run_id, "all/pay", "page", url, ana, **HERE)


def test_evidence_and_results_are_never_changed_in_the_database(db: Database, run_id: int, ana: Person) -> None:
    with db.begin() as conn:
        add_text(conn, run_id, "all/pay", "hash", "abcd", ana, **HERE)
    for statement in (
        "UPDATE ops.checklist_evidence SET body = 'beef'",
        "UPDATE ops.checklist_evidence SET withdrawn_at = now(), withdrawn_why = 'x', body = 'beef'",
        "DELETE FROM ops.checklist_evidence",
        "TRUNCATE ops.checklist_evidence",
    ):
        with pytest.raises(DBAPIError, match="append-only"), db.begin() as conn:
            conn.execute(text(statement))


def test_a_second_person_verifies_and_a_new_tick_asks_anew(db: Database, run_id: int, ana: Person, ben: Person) -> None:
    with db.begin() as conn:
        tick(conn, run_id, "all/pair", 1, ana, **HERE)
        assert line(conn, run_id, "all/pair").holds == "a second person must verify it"
        assert verify(conn, run_id, "all/pair", 2, ben, **HERE) == 3
        pair = line(conn, run_id, "all/pair")
        assert (pair.holds, pair.mark.name, pair.mark.verifier) == (None, "Ana", "Ben")


def test_a_decision_starts_the_other_list_and_keeps_this_one_from_being_done(
    db: Database, run_id: int, ana: Person, ben: Person
) -> None:
    with db.begin() as conn:
        add_text(conn, run_id, "all/pay", "hash", "abcd", ana, **HERE)
        tick(conn, run_id, "all/pay", 1, ana, **HERE)
        tick(conn, run_id, "all/pair", 1, ana, **HERE)
        verify(conn, run_id, "all/pair", 2, ben, **HERE)
        tick(conn, run_id, "all/go", 1, ben, choice="back", **HERE)
        run = load_run(conn, run_id)
        child = load_run(conn, run.children["all/go"])
        assert (child.template.id, child.parent, child.leader) == ("rollback-critical", (run_id, "all/go"), "Ben")
        with pytest.raises(Refused, match="it was decided to back"):
            close_run(conn, run_id, ana, outcome=RunState.DONE, **HERE)


def test_a_run_is_handed_over_and_its_lines_are_given_to_people(
    db: Database, run_id: int, ana: Person, ben: Person
) -> None:
    with db.begin() as conn:
        hand_over(conn, run_id, ben.email, ana, "Watch the lag.", **HERE)
        assert load_run(conn, run_id).leader == "Ben"
        with pytest.raises(Refused, match="Ben has run"):
            hand_over(conn, run_id, ben.email, ana, "again", **HERE)
        assign(conn, run_id, "all/pay", ana, assignee=ben.email, **HERE)
        given = line(conn, run_id, "all/pay").mark
        assert (given.assigned, given.version) == ("Ben", 1)
        with pytest.raises(UsageError, match="no open account"):
            assign(conn, run_id, "all/pay", ana, assignee="eve@nexafx.com", **HERE)
        comment(conn, run_id, "all/pay", "@ben is it paid? @ana asks", ana, **HERE)
        assert [mention.words for mention in unseen(conn, ben.email)] == [
            "@ben is it paid? @ana asks",
            "Watch the lag.",
        ]
        assert unseen(conn, ana.email) == []
        seen(conn, ben.email, run_id)
        assert unseen(conn, ben.email) == []


def test_a_field_is_corrected_with_a_reason_by_whoever_saw_its_last_value(
    db: Database, run_id: int, ana: Person
) -> None:
    with db.begin() as conn:
        assert set_field(conn, run_id, "version", "2.4.1", 1, ana, "a typing error", **HERE) == 2
        assert load_run(conn, run_id).fields == {"version": "2.4.1"}
        with pytest.raises(Conflict):
            set_field(conn, run_id, "version", "2.4.2", 1, ana, "late", **HERE)
        event = list_events(conn, run_id)[0]
        assert (event.kind, event.old, event.new, event.note) == ("corrected", "2.4.0", "2.4.1", "a typing error")


def test_a_late_entry_keeps_when_it_was_done(db: Database, run_id: int, ana: Person) -> None:
    with db.begin() as conn:
        started = load_run(conn, run_id).started_at
        tick(conn, run_id, "all/pair", 1, ana, note="no network", performed_at=started, **HERE)
        pair = line(conn, run_id, "all/pair").mark
        assert (pair.state, pair.performed_at, pair.reason) == (State.DONE, started, "no network")
