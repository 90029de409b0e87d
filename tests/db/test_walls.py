"""Links to the wall view: the secret is shown once and kept nowhere, a revoked one opens nothing, and all of it is audited."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from jobs.alerts.walls import add_link, find_link, list_links, note_seen, revoke_link
from jobs.cli import app
from jobs.core.db import Database
from jobs.core.errors import Conflict, NexaError, NotFound, UsageError

BY = {"actor": "ada@nexafx.test", "origin": "test"}


def add(db: Database, name: str = "Office") -> str:
    with db.begin() as conn:
        return add_link(conn, name, **BY)


def opened(db: Database, secret: str) -> str | None:
    with db.read() as conn:
        found = find_link(list_links(conn), secret)
    return None if found is None else found.name


def audited(db: Database) -> list[tuple[str, str, str]]:
    with db.read() as conn:
        rows = conn.execute(
            text("SELECT action, entity_id, actor FROM ops.audit WHERE entity = 'wall_link' ORDER BY id")
        )
        return [tuple(row) for row in rows]


def test_the_secret_opens_its_link_and_stands_in_no_table(db: Database) -> None:
    secret = add(db, "  Office,\n 2nd floor ")
    assert len(secret) == 43
    assert opened(db, secret) == "Office, 2nd floor"
    assert [opened(db, wrong) for wrong in ("", secret[:-1], secret + "=", "A" * 43, "ä")] == [None] * 5
    with db.read() as conn:
        kept = conn.execute(
            text("SELECT w::text || (SELECT string_agg(a::text, '') FROM ops.audit a) FROM ops.wall_links w")
        )
        assert secret not in kept.scalar_one()


def test_a_revoked_link_opens_nothing_and_the_others_stay(db: Database) -> None:
    first, second = add(db, "Office"), add(db, "Kitchen")
    with db.begin() as conn:
        assert revoke_link(conn, 1, **BY, reason="the screen is gone") == "Office"
    assert (opened(db, first), opened(db, second)) == (None, "Kitchen")
    assert audited(db) == [
        ("wall.added", "1", "ada@nexafx.test"),
        ("wall.added", "2", "ada@nexafx.test"),
        ("wall.revoked", "1", "ada@nexafx.test"),
    ]


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_name_that_says_nothing_is_refused(db: Database, name: str) -> None:
    with pytest.raises(UsageError, match="where the screen hangs"):
        add(db, name)
    assert audited(db) == []


def test_revoking_what_is_not_there_or_is_revoked_says_so(db: Database) -> None:
    add(db)
    with db.begin() as conn, pytest.raises(NotFound, match="no wall link 2"):
        revoke_link(conn, 2, **BY)
    with db.begin() as conn:
        revoke_link(conn, 1, **BY)
    with db.begin() as conn, pytest.raises(Conflict, match="revoked already"):
        revoke_link(conn, 1, **BY)


def test_of_two_who_revoke_at_once_one_is_told(db: Database) -> None:
    add(db)
    said: list[str] = []

    def revoke() -> None:
        try:
            with db.begin() as conn:
                said.append(revoke_link(conn, 1, **BY))
        except NexaError as error:
            said.append(str(error))

    both = [threading.Thread(target=revoke) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(said) == ["Office", "The wall link 1 has been revoked already."]
    assert [action for action, *_ in audited(db)] == ["wall.added", "wall.revoked"]


def test_that_it_was_seen_is_written_once_a_minute(db: Database) -> None:
    add(db)
    for _ in range(2):
        with db.begin() as conn:
            note_seen(conn, 1)
    with db.read() as conn:
        first = list_links(conn)[0].seen_at
    assert first is not None
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.wall_links SET seen_at = seen_at - interval '61 seconds'"))
        note_seen(conn, 1)
    with db.read() as conn:
        assert list_links(conn)[0].seen_at > first  # type: ignore[operator]  # it was seen


def test_the_command_shows_the_path_once_and_revokes(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, given in {
        "STELLAR_HORIZON_URL": "http://127.0.0.1:9", "STELLAR_NETWORK": "TESTNET", "DB_HOST": str(db.url.query["host"]),
        "DB_NAME": str(db.url.database),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, given)
    run = CliRunner()
    made = run.invoke(app, ["wall", "add", "Office"])
    path = made.stdout.strip()
    assert made.exit_code == 0
    assert opened(db, path.removeprefix("/wall/")) == "Office"
    listed = run.invoke(app, ["wall", "list"]).stdout
    assert "Office" in listed
    assert path[-43:] not in listed
    assert '"name": "Office"' in run.invoke(app, ["wall", "list", "--json"]).stdout
    assert "opens nothing any more" in run.invoke(app, ["wall", "revoke", "1"]).stdout
    assert opened(db, path.removeprefix("/wall/")) is None
    assert isinstance(run.invoke(app, ["wall", "revoke", "1"]).exception, Conflict)
