"""One line in full: evidence, what can be done to it besides ticking, and everything that happened to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import streamlit as st
from sqlalchemy import Connection

from checklists.lines import State, TrackedItem
from checklists.store import assign, comment, mark_na, tick, untick
from checklists.tracker import LONGEST_NOTE, Command, may_change
from dashboard import queries_checklists as reads
from dashboard.access import origin
from dashboard.components.checklist_action import action_button
from dashboard.components.checklist_acts import acts, has_acts
from dashboard.components.checklist_commands import attempt, place_of
from dashboard.components.checklist_evidence import evidence
from dashboard.components.checklist_facts import choice_word
from dashboard.components.checklist_forms import turn_form, turn_of, words_form
from dashboard.components.checklist_view import View
from dashboard.components.checklist_words import happened, role_word, told
from dashboard.components.markup import Html, join, show, tag
from jobs.core.people import Person


@contextmanager
def _popover(label: str, name: str, view: View, item: TrackedItem) -> Iterator[str]:
    """A popover around a form, whose key it hands on; it closes when the form's command was taken."""
    key = f"nx-{name}-{place_of(view.run.id, item.id)}"
    with st.popover(label, key=f"{key}-pop-{turn_of(key)}", type="tertiary"):
        yield key


def panel(view: View, item: TrackedItem) -> None:
    """Draws it, with what the person may do to this line now."""
    show(tag("p", *_rules(item), class_="nx-note"))
    if item.check is not None:
        with st.expander("What the check saw", key=f"nx-cl-seen-{place_of(view.run.id, item.id)}"):
            _output(view.run.id, item)
    evidence(view, item)
    # The forms come and go with the line's state only, so that what is half written stays while others tick.
    with st.container(key=f"nx-cl-forms-{view.run.id}-{item.mark.state.value}", horizontal=True, gap="small"):
        if item.occurrence is not None and view.works and has_acts(item):
            acts(view, item)
        if item.definition.action is not None:
            action_button(view, item)
        _forms(view, item)
    if view.works:
        words_form(
            f"nx-comment-{place_of(view.run.id, item.id)}", label="Comment", verb="Comment",
            command=lambda words: comment_on(view.run.id, item.id, words),
        )  # fmt: skip
    _history(view, item)


def _rules(item: TrackedItem) -> list[object]:
    said: list[object] = []
    if item.role is not None:
        said.append(f"Ticked by {role_word(item.role)}; a release manager or an administrator can do it too. ")
    if item.definition.verify_by is not None:
        said.append("A second person verifies it. ")
    if item.definition.na == "never":
        said.append("This line always applies. ")
    if item.definition.check is not None:
        said.append(join("Its check is ", tag("span", item.definition.check.use, class_="nx-mono"), "."))
    return said


def _forms(view: View, item: TrackedItem) -> None:
    run_id, version = view.run.id, item.mark.version
    if view.may(Command.MARK_NA, item):
        with _popover("Does not apply…", "na", view, item) as key:
            words_form(
                key, label="Why it does not apply", verb="Does not apply",
                command=_on(run_id, item, lambda conn, person, words: mark_na(
                    conn, run_id, item.id, version, person, words, origin=origin())),
            )  # fmt: skip
    if view.may(Command.UNTICK, item):
        was = "done" if item.mark.state is State.DONE else "not applying"
        with _popover("Reopen…", "reopen", view, item) as key:
            words_form(
                key, label=f"Why it is open again (it stays in its history as {was})", verb="Reopen",
                command=_on(run_id, item, lambda conn, person, words: untick(
                    conn, run_id, item.id, version, person, origin=origin(), note=words or None)),
            )  # fmt: skip
    if view.may(Command.TICK, item):
        with _popover("Done earlier…", "late", view, item) as key:
            _late(view, item, key)
    if view.works and item.mark.state is State.OPEN:
        with _popover("Give it to somebody…", "assign", view, item) as key:
            _assign(view, item, key)


