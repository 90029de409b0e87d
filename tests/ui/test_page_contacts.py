"""The page Contacts: who is on call, whose turn comes, who stands in, and whether the channels work."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from dashboard.components.oncall import headline
from dashboard.queries_oncall import Plan
from jobs.alerts.notices import TEST, list_notices
from jobs.alerts.rota_store import OnCall, add_override, list_overrides, list_rotas, read_on_call, save_rota
from jobs.core.db import Database
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from jobs.run.store import list_runs
from tests.ui import seed
from tests.ui.desk import run_page, seen

NOW = datetime.now(UTC)
ADA, BOB = "ada@nexafx.test", "bob@nexafx.test"
BY = {"actor": "test", "origin": "test"}


@pytest.fixture
def grace(db: Database) -> UUID:
    """Somebody who keeps the rota; Ada and Bob could be on call."""
    for name in ("Ada", "Bob"):
        seed.person(db, Role.ON_CALL, name=name)
    return seed.person(db, Role.DEVOPS, name="Grace")


@pytest.fixture
def rota(db: Database, grace: UUID) -> None:
    with db.begin() as conn:
        monday = (NOW - timedelta(days=NOW.weekday())).date()
        save_rota(conn, "primary", 0, zone="UTC", starts_on=monday, handover=time(0), turn_days=7, people=[ADA, BOB], **BY)  # fmt: skip


def test_a_rota_that_was_taken_away_meanwhile_breaks_nothing() -> None:
    called, lead = headline([OnCall("primary", "Ada", ADA, NOW)], Plan(NOW, [], [], {}))
    assert called == "Ada is on call"
    assert lead.startswith("Until ")


def labels(page: AppTest) -> list[str]:
    return [button.label for button in page.button]


def test_without_a_rota_the_page_says_that_nobody_is_on_call_and_how_to_change_it(
    db: Database, settings: Settings, grace: UUID
) -> None:
    page = run_page(db, settings, "contacts", grace)
    assert "Nobody is on call" in seen(page)
    assert "Set NEXAOPS_NOTICE_URLS" in seen(page)
    assert "New rota" in labels(page)


@pytest.mark.usefixtures("rota")
def test_who_is_on_call_comes_first_then_the_turns_and_who_stands_in(
    db: Database, settings: Settings, grace: UUID
) -> None:
    with db.begin() as conn:
        add_override(conn, "primary", BOB, NOW - timedelta(minutes=1), NOW + timedelta(minutes=30), reason="Ada <flies>", **BY)  # fmt: skip
    page = run_page(db, settings, "contacts", grace)
    words = seen(page)
    assert "Bob is on call" in words
    assert "then Ada" in words
    assert "stands in: Ada &lt;flies&gt;" in words
    assert 4 <= words.count("in turn") <= 7
    next(button for button in page.button if button.label == "Take it back").click().run()
    with db.read() as conn:
        assert list_overrides(conn, datetime.now(UTC)) == ()


@pytest.mark.usefixtures("rota")
def test_who_may_only_look_sees_no_button(db: Database, settings: Settings, grace: UUID, viewer: UUID) -> None:
    page = run_page(db, settings.model_copy(update={"notice_urls": (SecretStr("json://team.example/k3y"),)}), "contacts", viewer)  # fmt: skip
    assert "Ada is on call" in seen(page)
    assert labels(page) == []


@pytest.mark.usefixtures("rota")
def test_a_closed_account_is_named_as_a_fault(db: Database, settings: Settings, grace: UUID) -> None:
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET disabled_at = now() WHERE email = :ada"), {"ada": ADA})
    words = seen(run_page(db, settings, "contacts", grace))
    assert "Nobody can be called" in words
    assert "Ada: the account is closed, they cannot be on call" in words


def test_a_rota_is_entered_in_a_dialog(db: Database, settings: Settings, grace: UUID) -> None:
    page = run_page(db, settings, "contacts", grace)
    next(button for button in page.button if button.label == "New rota").click().run()
    page.multiselect[0].set_value([BOB, ADA])
    page.date_input[0].set_value(date(2026, 1, 5))
    next(button for button in page.button if button.label == "Save").click().run()
    with db.read() as conn:
        assert list_rotas(conn)[0].people == (BOB, ADA)
        assert read_on_call(conn, NOW)


@pytest.mark.usefixtures("rota")
def test_a_rota_is_called_before_another(db: Database, settings: Settings, grace: UUID) -> None:
    with db.begin() as conn:
        save_rota(conn, "secondary", 0, zone="UTC", starts_on=date(2026, 1, 5), handover=time(0), turn_days=7,
                  people=[BOB], **BY)  # fmt: skip
    page = run_page(db, settings, "contacts", grace)
    page.button(key="rota-secondary").click().run()
    called = next(box for box in page.selectbox if box.label == "Called")
    assert (called.options, called.value) == (["first", "second"], 2)
    called.set_value(1)
    next(button for button in page.button if button.label == "Save").click().run()
    with db.read() as conn:
        assert [rota.name for rota in list_rotas(conn)] == ["secondary", "primary"]


def test_a_test_of_a_channel_is_sent_by_a_worker_and_its_result_stands_beside_it(
    db: Database, settings: Settings, grace: UUID
) -> None:
    told = settings.model_copy(
        update={
            "notice_urls": (SecretStr("json://team.example/k3y"),),
            "person_url": SecretStr("json://x:s3cret@people.example/{email}"),
        }
    )
    page = run_page(db, told, "contacts", grace)
    assert "nothing was sent yet" in seen(page)
    [button for button in page.button if button.label == "Send a test"][1].click().run()
    with db.begin() as conn:
        notice = list_notices(conn)[0]
        assert (notice.channel, notice.key.startswith(TEST)) == ("person grace@nexafx.test", True)
        assert list_runs(conn, job="send-notice")[0].state == "queued"
        conn.execute(text("UPDATE ops.notices SET state = 'dead', ended_at = now(), error = 'it answers 401'"))
    words = seen(run_page(db, told, "contacts", grace))
    assert "not taken" in words
    assert "it answers 401" in words
    assert "k3y" not in words + str(page)
    assert "s3cret" not in words


@pytest.mark.usefixtures("rota")
def test_somebody_stands_in_by_a_dialog_with_a_reason_unless_the_right_was_taken_meanwhile(
    db: Database, settings: Settings, grace: UUID
) -> None:
    key = "override-primary"

    def fill_in(why: str) -> AppTest:
        page = run_page(db, settings, "contacts", grace)
        page.button(key="stand-in-primary").click().run()
        page.selectbox(key=f"{key}-who").set_value(BOB)
        page.text_area(key=f"{key}-why").set_value(why)
        return page

    page = fill_in("")
    page.button(key=f"{key}-confirm").click().run()
    assert "Say why" in page.session_state[f"{key}-problem"]
    fill_in("Ada flies").button(key=f"{key}-confirm").click().run()
    with db.read() as conn:
        assert [(one.person, one.reason) for one in list_overrides(conn, NOW)] == [(BOB, "Ada flies")]
    page = fill_in("Ada flies on")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.button(key=f"{key}-confirm").click().run()
    assert "You may not keep the emergency contacts" in page.session_state[f"{key}-problem"]


@pytest.mark.usefixtures("rota")
def test_the_calendar_shows_whose_turn_begins_when(db: Database, settings: Settings, grace: UUID) -> None:
    following = f"{NOW + timedelta(days=7 - NOW.weekday()):%Y-%m}"
    words = seen(run_page(db, settings, "calendar", grace, month=following))
    assert "on call, primary" in words
    assert "/contacts" in words
