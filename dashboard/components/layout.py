"""The parts every page is put together from: its head, sections, tables, problems, empty states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dashboard.components.markup import Html, join, link, show, tag
from dashboard.components.states import shape
from dashboard.components.times import age
from jobs.alerts.standing import Concern
from jobs.probes.attention import Problem


def page_head(title: object, lead: object = "") -> None:
    """The page's name, and one line that answers its question."""
    show(tag("header", tag("h1", title), tag("p", lead, class_="nx-lead") if lead else "", class_="nx-head"))


def section(title: str, note: object = "") -> None:
    """A quiet line and a heading before a part of the page; `note` stands at the far end."""
    show(tag("div", tag("h2", title), tag("div", note, class_="nx-note"), class_="nx-section"))


def tiles(figures: Iterable[Html]) -> None:
    """Figures side by side, as many as fit."""
    show(tag("div", *figures, class_="nx-tiles"))


def problems(found: Sequence[Problem | Concern]) -> None:
    """What is wrong, worst first; each line leads to where it can be looked at. Nothing for none."""
    if not found:
        return
    show(tag("ul", *(_problem(item) for item in found), class_="nx-problems"))


def _problem(item: Problem | Concern) -> Html:
    since = tag("span", age(item.since), class_="nx-note") if item.since is not None else ""
    return tag("li", shape(item.severity), link(f"{item.sentence}.", item.link), since)


def empty(what: str, how: str = "", action: Html | None = None) -> None:
    """What will stand here, and how to make it appear."""
    show(tag("div", tag("p", what), tag("p", how, class_="nx-quiet") if how else "", action or "", class_="nx-empty"))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, numeric: Sequence[int] = (), label: str = ""
) -> None:
    """A small table to read (at most some fifty rows): cells are markup or text, `numeric` columns stand right.

    On a narrow screen each row becomes a block with the columns' names beside the cells. For more rows: a keyset pager,
    never a longer table.
    """
    head = tag("tr", *(tag("th", name, class_="nx-right" if i in numeric else None) for i, name in enumerate(columns)))
    body = join(*(_row(columns, row, numeric) for row in rows))
    content = tag("table", tag("thead", head), tag("tbody", body), class_="nx-table", aria_label=label or None)
    show(tag("div", content, class_="nx-scroll"))


def _row(columns: Sequence[str], cells: Sequence[object], numeric: Sequence[int]) -> Html:
    return tag(
        "tr",
        *(
            tag("td", cell, class_="nx-right nx-num" if i in numeric else None, data_label=name)
            for i, (name, cell) in enumerate(zip(columns, cells, strict=True))
        ),
    )
