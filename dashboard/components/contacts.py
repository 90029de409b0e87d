"""Whom to call: who, at which number, and when somebody last made sure of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from checklists.contacts import SOON, Contact
from dashboard.components.markup import Html, join, link, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age, now


def contact_state(contact: Contact) -> tuple[str, str]:
    """How far a contact can be relied on: a state and its words."""
    at = now()
    if not contact.reachable:
        return "critical", "nobody is entered"
    if contact.verified_at is None:
        return "warn", "never made sure of"
    if contact.due_at(at) <= at:
        return "warn", "to be made sure of"
    return ("note", "soon to be made sure of") if contact.due_at(at) <= at + SOON else ("ok", "made sure of")


def contact_line(contact: Contact) -> Html:
    """One contact in full."""
    state, said = contact_state(contact)
    return tag(
        "div",
        tag("div", tag("b", contact.role), tag("div", contact.name, class_="nx-quiet") if contact.name else ""),
        tag("div", reach(contact), tag("div", contact.notes, class_="nx-note") if contact.notes else ""),
        tag("div", chip(state, said),
            tag("div", join(age(contact.verified_at), f" by {contact.verifier}"), class_="nx-note")
            if contact.verified_at is not None else ""),
        class_="nx-call",
    )  # fmt: skip


def reach(contact: Contact) -> Html:
    """Phone and address as links that call and write."""
    if not contact.reachable:
        return tag("span", "no number yet", class_="nx-quiet")
    number = re.sub(r"[^0-9+]", "", contact.phone)
    return join(
        tag("a", contact.phone, href=f"tel:{number}", class_="nx-link") if number else contact.phone,
        " · " if contact.phone and contact.email else "",
        tag("a", contact.email, href=f"mailto:{contact.email}", class_="nx-link") if "@" in contact.email else contact.email,
    )  # fmt: skip


def whom_to_call(contacts: Sequence[Contact]) -> Html:
    """The same in short, for beside a checklist."""
    return tag(
        "ul",
        *(
            tag("li", tag("b", contact.role), ": ", contact.name or "", " " if contact.name else "", reach(contact))
            for contact in contacts
        ),
        tag("li", link("All contacts", url("contacts"), class_="nx-link nx-inline")),
        class_="nx-cl-plain",
    )
