"""What is switched off, by whom, and why?"""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from dashboard import queries_admin as reads
from dashboard.access import guarded_fragment, may, origin, require
from dashboard.actions import ask
from dashboard.components.actors import who
from dashboard.components.layout import empty, page_head, section, table
from dashboard.components.markup import Html, join, link, show, tag, url
from dashboard.components.states import chip
from dashboard.components.times import age
from jobs.core.errors import Conflict
from jobs.core.flags import MEANINGS, Flag, FlagState, set_flag
from jobs.core.people import Person
from jobs.core.permissions import Right

person = require(Right.VIEW)
MAY_SWITCH = may(person, Right.SET_FLAGS)
# (what switching it off does, what switching it on does)
_CONSEQUENCES: dict[Flag, tuple[str, str]] = {
    Flag.RECONCILIATION: (
        "No pending transaction is settled any more: deposits and withdrawals wait. A run stops at its next batch.",
        "Pending transactions are settled again; money moves.",
    ),
    Flag.RETRY: (
        "Failed transactions are not looked at again: one that did succeed stays refunded.",
        "Failed transactions are looked at again; a refund may be taken back.",
    ),
    Flag.NOTIFICATIONS: (
        "Users are not told of what settles; it is not made good later.",
        "Users are told of what settles from now on.",
    ),
    Flag.BALANCE_UPDATES: (
        "Nothing that moves a balance is settled: it waits until this is on again.",
        "Settlements move balances again, also for what has waited.",
    ),
    Flag.CLEANUP: ("Old notifications stay.", "Old notifications are deleted for good, as every night."),
    Flag.DRY_RUN: (
        "Jobs change again what they decide; money moves.",
        "Every job only says what it would do: nothing is settled, deleted or told to anybody.",
    ),
}


@guarded_fragment(run_every=5, parallel=False)
def listed() -> None:
    found = reads.flags()
    unusual = [state for state in found if state.unusual]
    if unusual:
        words = ", ".join(f"{state.flag.value} is {_word(state.value)}" for state in unusual)
        page_head(words, "Jobs obey within a second, also one that is running.")
    else:
        page_head("Every flag stands as on a quiet day", "A switch acts within a second, also on a run under way.")
    for state in found:
        show(_line(state))
        if MAY_SWITCH:
            _button(state)
    _history()


def _line(state: FlagState) -> Html:
    seeded = state.changed_by == "system" and state.reason is None
    return tag(
        "div",
        tag("div", tag("b", state.flag.value), tag("div", f"On: {MEANINGS[state.flag]}.", class_="nx-quiet")),
        tag("div", chip("warn" if state.unusual else "ok", _word(state.value))),
        tag("div", "never switched" if seeded else join(age(state.changed_at), " by ", who(state.changed_by)),
            tag("div", state.reason, class_="nx-note") if state.reason else "", class_="nx-quiet"),
        class_="nx-call",
    )  # fmt: skip


def _button(state: FlagState) -> None:
    word = _word(not state.value)
    if st.button(
        f"Switch {word}",
        key=f"flag-{state.flag.value}",
        icon=":material/toggle_off:" if state.value else ":material/toggle_on:",
    ):
        title, name = f"Switch {state.flag.value} {word}", state.flag.value

        def command(conn: Connection, actor: Person, reason: str) -> str:
            if not set_flag(conn, state.flag, not state.value, actor=actor.email, reason=reason, origin=origin()):
                raise Conflict(f"{name} is {word} already: somebody was faster.")
            return f"{name} is {word}."

        consequence = _CONSEQUENCES[state.flag][not state.value]
        ask(title, consequence, verb=title, right=Right.SET_FLAGS, command=command, key=f"flag-{name}-{word}")


def _history() -> None:
    section("Switched lately", "newest first")
    found = reads.switches()
    if not found:
        empty("Nobody has switched a flag yet.", "Each switch will stand here with who, when and why.")
        return
    rows = [
        (age(one.at), one.flag, _word(one.value), who(one.actor), one.reason or "–",
         link(f"audit {one.id}", url("audit", entity="flag"), class_="nx-link nx-inline")
         if may(person, Right.VIEW_AUDIT) else f"audit {one.id}")
        for one in found
    ]  # fmt: skip
    table(("When", "Flag", "To", "By", "Why", "Record"), rows, label="Switched lately")


def _word(value: bool) -> str:
    return "on" if value else "off"


listed()
