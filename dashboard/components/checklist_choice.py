"""Which run of a checklist a page is about: the one that its address names."""

from __future__ import annotations

import streamlit as st

from checklists.reads import ChecklistRun
from dashboard import queries_checklists as reads
from dashboard.components.layout import empty, page_head
from dashboard.components.markup import link, url
from jobs.core.errors import NotFound


def chosen_run(what: str) -> ChecklistRun:
    """The run that the address names; without one the page ends with a sentence. `what` says what will stand there."""
    given = st.query_params.get("id", "")
    others = link("All checklists", url("checklists"), class_="nx-link nx-inline")
    if not given:
        page_head("No checklist is chosen")
        empty(what, "Choose one from the list.", others)
        st.stop()
    try:
        # Longer numbers than the database has are as unknown as those it never gave.
        number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None
        if number is None:
            raise NotFound(f"“{given[:40]}” is not the number of a run.")
        return reads.run(number)
    except NotFound:
        page_head("There is no such checklist run")
        empty(f"The address names the run “{given[:40]}”, which does not exist.", "Choose one from the list.", others)
        st.stop()
