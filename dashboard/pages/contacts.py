"""Whom do I call?"""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from checklists.contacts import Contact, save_contact, verify_contact
from dashboard import queries_releases as reads
from dashboard.access import guarded_fragment, may, origin, require
from dashboard.actions import Command, act, attempt, confirm, refusal_to
from dashboard.components.contacts import contact_line, contact_state
from dashboard.components.layout import empty, page_head
from dashboard.components.markup import show, tag
from jobs.core.people import Person
from jobs.core.permissions import Right

person = require(Right.VIEW)
MAY_KEEP = may(person, Right.KEEP_CONTACTS)
_FINISHED = "nx-contact-finished"
_PROBLEM = "nx-contact-problem"


@guarded_fragment(run_every=30, parallel=False)
def listed() -> None:
    found = reads.contacts()
    page_head(*_headline(found))
    if not found:
        empty("The contacts that the checklists name will stand here.", "A definition names them under `contacts`.")
        return
    for number, contact in enumerate(found):
        show(contact_line(contact))
        if MAY_KEEP:
            _buttons(number, contact)


def _headline(found: tuple[Contact, ...]) -> tuple[str, str]:
    nobody = [contact.role for contact in found if contact_state(contact)[0] == "critical"]
    stale = [contact.role for contact in found if contact_state(contact)[0] == "warn"]
    if nobody:
        return f"Nobody can be called as {', '.join(nobody)}", "Enter who it is before it is needed."
    if stale:
        return f"Make sure of {', '.join(stale)}", "Call once, and say that it is right."
    return "Whom to call", "Every number was made sure of."


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


listed()
