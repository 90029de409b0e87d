"""People: one answer for a wrong address and a wrong password, a lock after five tries, sessions that end at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from jobs.core.db import Database
from jobs.core.errors import Conflict, Forbidden, UsageError
from jobs.core.people import Person, add_person, authenticate, change_password, disable_person, reset_password
from jobs.core.permissions import Role
from jobs.core.sessions import close_session, find_session, open_session


@pytest.fixture
def ada(db: Database) -> tuple[Person, str]:
    with db.begin() as conn:
        password = add_person(conn, "Ada@nexafx.com", [Role.ON_CALL], actor="system", origin="cli")
    return authenticate(db, "ada@nexafx.com", password, origin="test"), password


def sentence(db: Database, email: str, password: str) -> str:
    with pytest.raises(Forbidden) as error:
        authenticate(db, email, password, origin="test")
    return str(error.value)


def test_a_one_time_password_must_be_changed(db: Database, ada: tuple[Person, str]) -> None:
    person, password = ada
    assert person.must_change
    change_password(db, person.id, password, "a longer phrase", origin="test")
    assert not authenticate(db, person.email, "a longer phrase", origin="test").must_change
    assert "wrong" in sentence(db, person.email, password)


def test_a_short_password_is_refused(db: Database, ada: tuple[Person, str]) -> None:
    person, password = ada
    with pytest.raises(UsageError, match="at least 12 characters"):
        change_password(db, person.id, password, "short", origin="test")


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(db: Database, ada: tuple[Person, str]) -> None:
    assert sentence(db, "nobody@nexafx.com", "x") == sentence(db, ada[0].email, "x")


def test_five_wrong_tries_lock_the_account_also_when_they_come_at_once(db: Database, ada: tuple[Person, str]) -> None:
    person, password = ada
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: sentence(db, person.email, "guess"), range(5)))
    assert "locked" in sentence(db, person.email, password)
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET locked_until = now() - interval '1 second'"))
    assert authenticate(db, person.email, password, origin="test") == person


def test_every_refused_sign_in_is_on_record(db: Database, ada: tuple[Person, str]) -> None:
    sentence(db, ada[0].email, "x")
    with db.read() as conn:
        actions = conn.execute(text("SELECT action FROM ops.audit WHERE entity = 'person' ORDER BY id")).scalars().all()
    assert actions == ["person.added", "person.signed_in", "person.sign_in_refused"]


def test_an_address_is_never_used_again(db: Database, ada: tuple[Person, str]) -> None:
    with db.begin() as conn:
        disable_person(conn, ada[0].email, actor="system", origin="cli")
    with pytest.raises(Conflict, match="not used twice"), db.begin() as conn:
        add_person(conn, ada[0].email, [Role.VIEWER], actor="system", origin="cli")


def test_a_session_ends_with_sign_out_disabling_and_a_new_password(db: Database, ada: tuple[Person, str]) -> None:
    person, password = ada
    with db.begin() as conn:
        tokens = [open_session(conn, person.id, origin="test", hours=1) for _ in range(3)]
        assert find_session(conn, tokens[0]) == person
        close_session(conn, tokens[0])
        assert find_session(conn, tokens[0]) is None
    change_password(db, person.id, password, "a longer phrase", origin="test")
    with db.begin() as conn:
        assert find_session(conn, tokens[1]) is None
        another = open_session(conn, person.id, origin="test", hours=1)
        disable_person(conn, person.email, actor="system", origin="cli")
        assert find_session(conn, another) is None


def test_the_database_holds_neither_passwords_nor_cookies(db: Database, ada: tuple[Person, str]) -> None:
    person, password = ada
    with db.begin() as conn:
        token = open_session(conn, person.id, origin="test", hours=1)
    with db.read() as conn:
        everything = str(
            conn.execute(text("SELECT p::text, s::text, a::text FROM ops.people p, ops.sessions s, ops.audit a")).all()
        )
    assert password not in everything
    assert token not in everything


def test_a_disabled_person_cannot_sign_in(db: Database, ada: tuple[Person, str]) -> None:
    person, password = ada
    with db.begin() as conn:
        disable_person(conn, person.email, actor="system", origin="cli")
    assert "wrong" in sentence(db, person.email, password)


def test_two_administrators_who_close_each_other_at_once_leave_one(db: Database) -> None:
    with db.begin() as conn:
        for name in ("ann", "ben"):
            add_person(conn, f"{name}@nexafx.com", [Role.ADMINISTRATOR], actor="system", origin="test")

    def close(email: str) -> bool:
        try:
            with db.begin() as conn:
                disable_person(conn, email, actor="system", origin="test")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(close, ["ann@nexafx.com", "ben@nexafx.com"])) == [False, True]


def test_a_lost_password_is_replaced_and_every_session_ends(db: Database, ada: tuple[Person, str]) -> None:
    person, old = ada
    with db.begin() as conn:
        token = open_session(conn, person.id, origin="test", hours=1)
        fresh = reset_password(conn, person.email, actor="system", origin="test")
        assert find_session(conn, token) is None
    assert "is wrong" in sentence(db, person.email, old)
    assert authenticate(db, person.email, fresh, origin="test").must_change