def _on(run_id: int, item: TrackedItem, command: Callable[[Connection, Person, str], int]) -> Callable[[str], bool]:
    return lambda words: bool(attempt(place_of(run_id, item.id), lambda conn, person: command(conn, person, words)))


def _late(view: View, item: TrackedItem, key: str) -> None:
    """What was done before and is ticked only now: when, and why so late."""
    ways = [choice.id for choice in item.definition.decide]

    def fields(prefix: str) -> None:
        st.datetime_input(
            "When it was done (UTC)", value=view.run.started_at.replace(tzinfo=None), key=f"{prefix}-at",
            format="YYYY-MM-DD", step=60,
        )  # fmt: skip
        if ways:
            st.selectbox("How it was decided", ways, format_func=choice_word, key=f"{prefix}-choice")
        st.text_area("Why it is entered late", key=f"{prefix}-why", max_chars=LONGEST_NOTE, height=72)

    def command(value: Callable[[str], Any]) -> bool:
        at: datetime | None = value("-at")
        done = None if at is None else at.replace(tzinfo=UTC)
        return bool(
            attempt(
                place_of(view.run.id, item.id),
                lambda conn, person: tick(
                    conn, view.run.id, item.id, item.mark.version, person, origin=origin(), note=value("-why"),
                    choice=value("-choice"), performed_at=done,
                ),
            )
        )  # fmt: skip

    turn_form(key, fields=fields, verb="Enter it late", command=command)


def _assign(view: View, item: TrackedItem, key: str) -> None:
    """Whose line it is from now on, and until when."""
    able = {who.email: who.name for who in reads.people() if may_change(item, who.roles)}

    def fields(prefix: str) -> None:
        emails = list(able)
        now = emails.index(item.mark.assignee) if item.mark.assignee in able else None
        st.selectbox(
            "Who does it", emails, index=now, placeholder="nobody in particular", key=f"{prefix}-who",
            format_func=lambda email: able.get(email, email),
        )  # fmt: skip
        due = item.mark.due_at.astimezone(UTC).replace(tzinfo=None) if item.mark.due_at is not None else None
        st.datetime_input("Until when (UTC, optional)", value=due, key=f"{prefix}-due", format="YYYY-MM-DD", step=900)

    def command(value: Callable[[str], Any]) -> bool:
        due: datetime | None = value("-due")

        def give(conn: Connection, person: Person) -> bool:
            assign(
                conn, view.run.id, item.id, person, origin=origin(), assignee=value("-who"),
                due_at=None if due is None else due.replace(tzinfo=UTC),
            )  # fmt: skip
            return True

        return bool(attempt(place_of(view.run.id, item.id), give))

    turn_form(key, fields=fields, verb="Give it", command=command)


def _output(run_id: int, item: TrackedItem) -> None:
    found = reads.check_output(run_id, item.id)
    if found is None:
        return
    show(
        tag("p", f"By {found.by}, counts until ", f"{found.expires_at:%H:%M} UTC on {found.expires_at:%-d %B}",
            ", SHA-256 ", tag("span", found.sha256[:12], class_="nx-mono", title=found.sha256), class_="nx-note")
    )  # fmt: skip
    st.code(found.output, language="json", wrap_lines=True)


def _history(view: View, item: TrackedItem) -> None:
    found = reads.events(view.run.id, item.id)
    parts: list[Html] = [tag("h3", "History", class_="nx-cl-title")]
    if not found:
        parts.append(tag("p", "Nobody has touched this line yet.", class_="nx-quiet"))
    else:
        parts.append(happened([told(event, {}) for event in found[: reads.PAGE]]))
    if len(found) > reads.PAGE:
        parts.append(tag("p", "Older changes stand in the run's own history below.", class_="nx-note"))
    show(*parts)


def comment_on(run_id: int, item_id: str | None, words: str) -> bool:
    """Keeps a comment on a line or on the run; False if it was refused."""

    def command(conn: Connection, person: Person) -> bool:
        comment(conn, run_id, item_id, words, person, origin=origin())
        return True

    return bool(attempt(place_of(run_id, item_id), command))
