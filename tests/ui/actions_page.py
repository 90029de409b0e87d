"""A page with one thing to do, at once and after a question."""

from __future__ import annotations

import streamlit as st
from sqlalchemy import Connection

from dashboard.actions import act, ask, say_what_was_done
from jobs.core.errors import Conflict
from jobs.core.flags import Flag, set_flag
from jobs.core.people import Person
from jobs.core.permissions import Right


def off(conn: Connection, person: Person, reason: str) -> str:
    if not set_flag(conn, Flag.CLEANUP, False, actor=person.email, reason=reason, origin="test"):
        raise Conflict("It is off already.")
    return f"{person.name} switched it off."


say_what_was_done()
st.button("now", on_click=act, args=(Right.SET_FLAGS, lambda conn, person: off(conn, person, "a test")))
if st.button("ask"):
    ask("Off?", "It stays off.", verb="Off", right=Right.SET_FLAGS, command=off, key="off")
