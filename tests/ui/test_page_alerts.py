"""Alerts: what fires, who has it, who is told next; acknowledging, silencing, opening an incident; if one may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from streamlit.testing.v1 import AppTest

from jobs.alerts import acting, store
from jobs.alerts.incidents import incidents_of, open_incidents
from jobs.alerts.model import Alert
from jobs.core.db import Database, jsonb
from jobs.core.permissions import Role
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.alerts import SENTENCE, a_rule, an_alert
from tests.ui.desk import run_page, seen


@pytest.fixture
def ada(db: Database) -> UUID:
    return seed.person(db, Role.ON_CALL, name="Ada")


@pytest.fixture(autouse=True)
def _watched(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(text("INSERT INTO ops.alert_watches (began_at, until) VALUES (now() - interval '3 hours', now())"))
    a_rule(db, title="Deposits fail", runbook="rollback-stellar",
           steps=jsonb([{"after_s": 0, "to": "team"}, {"after_s": 900, "to": "on-call"}]))  # fmt: skip


def open_page(db: Database, settings: Settings, person: UUID, name: str = "alerts", **query: str) -> AppTest:
    page = run_page(db, settings, name, person, **query)
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def stands(db: Database, number: int) -> Alert:
    with db.read() as conn:
        return store.get_alert(conn, number)


def test_a_quiet_desk_says_so_and_what_will_stand_there(db: Database, settings: Settings, viewer: UUID) -> None:
    said = seen(open_page(db, settings, viewer))
    assert "No alert fires" in said
    assert "What fires will stand here" in said


@pytest.mark.parametrize(
    "late", ["DELETE FROM ops.alert_watches", "UPDATE ops.alert_watches SET until = until - interval '1 hour'"]
)
def test_it_says_when_nobody_evaluates_the_rules(db: Database, settings: Settings, viewer: UUID, late: str) -> None:
    with db.begin() as conn:
        conn.execute(text(late))
    said = seen(open_page(db, settings, viewer))
    assert "never evaluated" in said or "chip nx-critical" in said
    assert "Nobody knows what fires" in said
    assert "No alert fires" not in said


def test_an_alert_says_who_has_it_who_is_told_next_and_leads_everywhere(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    number = an_alert(db, step=1, told_at=datetime.now(UTC) - timedelta(minutes=10))
    page = open_page(db, settings, viewer)
    said = seen(page)
    assert "One alert fires, nobody has it" in said
    assert SENTENCE in said
    assert "next told: whoever is on call, at" in said
    for address in ("/run?id=1", "/runs?view=failures", "/rule?name=jobs-fail", f"/alert?id={number}",
                    "/checklists?template=rollback-stellar"):  # fmt: skip
        assert f'href="{address}"' in said, address
    assert not page.button


def test_what_follows_from_another_is_folded_under_it(db: Database, settings: Settings, viewer: UUID) -> None:
    number = an_alert(db, subject="horizon", sentence="No Horizon server can be trusted")
    for name in ("retry-failed", "sync-wallets"):
        an_alert(db, subject=name, sentence=f"{name} fails", folded_into=number)
    said = seen(open_page(db, settings, viewer))
    assert "One alert fires" in said
    assert "2 alerts follow from it" in said
    assert said.index("No Horizon server") < said.index("<details") < said.index("sync-wallets fails")


def test_of_many_the_worst_have_their_buttons_here_and_the_others_a_click_away(
    db: Database, settings: Settings, ada: UUID
) -> None:
    numbers = [an_alert(db, subject=f"job-{n:02}", sentence=f"job-{n:02} fails") for n in range(25)]
    with db.begin() as conn:
        acting.acknowledge(conn, numbers[0], "grace@nexafx.test", "mine")
    page = open_page(db, settings, ada)
    labels = [button.label for button in page.button]
    # What nobody has comes before what somebody has.
    assert (labels.count("Acknowledge"), labels.count("Give back")) == (5, 0)
    said = seen(page)
    assert said.count("nx-alertline") == 20
    assert said.count(">Acknowledge, silence, open an incident<") == 14
    assert said.count(">Give back, silence, open an incident<") == 1
    assert said.count("Start the runbook") + said.count("Read the runbook") == 20
    assert 'href="/alerts?view=past&amp;state=fires"' in said
    press(open_page(db, settings, ada, "alert", id=str(numbers[20])), "Acknowledge")


def test_what_nobody_has_is_in_the_list_however_many_somebody_has(db: Database, settings: Settings, ada: UUID) -> None:
    for n in range(20):
        with db.begin() as conn:
            acting.acknowledge(
                conn, an_alert(db, subject=f"job-{n:02}", sentence=f"job-{n:02} fails"), "grace@nexafx.test", "mine"
            )
    an_alert(db, subject="job-new", sentence="job-new fails")
    page = open_page(db, settings, ada)
    said = seen(page)
    assert "21 alerts fire, nobody has 1 of them" in said
    assert "job-new fails" in said
    assert [button.label for button in page.button].count("Acknowledge") == 1
    assert "more that are less bad" not in said


def test_it_is_acknowledged_with_a_word_and_given_back(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db)
    page = open_page(db, settings, ada)
    press(page, "Acknowledge")
    page.button(key=f"ack-{number}-confirm").click().run()
    assert "Say what you do about it" in page.session_state[f"ack-{number}-problem"]
    press(page, "Acknowledge")
    page.text_area(key=f"ack-{number}-why").set_value("looking")
    page.button(key=f"ack-{number}-confirm").click().run()
    assert (stands(db, number).acknowledged_by, stands(db, number).acknowledged_why) == ("ada@nexafx.test", "looking")
    page = open_page(db, settings, ada)
    assert "Ada</span> has it since" in seen(page)
    assert "nobody else is told" in seen(page)
    press(page, "Give back")
    page.text_area(key=f"back-{number}-why").set_value("I go home")
    page.button(key=f"back-{number}-confirm").click().run()
    assert stands(db, number).acknowledged_by is None


def test_of_two_who_acknowledge_the_second_is_told_who_has_it(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db)
    page = open_page(db, settings, ada)
    press(page, "Acknowledge")
    with db.begin() as conn:
        acting.acknowledge(conn, number, "grace@nexafx.test", "mine")
    page.text_area(key=f"ack-{number}-why").set_value("looking")
    page.button(key=f"ack-{number}-confirm").click().run()
    assert "grace@nexafx.test has it already" in page.session_state[f"ack-{number}-problem"]


def test_several_are_acknowledged_at_once_but_what_somebody_has(db: Database, settings: Settings, ada: UUID) -> None:
    numbers = [an_alert(db, subject=f"job-{n}") for n in range(3)]
    page = open_page(db, settings, ada)
    press(page, "Acknowledge all 3")
    with db.begin() as conn:
        acting.acknowledge(conn, numbers[1], "grace@nexafx.test", "mine")
    page.text_area(key="ack-many-why").set_value("one cause")
    page.button(key="ack-many-confirm").click().run()
    assert [stands(db, number).acknowledged_by for number in numbers] == [
        "ada@nexafx.test", "grace@nexafx.test", "ada@nexafx.test"
    ]  # fmt: skip


def test_who_lost_the_right_meanwhile_is_refused_by_the_server(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db)
    page = open_page(db, settings, ada)
    press(page, "Acknowledge")
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}'"))
    page.text_area(key=f"ack-{number}-why").set_value("looking")
    page.button(key=f"ack-{number}-confirm").click().run()
    assert "You may not act on alerts" in page.session_state[f"ack-{number}-problem"]
    assert stands(db, number).acknowledged_by is None


def test_it_is_silenced_and_the_silence_taken_back(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db)
    page = open_page(db, settings, ada)
    press(page, "Silence")
    page.selectbox(key=f"silence-{number}-length").set_value("2 hours")
    page.text_area(key=f"silence-{number}-why").set_value("they know")
    page.button(key=f"silence-{number}-confirm").click().run()
    with db.read() as conn:
        (one,) = store.list_silences(conn)
    assert (one.rule, one.subject, one.reason) == ("jobs-fail", "reconcile-pending", "they know")
    assert timedelta(minutes=118) < one.ends_at - datetime.now(UTC) <= timedelta(hours=2)
    said = seen(open_page(db, settings, ada))
    assert "No alert needs anybody" in said
    assert "silenced until" in said
    assert "nobody is told before" in said
    page = open_page(db, settings, ada, view="silences")
    assert "One silence in force" in seen(page)
    press(page, "Take it back")
    page.button(key=f"end-{one.id}-confirm").click().run()
    with db.read() as conn:
        assert not store.list_silences(conn)


def test_a_maintenance_window_is_planned(db: Database, settings: Settings, ada: UUID) -> None:
    page = open_page(db, settings, ada, view="silences")
    assert "Nothing is silenced" in seen(page)
    press(page, "Plan a maintenance window")
    page.text_input(key="plan-title").set_value("PostgreSQL 19")
    start = datetime.now(UTC).replace(tzinfo=None, second=0, microsecond=0) + timedelta(days=1)
    page.datetime_input(key="plan-from").set_value(start)
    page.datetime_input(key="plan-until").set_value(start + timedelta(hours=1))
    page.text_area(key="plan-why").set_value("the upgrade")
    page.button(key="plan-confirm").click().run()
    with db.read() as conn:
        (one,) = store.list_silences(conn)
    assert (one.kind, one.title, one.rule, one.subject) == ("maintenance", "PostgreSQL 19", "*", "*")
    said = seen(open_page(db, settings, ada, view="silences"))
    assert "1 planned" in said
    assert "maintenance of everything" in said


def test_an_incident_is_opened_from_an_alert(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db)
    page = open_page(db, settings, ada)
    press(page, "Open an incident")
    page.button(key=f"alert-{number}-open-confirm").click().run()
    with db.read() as conn:
        (incident,) = open_incidents(conn)
        assert incidents_of(conn, [number]) == {number: incident.id}
    assert (incident.title, incident.lead) == (SENTENCE, "ada@nexafx.test")
    page = open_page(db, settings, ada)
    assert f'href="/incident?id={incident.id}"' in seen(page)
    assert "Open an incident" not in [button.label for button in page.button]


def test_what_has_fired_is_found_by_rule_and_state_and_walked_by_key(
    db: Database, settings: Settings, viewer: UUID
) -> None:
    a_rule(db, "other-rule", title="Another")
    for n in range(52):
        an_alert(db, subject=f"job-{n:02}", sentence=f"job-{n:02} fails", state="resolved", resolution="recovered")
    an_alert(db, "other-rule", sentence="something else")
    said = seen(open_page(db, settings, viewer, view="past", rule="jobs-fail", state="resolved"))
    assert "job-51 fails" in said
    assert "something else" not in said
    assert "job-01 fails" not in said
    key = said.rpartition("before=")[2].partition('"')[0]
    assert "job-01 fails" in seen(open_page(db, settings, viewer, view="past", rule="jobs-fail", before=key))
    assert "Nothing fits" in seen(open_page(db, settings, viewer, view="past", subject="nobody"))


def test_the_rules_say_when_whom_and_how_often(db: Database, settings: Settings, viewer: UUID) -> None:
    an_alert(db)
    page = open_page(db, settings, viewer, view="rules")
    said = seen(page)
    assert "Deposits fail" in said
    assert "the team at once, whoever is on call after 15 min" in said
    assert 'href="/alerts?view=past&amp;rule=jobs-fail"' in said
    assert "New rule" not in said


def test_an_alert_has_its_story(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db)
    with db.begin() as conn:
        conn.execute(
            text("INSERT INTO ops.alert_readings (signal, subject, at, value) VALUES"
                 " ('job.failures', 'reconcile-pending', now() - interval '2 hours', 0),"
                 " ('job.failures', 'reconcile-pending', now() - interval '12 minutes', 3)")
        )  # fmt: skip
        acting.acknowledge(conn, number, "ada@nexafx.test", "looking")
        conn.execute(
            text("INSERT INTO ops.notices (key, channel, title, body, created_by, state, ended_at, alerts)"
                 " VALUES ('k', 'slack://', 'Critical', '', 'system', 'delivered', now(), ARRAY[:id])"), {"id": number}
        )  # fmt: skip
    page = open_page(db, settings, ada, "alert", id=str(number))
    said = seen(page)
    assert "took “Deposits fail, reconcile-pending”" in said
    assert "Told on slack://: Critical" in said
    assert "Deposits fail" in said
    assert page.get("plotly_chart")
    assert "Give back" in [button.label for button in page.button]


@pytest.mark.parametrize("name", ["", "999", "<script>", "9" * 30])
def test_an_address_without_an_alert_says_so(db: Database, settings: Settings, viewer: UUID, name: str) -> None:
    said = seen(open_page(db, settings, viewer, "alert", **({"id": name} if name else {})))
    assert "There is no such alert" in said
    assert "<script>" not in said


def test_what_comes_from_outside_is_never_read_as_markup(db: Database, settings: Settings, ada: UUID) -> None:
    number = an_alert(db, sentence="<img src=x onerror=alert(1)>", subject="<b>x</b>")
    for name, query in (("alerts", {}), ("alert", {"id": str(number)}), ("alerts", {"view": "past"})):
        said = seen(open_page(db, settings, ada, name, **query))
        assert "&lt;img" in said
        assert "<img" not in said
        assert "<b>x" not in said
