"""The rota in the database: who is called now, who may stand in, and what two who edit at once see."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from jobs.alerts.rota_store import (
    CONTACT,
    add_override,
    drop_rota,
    end_override,
    list_overrides,
    list_rotas,
    move_rota,
    read_on_call,
    save_rota,
)
from jobs.cli import app
from jobs.core.db import Database
from jobs.core.errors import Conflict, NotFound, UsageError
from jobs.core.people import disable_person
from jobs.core.permissions import Role
from tests.db.books import count
from tests.ui import seed

BY = {"actor": "grace@nexafx.com", "origin": "test"}
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def team(db: Database) -> tuple[str, str]:
    """Two people with open accounts."""
    ids = [seed.person(db, role) for role in (Role.DEVOPS, Role.ON_CALL)]
    with db.read() as conn:
        found = [conn.execute(text("SELECT email FROM ops.people WHERE id = :id"), {"id": one}).scalar() for one in ids]
    return str(found[0]), str(found[1])


def save(db: Database, *people: str, name: str = "primary", seen: int = 0, **other: object) -> None:
    values = {"zone": "Europe/Berlin", "starts_on": date(2026, 1, 5), "handover": time(9), "turn_days": 7, **other}
    with db.begin() as conn:
        save_rota(conn, name, seen, people=people, **values, **BY)  # type: ignore[arg-type]


def on_call(db: Database, at: datetime = NOW) -> list[tuple[str, str]]:
    with db.read() as conn:
        return [(one.rota, one.email) for one in read_on_call(conn, at)]


def test_who_is_on_call_is_the_one_whose_turn_it_is_unless_somebody_stands_in(
    db: Database, team: tuple[str, str]
) -> None:
    ada, bob = team
    assert on_call(db) == []
    save(db, ada)
    save(db, bob, name="secondary")
    assert on_call(db) == [("primary", ada), ("secondary", bob)]
    with db.begin() as conn:
        number = add_override(conn, "primary", bob, NOW - HOUR, NOW + HOUR, reason="Ada flies", **BY)
    assert on_call(db) == [("primary", bob), ("secondary", bob)]
    assert on_call(db, NOW + 2 * HOUR)[0] == ("primary", ada)
    with db.begin() as conn:
        end_override(conn, number, **BY)
    assert on_call(db, datetime.now(UTC))[0] == ("primary", ada)
    with db.begin() as conn, pytest.raises(Conflict, match="over already"):
        end_override(conn, number, **BY)
    assert count(db, "ops.audit WHERE entity = 'rota'") == 4


def test_without_a_rota_the_emergency_contact_is_called(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.contacts (role, name, phone, email, notes, changed_by) VALUES (:role, 'Tom', '1', '', '', 'x')"),
            {"role": CONTACT},
        )  # fmt: skip
        found = read_on_call(conn, NOW)
    assert [(one.rota, one.name, one.until) for one in found] == [("", "Tom", None)]


def test_a_closed_account_cannot_be_on_call_and_one_that_was_closed_since_is_named(
    db: Database, team: tuple[str, str]
) -> None:
    ada, bob = team
    seed.person(db, Role.ADMINISTRATOR)
    save(db, ada)
    with db.begin() as conn:
        disable_person(conn, ada, **BY)
        assert "account is closed" in (read_on_call(conn, NOW)[0].fault or "")
    with pytest.raises(UsageError, match="account is closed, and they cannot be on call: choose somebody else"):
        save(db, bob, ada, seen=1)
    with pytest.raises(UsageError, match=r"nobody@nexafx\.com has no account"):
        save(db, "nobody@nexafx.com", seen=1)


def test_of_two_who_edit_at_once_the_second_looks_again(db: Database, team: tuple[str, str]) -> None:
    save(db, *team)
    save(db, team[1], seen=1, turn_days=1)
    for seen, said in ((0, "There is a rota primary already"), (1, "Somebody changed the rota primary")):
        with pytest.raises(Conflict, match=said):
            save(db, *team, seen=seen)
    with db.begin() as conn:
        assert (list_rotas(conn)[0].people, list_rotas(conn)[0].version) == ((team[1],), 2)
        with pytest.raises(Conflict):
            drop_rota(conn, "primary", 1, reason="too many", **BY)
        drop_rota(conn, "primary", 2, reason="too many", **BY)
        assert list_rotas(conn) == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"zone": "Mars/Olympus"}, "is not a time zone"),
        ({"zone": "../etc/passwd"}, "is not a time zone"),
        ({"turn_days": 0}, "from 1 to 366 days"),
        ({"name": "Primary one"}, "use small letters"),
        ({"starts_on": date(1, 1, 1)}, "a day to start on"),
    ],
)
def test_what_makes_no_rota_is_said_in_a_sentence(
    db: Database, team: tuple[str, str], wrong: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        save(db, *team, **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="everybody once"):
        save(db, team[0], team[0].upper())


def test_an_override_lies_ahead_has_a_reason_and_ends(db: Database, team: tuple[str, str]) -> None:
    save(db, team[0])
    for begin, end, reason, said in (
        (NOW + HOUR, NOW, "ill", "ends after it begins"),
        (NOW - 2 * HOUR, NOW - HOUR, "ill", "after now"),
        (NOW, NOW + timedelta(days=400), "ill", "at most a year"),
        (NOW, NOW + HOUR, " ", "Say why"),
    ):
        with db.begin() as conn, pytest.raises(UsageError, match=said):
            add_override(conn, "primary", team[1], begin, end, reason=reason, **BY)
    with db.begin() as conn, pytest.raises(NotFound, match="There is no rota night"):
        add_override(conn, "night", team[1], NOW, NOW + HOUR, reason="ill", **BY)
    with db.begin() as conn:
        far = datetime(9999, 6, 1, tzinfo=UTC)
        end_override(conn, add_override(conn, "primary", team[1], far, far + HOUR, reason="a typing error", **BY), **BY)
        later = add_override(conn, "primary", team[1], NOW + HOUR, NOW + 2 * HOUR, reason="ill", **BY)
        end_override(conn, later, **BY)
        assert list_overrides(conn, NOW) == (), "taken back before it began, it never was"


def test_the_commands_enter_a_rota_have_somebody_stand_in_and_say_who_is_called(
    db: Database, team: tuple[str, str], monkeypatch: pytest.MonkeyPatch, server_socket: Path
) -> None:
    ada, bob = team
    for name, given in {"DB_HOST": str(server_socket), "DB_NAME": str(db.url.database), "STELLAR_NETWORK": "TESTNET",
                        "STELLAR_HORIZON_URL": "http://127.0.0.1:9"}.items():  # fmt: skip
        monkeypatch.setenv(name, given)

    def oncall(*given: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["oncall", *given])
        return done.exit_code, done.stdout

    assert oncall("now") == (1, "Nobody is on call: `nexaops oncall set` enters who takes turns.\n")
    code, said = oncall("set", "primary", ada, bob, "--starts", "2026-01-05", "--handover", "09:00", "--days", "400")
    assert code == 2, said
    code, said = oncall(
        "set", "primary", ada, "--starts", "2026-01-05", "--handover", "09:00", "--zone", "Europe/Berlin"
    )
    assert (code, "is on call until" in said) == (0, True)
    assert ada in oncall("now")[1]
    code, said = oncall(
        "override", "primary", bob, "--until", f"{NOW + 5 * HOUR:%Y-%m-%d %H:%M}", "--reason", "Ada [flies]"
    )
    assert (code, said.startswith("Override ")) == (0, True)
    assert f"{bob} until" in oncall("now")[1]
    assert "Ada [flies]" in oncall("list")[1]
    assert oncall("end", said.split()[1].rstrip(":"))[0] == 0
    assert ada in oncall("now")[1]
    assert oncall("move", "primary", "2")[0] == 1
    assert oncall("set", "secondary", bob, "--starts", "2026-01-05", "--handover", "09:00")[0] == 0
    assert oncall("move", "secondary", "1") == (0, "Called in this order: secondary, primary.\n")
    assert oncall("move", "tertiary", "1")[0] != 0
    assert oncall("drop", "secondary", "--reason", "done")[0] == 0
    assert oncall("drop", "primary", "--reason", "done") == (0, "The rota primary is gone.\n")
    assert oncall("now", "--json") == (1, "[]\n")


def test_a_rota_is_called_earlier_or_later_and_the_others_keep_their_order(db: Database, team: tuple[str, str]) -> None:
    ada, _ = team
    for name in ("a", "b", "gone", "c"):
        save(db, ada, name=name)
    with db.begin() as conn:
        drop_rota(conn, "gone", 1, reason="a gap in the places", **BY)
        move_rota(conn, "c", 4, 1, **BY)
    with db.read() as conn:
        assert [(rota.name, rota.place) for rota in list_rotas(conn)] == [("c", 1), ("a", 2), ("b", 3)]
        row = conn.execute(text("SELECT old, new FROM ops.audit WHERE action = 'rota.moved'")).one()
    assert (row.old, row.new) == ({"place": 4}, {"place": 1})
    with pytest.raises(Conflict, match="moved the rota c"), db.begin() as conn:
        move_rota(conn, "c", 4, 2, **BY)
    with pytest.raises(UsageError, match="there are 3"), db.begin() as conn:
        move_rota(conn, "c", 1, 4, **BY)
