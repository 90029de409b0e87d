"""What installed packages were to bring to the desk and cannot, named with its reason above the jobs that work.

It is what this process finds installed; a worker on another host names its own in its log, and in the runs that fail by it.
"""

from __future__ import annotations

from dashboard.components.markup import Html, show, tag
from dashboard.components.states import shape
from jobs.core.jobs import Broken
from jobs.schedule.broken import broken_jobs


def show_broken_jobs() -> None:
    """A line for each; nothing where all is well."""
    if found := broken_jobs():
        show(tag("ul", *map(_line, found), class_="nx-problems", aria_label="Broken jobs"))


def _line(it: Broken) -> Html:
    says = tag("span", tag("b", it.name, " is broken"), f": {it.reason} ({it.module}).")
    return tag("li", shape("critical"), says)
