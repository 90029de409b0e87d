"""Walking through long lists by the last row's key: the cost of a page does not grow with its number.

The key stands in the address (`before`), so every page of a list has a link, and the browser's "back" works.
"""

from __future__ import annotations

from uuid import UUID

import streamlit as st

from dashboard.components.markup import Html, link, show, tag, url

PARAMETER = "before"


def before() -> str | None:
    """The key that the list continues after; None on its first page. Whoever reads it checks that it is one."""
    return st.query_params.get(PARAMETER) or None


def before_id() -> int | None:
    """The same for numeric keys; anything else in the address counts as the first page."""
    key = before()
    return int(key) if key is not None and key.isascii() and key.isdigit() and len(key) < 19 else None


def before_uuid() -> UUID | None:
    """The same for keys that are UUIDs."""
    try:
        return UUID(before() or "")
    except ValueError:
        return None


def first_page() -> None:
    """For `on_change` of a filter: another list begins at its beginning."""
    st.query_params.pop(PARAMETER, None)


def pager(page: str, *, older: object | None, shown: str = "", words: tuple[str, str] = ("Newest", "Older")) -> None:
    """Links to the newest and to the older rows; `older` is this page's last key, None when there are no more.

    `words` are what the two are called, for a list that is not by age.
    `page` is the page's own name; the other filters in the address stay.
    """
    others = {key: value for key, value in st.query_params.items() if key != PARAMETER}
    newest: Html | str = link(words[0], url(page, **others)) if before() is not None else ""
    onward: Html | str = link(words[1], url(page, **others, **{PARAMETER: older})) if older is not None else ""
    if newest or onward or shown:
        show(tag("nav", tag("span", shown, class_="nx-note"), newest, onward, class_="nx-pager", aria_label="Pages"))
