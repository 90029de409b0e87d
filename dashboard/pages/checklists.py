"""Checklists: not built yet; says so."""

from __future__ import annotations

from dashboard.access import require
from dashboard.components.layout import empty, page_head
from jobs.core.permissions import Right

require(Right.VIEW)
page_head("Checklists")
empty(
    "Checklists to start, and those in hand, will stand here.",
    "It is not built yet; the command line has it already: nexaops --help.",
)
