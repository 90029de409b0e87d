"""What will not hold for a month, as a list: the sentence, and under it what to do."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.components.markup import show, tag
from dashboard.components.states import shape
from jobs.probes.outlook import Concern


def concerns(found: Sequence[Concern]) -> None:
    """Worst first as they come; nothing for none."""
    if not found:
        return
    items = (
        tag("li", shape(one.verdict), tag("div", f"{one.sentence}.", tag("div", one.mend, class_="nx-note")))
        for one in found
    )
    show(tag("ul", *items, class_="nx-problems"))
