"""Whom do I call, and who is told?"""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from checklists.contacts import Contact, save_contact, verify_contact
from dashboard import queries_oncall, queries_releases
from dashboard.access import guarded_fragment, may, origin, require
from dashboard.actions import Command, act, attempt, confirm, refusal_to
from dashboard.components.contacts import contact_line, contact_state
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import show, tag
from dashboard.components.oncall import channel_line, headline, override_line, rota_line, turns_table
from dashboard.components.oncall_forms import ask_drop, ask_override, change_rota, ending, new_rota
from dashboard.components.times import now
from dashboard.desk import desk
from jobs.alerts.notices import SEND_NOTICE, TEST, put
from jobs.alerts.rota import Rota
from jobs.core.people import Person
from jobs.core.permissions import Right
from jobs.run.store import request_run

person = require(Right.VIEW)
MAY_KEEP = may(person, Right.KEEP_CONTACTS)
MAY_SEND = may(person, Right.SEND_NOTICES)
_FINISHED = "nx-contact-finished"
_PROBLEM = "nx-contact-problem"


@guarded_fragment(run_every=30, parallel=False)
def on_call() -> None:
    found, plan = queries_oncall.on_call_now(), queries_oncall.plan()
    page_head(*headline(found, plan))
    if not plan.rotas:
        empty("Who is on call, and whose turn comes next, will stand here.",
              "Until there is a rota, the contact “On-Call Engineer” is called.")  # fmt: skip
    for rota, turns in plan.rotas:
        show(rota_line(rota, turns, plan))
        if MAY_KEEP:
            _rota_buttons(rota, [one.name for one, _ in plan.rotas])
    if MAY_KEEP and st.button("New rota", key="rota-new", icon=":material/group_add:"):
        new_rota("secondary" if plan.rotas else "primary", queries_oncall.open_people())
    for rota, turns in plan.rotas:
        section(f"The next four weeks, {rota.name}", "times in UTC")
        turns_table(rota, turns, plan)
    if plan.overrides:
        section("Who stands in", "now and later")
    for override in plan.overrides:
        show(override_line(override, plan))
        if MAY_KEEP:
            st.button(
                "Take it back", key=f"override-{override.id}", icon=":material/undo:", on_click=act,
                args=(Right.KEEP_CONTACTS, ending(override, plan.name(override.person))),
            )  # fmt: skip


def _rota_buttons(rota: Rota, order: list[str]) -> None:
    with st.container(key=f"nx-rota-acts-{rota.name}", horizontal=True, gap="small"):
        if st.button("Somebody stands in", key=f"stand-in-{rota.name}", icon=":material/swap_horiz:"):
            ask_override(rota, queries_oncall.open_people())
        if st.button("Change", key=f"rota-{rota.name}", icon=":material/edit:"):
            change_rota(rota, queries_oncall.open_people(), order)
        if st.button("Take away", key=f"drop-{rota.name}", icon=":material/delete:"):
            ask_drop(rota)


@guarded_fragment(run_every=30, parallel=False)
def contacts() -> None:
    found = queries_releases.contacts()
    section("Emergency contacts", _standing(found))
    if not found:
        empty("The contacts that the checklists name will stand here.", "A definition names them under `contacts`.")
        return
    for number, contact in enumerate(found):
        show(contact_line(contact))
        if MAY_KEEP:
            _buttons(number, contact)


def _standing(found: tuple[Contact, ...]) -> str:
    nobody = [contact.role for contact in found if contact_state(contact)[0] == "critical"]
    stale = [contact.role for contact in found if contact_state(contact)[0] == "warn"]
    if nobody:
        return f"nobody can be called as {', '.join(nobody)}"
    return f"to be made sure of: {', '.join(stale)}" if stale else "every number was made sure of"


def _buttons(number: int, contact: Contact) -> None:
    with st.container(key=f"nx-contact-acts-{number}", horizontal=True, gap="small"):
        if st.button("Change" if contact.version else "Enter", key=f"contact-{number}", icon=":material/edit:"):
            st.session_state.pop(_PROBLEM, None)
            _form(contact)
        if contact.reachable:
            st.button(
                "I called, it is right", key=f"verify-{number}", icon=":material/call:", on_click=act,
                args=(Right.KEEP_CONTACTS, _verified(contact)),
            )  # fmt: skip


def _verified(contact: Contact) -> Command:
    def command(conn: Connection, actor: Person) -> str:
        verify_contact(conn, contact.role, contact.version, actor, origin=origin())
        return f"“{contact.role}” was made sure of."

    return command


@st.dialog("Emergency contact")
def _form(contact: Contact) -> None:
    if st.session_state.pop(_FINISHED, False):
        st.rerun()
    show(
        tag("p", f"Who is called as “{contact.role}”, from every checklist. "
                 "With another number, somebody has to make sure of it anew.")
    )  # fmt: skip
    fields = {"name": "Name", "phone": "Phone", "email": "Mail", "notes": "Notes"}
    keys = {field: f"contact-{contact.role}-{field}" for field in fields}
    for field, label in fields.items():
        st.text_input(label, value=getattr(contact, field), key=keys[field], max_chars=200)

    def save(conn: Connection, actor: Person) -> bool:
        given = {field: str(st.session_state.get(key, "")) for field, key in keys.items()}
        save_contact(conn, contact.role, contact.version, actor, **given, origin=origin())
        return True

    def sent() -> None:
        if attempt(Right.KEEP_CONTACTS, save, refusal_to(_PROBLEM)):
            st.session_state[_FINISHED] = True

    confirm("Save", _PROBLEM, key="contact-save", on_click=sent)


@guarded_fragment(run_every=5, parallel=False)
def channels() -> None:
    section("Channels", "on which the team, and you, are told")
    found = queries_oncall.channels(person.email)
    if not found:
        demo = "The demo tells nobody." if desk().settings.demo else "Set NEXAOPS_NOTICE_URLS, such as slack://…"
        empty("Where the team is told of alerts, and whether it works, will stand here.", demo)
    for number, (name, newest) in enumerate(found):
        show(channel_line(name, newest))
        if MAY_SEND:
            st.button(
                "Send a test", key=f"test-{number}", icon=":material/send:", on_click=act,
                args=(Right.SEND_NOTICES, _testing(name)),
            )  # fmt: skip


def _testing(channel: str) -> Command:
    def command(conn: Connection, actor: Person) -> str:
        title, body = "A test of NexaFX Ops", f"Nothing has happened: {actor.name} looked whether this channel works."
        key, where = f"{TEST}{now():%Y%m%dT%H%M%S.%f}", origin()
        put(conn, key, title, body, [channel], actor=actor.email, origin=where)
        # By a worker, as alerts are: what comes back proves the whole way.
        request_run(conn, job=SEND_NOTICE, actor=actor.email, origin=where, reason=f"a test of {channel}")
        return f"A test is on its way to {channel}: what comes back stands beside it."

    return command


on_call()
contacts()
channels()
