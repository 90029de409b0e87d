"""What a person can do about alerts: acknowledge one or many, give one back, keep quiet, plan maintenance.

Each opens a dialog that says what will happen and asks for a word; its command asks for the right again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st
from sqlalchemy import Connection

from dashboard.access import may, origin
from dashboard.actions import ask
from dashboard.components.alert_words import label, silenced
from dashboard.components.incident_actions import ask_open
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.times import now
from jobs.alerts.acting import acknowledge, end_silence, plan_maintenance, silence, unacknowledge
from jobs.alerts.model import Alert, Rule, Silence, only
from jobs.core.errors import Conflict, UsageError
from jobs.core.people import Person
from jobs.core.permissions import Right

_RIGHT = Right.ACT_ON_ALERTS
_UNTIL = "until a time"
_LENGTHS: Mapping[str, timedelta | None] = {
    "30 minutes": timedelta(minutes=30),
    "2 hours": timedelta(hours=2),
    "8 hours": timedelta(hours=8),
    _UNTIL: None,
}
_ALONE, _WHOLE = "this alert alone", "everything of its rule"
_ALL = "every rule"


def buttons(alert: Alert, rule: Rule | None, person: Person, *, incident: int | None) -> None:
    """What this person may do about an alert that fires."""
    key = f"alert-{alert.id}"
    with st.container(key=f"nx-alertacts-{alert.id}", horizontal=True, vertical_alignment="center", gap="small"):
        if may(person, _RIGHT):
            if alert.acknowledged_at is None:
                if st.button(
                    "Acknowledge", key=f"{key}-ack", icon=":material/front_hand:", help=f"Acknowledge alert {alert.id}"
                ):
                    ask_acknowledge(alert)
            elif st.button("Give back", key=f"{key}-back", icon=":material/undo:", help=f"Give alert {alert.id} back"):
                ask_give_back(alert)
            if st.button(
                "Silence", key=f"{key}-quiet", icon=":material/notifications_off:", help=f"Silence alert {alert.id}"
            ):
                ask_silence(alert)
            if incident is None and st.button(
                "Open an incident",
                key=f"{key}-incident",
                icon=":material/emergency_heat:",
                help=f"Open an incident for alert {alert.id}",
            ):
                ask_open(person, key=f"{key}-open", alerts=[alert])
        if (runbook := _runbook(rule, person)) is not None:
            show(runbook)


def ways_to_act(alert: Alert, rule: Rule | None, person: Person) -> Html:
    """The same as links: to the alert's own page, where the buttons stand, and to its runbook."""
    verb = "Acknowledge" if alert.acknowledged_at is None else "Give back"
    own = link(f"{verb}, silence, open an incident", url("alert", id=alert.id), class_="nx-link nx-inline")
    found = [own] if may(person, _RIGHT) else []
    if (runbook := _runbook(rule, person)) is not None:
        found.append(runbook)
    return tag("div", *found, class_="nx-numbers nx-note")


def _runbook(rule: Rule | None, person: Person) -> Html | None:
    if rule is None or rule.runbook is None:
        return None
    verb = "Start the runbook" if may(person, Right.START_CHECKLIST) else "Read the runbook"
    return link(verb, url("checklists", template=rule.runbook), class_="nx-link nx-inline nx-runbook")


def ask_acknowledge(alert: Alert) -> None:
    """Opens the dialog in which somebody takes an alert."""

    def command(conn: Connection, actor: Person, why: str) -> str:
        acknowledge(conn, alert.id, actor.email, why, origin=origin())
        return f"You have alert {alert.id}."

    what = f"“{alert.sentence}” is yours: everybody sees that, and nobody else is told of it."
    ask(f"Acknowledge alert {alert.id}", what, verb="Acknowledge", right=_RIGHT, command=command,
        key=f"ack-{alert.id}", asked="What you do about it")  # fmt: skip


def ask_acknowledge_many(alerts: Sequence[Alert]) -> None:
    """Opens the dialog in which somebody takes all of these, or some of them."""
    by_id = {one.id: one for one in alerts}

    def consequence() -> Html:
        st.multiselect("Which alerts", list(by_id), default=list(by_id), key="ack-many-which",
                       format_func=lambda number: label(by_id[number]))  # fmt: skip
        return tag("p", "They are yours: everybody sees that, and nobody else is told of them.", class_="nx-quiet")

    def command(conn: Connection, actor: Person, why: str) -> str:
        # In order: two who take the same ones wait for each other, and not for each other's rows.
        chosen = sorted(int(number) for number in st.session_state.get("ack-many-which") or ())
        if not chosen:
            raise UsageError("Choose at least one alert.")
        late = []
        for number in chosen:
            try:
                acknowledge(conn, number, actor.email, why, origin=origin())
            except Conflict as refusal:
                # Its update has changed nothing: the others are taken all the same.
                late.append(str(refusal))
        if len(late) == len(chosen):
            raise Conflict(late[0])
        taken = len(chosen) - len(late)
        return " ".join([f"You have {taken} {'alert' if taken == 1 else 'alerts'}.", *late])

    ask("Acknowledge several alerts", consequence, verb="Acknowledge them", right=_RIGHT, command=command,
        key="ack-many", asked="What you do about them")  # fmt: skip


