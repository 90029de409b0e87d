"""What falls due, and when?"""

from __future__ import annotations

import streamlit as st

from checklists.upcoming import Entry
from dashboard import queries_releases as reads
from dashboard.access import guarded_fragment, require
from dashboard.components.layout import empty, page_head, section
from dashboard.components.markup import link, show, tag, url
from dashboard.components.month import month_grid, month_of, span, turned, words
from dashboard.components.states import shape
from dashboard.components.times import now
from jobs.core.permissions import Right

require(Right.VIEW)
WRONG = ("overdue", "missed", "refused")
MOST = 8


@guarded_fragment(run_every=30)
def month() -> None:
    today = now().date()
    first = month_of(st.query_params.get("month"), today)
    found = reads.calendar(*span(first))
    here = reads.calendar(*span(today.replace(day=1)))
    late = [entry for entry in here if entry.state in WRONG]
    coming = [
        entry for entry in here if entry.state in {"coming", "due"} and entry.kind != "handover" and entry.at >= now()
    ]
    page_head(_headline(late), _lead(coming))
    if late:
        shown = late[-MOST:]
        show(tag("ul", *(tag("li", shape("warn"), words(entry)) for entry in reversed(shown)), class_="nx-problems"))
    section(f"{first:%B %Y}", "days and hours in UTC")
    before, after = turned(first, -1), turned(first, 1)
    show(
        tag(
            "nav",
            link(f"{before:%B}", url("calendar", month=f"{before:%Y-%m}")),
            link("This month", url("calendar")) if first != today.replace(day=1) else "",
            link(f"{after:%B}", url("calendar", month=f"{after:%Y-%m}")),
            class_="nx-turn",
            aria_label="Months",
        )
    )
    if not found:
        empty("Lists with a schedule, what is due, and reviews will stand here.",
              "A definition opens by itself when it has a `schedule`.")  # fmt: skip
        return
    show(month_grid(first, found, today))


def _headline(late: list[Entry]) -> str:
    if not late:
        return "Nothing is overdue"
    return "One thing is late" if len(late) == 1 else f"{len(late)} things are late"


def _lead(coming: list[Entry]) -> str:
    if not coming:
        return "Nothing more is planned this month."
    entry = coming[0]
    return f"Next: {entry.title}, {entry.at:%A, %-d %B}."


month()
