"""What runs before every page: who is looking, where they can go, and the line on top. Nothing else."""

from __future__ import annotations

from collections import defaultdict

import streamlit as st

from dashboard.access import looking, may, require
from dashboard.actions import say_what_was_done
from dashboard.components.topline import LOGO, top_line
from dashboard.navigation import PAGES, START
from jobs.core.permissions import Right

st.set_page_config(layout="wide", initial_sidebar_state="auto")
st.logo(LOGO, size="medium")
person = require(Right.VIEW)

groups: dict[str, list[st.Page]] = defaultdict(list)
for entry in PAGES:
    if not may(person, entry.right):
        continue
    groups[entry.group].append(
        st.Page(
            entry.file,
            title=entry.title,
            icon=entry.icon,
            url_path="" if entry is START else entry.name,
            default=entry is START,
            visibility="hidden" if entry.hidden else "visible",
        )
    )
page = st.navigation(groups, position="sidebar", expanded=True)
st.set_page_config(page_title=f"{page.title} · NexaFX operations")
with looking(person):
    top_line(person)
    say_what_was_done()
    page.run()