def ask_give_back(alert: Alert) -> None:
    """Opens the dialog in which an alert becomes nobody's again."""

    def command(conn: Connection, actor: Person, why: str) -> str:
        unacknowledge(conn, alert.id, actor.email, why, origin=origin())
        return f"Nobody has alert {alert.id} now."

    what = f"Nobody has “{alert.sentence}” any more, and its escalation goes on where it stood."
    ask(f"Give alert {alert.id} back", what, verb="Give it back", right=_RIGHT, command=command, key=f"back-{alert.id}")


def ask_silence(alert: Alert) -> None:
    """Opens the dialog that keeps an alert quiet for a time."""
    key = f"silence-{alert.id}"

    def consequence() -> Html:
        chosen = st.selectbox("For how long", list(_LENGTHS), key=f"{key}-length")
        if chosen == _UNTIL:
            _time("Until when (UTC)", now() + timedelta(hours=4), f"{key}-until")
        st.radio("What is quiet", [_ALONE, _WHOLE], key=f"{key}-what", horizontal=True)
        return tag("p", "Nobody is told of it until then. It stays on this page, and tells at once if it fires still.",
                   class_="nx-quiet")  # fmt: skip

    def command(conn: Connection, actor: Person, why: str) -> str:
        length = _LENGTHS[st.session_state.get(f"{key}-length") or next(iter(_LENGTHS))]
        until = _given(f"{key}-until") if length is None else now() + length
        whole = st.session_state.get(f"{key}-what") == _WHOLE
        silence(
            conn, alert.rule, "*" if whole else only(alert.subject) or "*", until, why, actor.email, origin=origin()
        )
        return f"It is quiet until {until:%Y-%m-%d %H:%M} UTC."

    ask(f"Silence alert {alert.id}", consequence, verb="Silence it", right=_RIGHT, command=command, key=key)


def ask_plan(rules: Mapping[str, Rule]) -> None:
    """Opens the dialog that plans a maintenance window."""
    key = "plan"

    def consequence() -> Html:
        st.text_input(
            "What is done", key=f"{key}-title", max_chars=120, placeholder="as in PostgreSQL 19, or: the move to ops-2"
        )
        _time("From (UTC)", now(), f"{key}-from")
        _time("Until (UTC)", now() + timedelta(hours=2), f"{key}-until")
        st.selectbox("Which rule", [_ALL, *rules], key=f"{key}-rule",
                     format_func=lambda name: f"{rules[name].title} ({name})" if name in rules else name)  # fmt: skip
        st.text_input("Of what", value="*", key=f"{key}-subject", max_chars=200,
                      help="A job, a server, a host: patterns such as `reconcile-*`, separated by commas; * is everything.")  # fmt: skip
        return tag("p", "Nobody is told of what fires then. It is marked on the charts.", class_="nx-quiet")

    def command(conn: Connection, actor: Person, why: str) -> str:
        state = st.session_state
        rule = str(state.get(f"{key}-rule") or _ALL)
        plan_maintenance(
            conn, str(state.get(f"{key}-title") or ""), "*" if rule == _ALL else rule,
            str(state.get(f"{key}-subject") or "*"), _given(f"{key}-from"), _given(f"{key}-until"), why, actor.email,
            origin=origin(),
        )  # fmt: skip
        return "The maintenance window is planned."

    ask("Plan a maintenance window", consequence, verb="Plan it", right=_RIGHT, command=command, key=key)


def ask_end(one: Silence, names: Mapping[str, str]) -> None:
    """Opens the dialog that takes a silence or a window back."""

    def command(conn: Connection, actor: Person, _why: str) -> str:
        end_silence(conn, one.id, actor.email, origin=origin())
        return f"“{one.title}” is taken back."

    def consequence() -> Html:
        return join(
            tag("p", silenced(one, names, now())),
            tag("p", "What fires is told again at once.", class_="nx-strong"),
        )

    ask(
        "Take it back", consequence, verb="Take it back", right=_RIGHT, command=command, key=f"end-{one.id}", asked=None
    )


def _time(label: str, first: datetime, key: str) -> None:
    st.datetime_input(label, value=first.astimezone(UTC).replace(tzinfo=None, second=0, microsecond=0), key=key,
                      format="YYYY-MM-DD", step=300)  # fmt: skip


def _given(key: str) -> datetime:
    value = st.session_state.get(key)
    if not isinstance(value, datetime):
        raise UsageError("Say the time, in UTC.")
    return value.replace(tzinfo=UTC)
