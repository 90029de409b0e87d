"""What exactly am I about to sign, and may I?"""

from __future__ import annotations

import streamlit as st

from checklists.delegation import Delegation
from checklists.grammar import SignOff
from checklists.reads import ChecklistRun, RunState
from checklists.record import digest_of
from checklists.signing import to_sign
from checklists.signoff import Signer, could_sign, holding, why_not_person, why_not_sign
from dashboard import queries_checklists as reads
from dashboard.access import require
from dashboard.components import checklist_about as about
from dashboard.components.checklist_choice import chosen_run
from dashboard.components.checklist_words import standing
from dashboard.components.layout import empty, page_head
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.sign_form import delegate_form, sign_form
from dashboard.components.sign_record import lay_open
from dashboard.components.sign_words import expedited, lines_of
from dashboard.components.states import chip
from jobs.core.people import Person
from jobs.core.permissions import Right

person = require(Right.VIEW)


def chosen_line(run: ChecklistRun, given: str, behalf: tuple[Delegation, ...]) -> SignOff | None:
    """The line that the address names, else the first that waits for this person, else the first that waits."""
    lines = lines_of(run)
    named = next((line for line in lines if line.role.value == given), None)
    waiting = [line for line in lines if holding(run, line.role) is None]
    mine = [line for line in waiting if line.role in person.roles or any(one.role is line.role for one in behalf)]
    return named or next(iter([*mine, *waiting, *lines]), None)


def signer_for(line: SignOff, behalf: list[Delegation]) -> Signer:
    """As whom this person would sign: themselves, or the first who lets them."""
    if line.role in person.roles or not behalf:
        return Signer(person.email, person.name, person.roles)
    return Signer(person.email, person.name, person.roles, behalf[0].by, behalf[0].by_name)


def roles(run: ChecklistRun, chosen: SignOff) -> Html:
    """The lines of the sign-off, each a link that opens it."""
    return tag(
        "nav",
        *(
            link(
                chip("signed" if holding(run, line.role) else "open", line.title),
                url("signing", id=run.id, role=line.role.value),
                aria_current="page" if line is chosen else None,
            )
            for line in lines_of(run)
        ),
        class_="nx-sg-roles",
        aria_label="Who signs",
    )


def may_sign(run: ChecklistRun, line: SignOff, person: Person, digest: str) -> None:
    """The form, for who can sign this line or reject it; for everybody else a sentence."""
    if run.state is not RunState.OPEN:
        show(tag("p", "The run is closed: nothing more is signed in it.", class_="nx-note"))
        return
    behalf = [one for one in reads.delegations(run.id) if one.to == person.email and one.role is line.role]
    signer = signer_for(line, behalf)
    never = why_not_person(run, line, signer)
    if never is not None:
        names = ", ".join(one.name for one in could_sign(run, line, reads.people())) or "nobody as things stand"
        show(tag("p", f"{never} It can be signed by {names}.", class_="nx-note"))
    else:
        refused = why_not_sign(run, line, signer)
        words = None if refused is None else str(refused).replace("`", "")
        if holding(run, line.role) is not None:
            words = "It is signed. As long as the run is open, it can still be rejected."
        sign_form(run, line, digest, person, behalf, words)
    if line.role in person.roles:
        delegate_form(run, line, person, reads.delegations(run.id))


def one_line(run: ChecklistRun) -> None:
    """One line of the sign-off: what is signed, and the form."""
    line = chosen_line(run, st.query_params.get("role", ""), reads.delegations(run.id))
    back = link("Back to the list", url("checklist", id=run.id), class_="nx-link nx-inline")
    version = run.fields.get("version")
    name = join(run.template.title, tag("span", f" {version}", class_="nx-cl-version") if version else "")
    if line is None:
        page_head(name, join(standing(run), " · ", back))
        empty("Nobody signs this list: its definition names no roles.")
        return
    page_head(join("Sign off ", name), join(f"as {line.title} · ", standing(run), " · ", back))
    show(expedited(run), roles(run, line))
    record = to_sign(run, line.role)
    about.summary(run, {one.email: one.name for one in reads.people()})
    lay_open(run, line, record, [piece for piece in reads.evidence(run.id) if piece.withdrawn_at is None])
    may_sign(run, line, person, digest_of(record))


run = chosen_run("What somebody is about to sign will stand here, laid open.")
one_line(run)
