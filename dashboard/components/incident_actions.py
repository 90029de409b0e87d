"""What a person can do to incidents: open one, hand it over, correct it, add and remove alerts, resolve it, review it.

Each opens a dialog that says what will happen; its command asks for the right again and says who was faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import streamlit as st
from sqlalchemy import Connection

from checklists.load import find_template
from checklists.store import start_run
from dashboard import queries_incidents as reads
from dashboard.access import origin
from dashboard.actions import act, ask
from dashboard.components.alert_words import label
from dashboard.components.checklist_about import INCIDENT_FIELD
from dashboard.components.markup import Html, tag
from dashboard.components.times import now
from jobs.alerts import incidents as room
from jobs.alerts.incidents import About, Incident
from jobs.alerts.model import Alert
from jobs.core.errors import UsageError
from jobs.core.people import Person
from jobs.core.permissions import Right

SEVERITIES: Mapping[str, str] = {"critical": "critical: users or money are hit", "warn": "attention: it may get there"}
_RIGHT = Right.ACT_ON_ALERTS


def ask_open(person: Person, *, key: str, alerts: Sequence[Alert] = ()) -> None:
    """Opens the dialog for a new incident, filled in from the alerts that it begins with."""
    worst = next((one for one in alerts if one.severity == "critical"), alerts[0] if alerts else None)
    began = min((one.began_at for one in alerts), default=now())

    def consequence() -> Html:
        _fields(key, worst.sentence if worst else "", worst.severity if worst else "critical", began)
        _lead(key, person.email)
        belong = f" {len(alerts)} {'alert belongs' if len(alerts) == 1 else 'alerts belong'} to it." if alerts else ""
        return tag("p", f"Everybody sees it on Overview and on the page Incidents.{belong}", class_="nx-quiet")

    def command(conn: Connection, actor: Person, _why: str) -> str:
        number = room.open_incident(conn, _given(key), actor, lead=str(st.session_state.get(f"{key}-lead") or ""),
            alerts=[one.id for one in alerts], origin=origin(),
        )  # fmt: skip
        return f"Incident {number} is open."

    ask("Open an incident", consequence, verb="Open it", right=_RIGHT, command=command, key=key, asked=None)


def ask_correct(one: Incident) -> None:
    """Opens the dialog that corrects what it says of itself."""
    key = f"correct-{one.id}-{one.version}"

    def consequence() -> Html:
        _fields(key, one.title, one.severity, one.began_at)
        return tag("p", "What it was stays in the timeline.", class_="nx-quiet")

    def command(conn: Connection, actor: Person, why: str) -> str:
        room.correct(conn, one.id, _given(key), one.version, actor, reason=why, origin=origin())
        return f"Incident {one.id} is corrected."

    ask(f"Correct incident {one.id}", consequence, verb="Correct it", right=_RIGHT, command=command, key=key)


def ask_hand_over(one: Incident) -> None:
    """Opens the dialog that gives it to somebody else."""
    key = f"handover-{one.id}-{one.version}"

    def consequence() -> Html:
        _lead(key, None, without=one.lead)
        return tag("p", "They are named on every page as the one who has it.", class_="nx-quiet")

    def command(conn: Connection, actor: Person, why: str) -> str:
        to = str(st.session_state.get(f"{key}-lead") or "")
        if not to:
            raise UsageError("Choose who has it from now on.")
        room.hand_over(conn, one.id, to, why, one.version, actor, origin=origin())
        return f"{to} has incident {one.id}."

    ask(f"Hand incident {one.id} over", consequence, verb="Hand it over", right=_RIGHT, command=command, key=key,
        asked="What the next one needs to know")  # fmt: skip


def ask_add(one: Incident, alerts: Sequence[Alert]) -> None:
    """Opens the dialog that adds alerts: those that fired lately and belong to no incident."""
    key, by_id = f"addalerts-{one.id}", {alert.id: alert for alert in alerts}

    def consequence() -> Html:
        st.multiselect("Which alerts", list(by_id), key=f"{key}-which", format_func=lambda i: label(by_id[i]),
                       placeholder="Choose one or more")  # fmt: skip
        return tag("p", "What happens to them stands in the timeline.", class_="nx-quiet")

    def command(conn: Connection, actor: Person, _why: str) -> str:
        chosen = [int(number) for number in st.session_state.get(f"{key}-which") or ()]
        room.add_alerts(conn, one.id, chosen, actor, origin=origin())
        return "It belongs to it now." if len(chosen) == 1 else f"{len(chosen)} alerts belong to it now."

    ask(f"Add alerts to incident {one.id}", consequence, verb="Add them", right=_RIGHT, command=command, key=key,
        asked=None)  # fmt: skip


def ask_remove(one: Incident, alert: Alert) -> None:
    """Opens the dialog that takes an alert out again."""

    def command(conn: Connection, actor: Person, why: str) -> str:
        room.remove_alert(conn, one.id, alert.id, actor, reason=why, origin=origin())
        return f"Alert {alert.id} is no part of it any more."

    what = f"“{alert.sentence}” no longer belongs to incident {one.id}; the alert itself stays as it is."
    ask(f"Take alert {alert.id} out", what, verb="Take it out", right=_RIGHT, command=command,
        key=f"takeout-{one.id}-{alert.id}")  # fmt: skip


def ask_resolve(one: Incident, firing: int) -> None:
    """Opens the dialog that ends it."""

    def command(conn: Connection, actor: Person, why: str) -> str:
        room.resolve(conn, one.id, why, actor, origin=origin())
        return f"Incident {one.id} is resolved."

    still = f"{firing} of its alerts still {'fires' if firing == 1 else 'fire'}, and will go on. " if firing else ""
    what = f"{still}It is closed for good; notes can still be added, and a review can be started."
    ask(f"Resolve incident {one.id}", what, verb="Resolve it", right=_RIGHT, command=command,
        key=f"resolve-{one.id}", asked="What ended it")  # fmt: skip


def start_review(one: Incident) -> None:
    """For `on_click`: starts the checklist that reviews it, in one transaction with its name on the incident."""

    def command(conn: Connection, actor: Person) -> str:
        name, field = INCIDENT_FIELD
        fields = {field: str(one.id), "date": now().date().isoformat()}
        run_id = start_run(conn, find_template(name), fields, actor, origin=origin())
        room.attach_review(conn, one.id, run_id, actor, origin=origin())
        return f"The review has started as checklist run {run_id}."

    act(Right.START_CHECKLIST, command)


def _fields(key: str, title: str, severity: str, began: datetime) -> None:
    st.text_input("What is wrong", value=title[: room.LONGEST_TITLE], key=f"{key}-title", max_chars=room.LONGEST_TITLE)
    st.selectbox("How bad", list(SEVERITIES), index=list(SEVERITIES).index(severity), key=f"{key}-severity",
                 format_func=SEVERITIES.__getitem__)  # fmt: skip
    st.datetime_input("Since when (UTC)", value=began.astimezone(UTC).replace(tzinfo=None, microsecond=0),
                      key=f"{key}-began", format="YYYY-MM-DD", step=60)  # fmt: skip


def _given(key: str) -> About:
    """What `_fields` holds."""
    began = st.session_state.get(f"{key}-began")
    if not isinstance(began, datetime):
        raise UsageError("Say since when it hurts, in UTC.")
    title, severity = (str(st.session_state.get(f"{key}-{name}") or "") for name in ("title", "severity"))
    return About(title, severity, began.replace(tzinfo=UTC))


def _lead(key: str, first: str | None, *, without: str | None = None) -> None:
    names = {email: name for email, name in reads.leads() if email != without}
    place = list(names).index(first) if first in names else None
    st.selectbox("Who has it", list(names), index=place, key=f"{key}-lead", placeholder="Choose somebody",
                 format_func=lambda email: f"{names[email]} ({email})")  # fmt: skip
