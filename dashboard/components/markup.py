"""HTML of our own, for what Streamlit has no element for: small, escaped, and styled by `assets/desk.css`.

Streamlit takes scripts and event handlers out of it. Values get in through `tag()` and `esc()` only, so nothing that
comes from a table or a chain is ever read as markup. A link with an address of our own stays inside the application:
`assets/desk.js` turns the click into a navigation without a reload.
"""

from __future__ import annotations

import functools
import re
from html import escape
from urllib.parse import quote_plus

import streamlit as st


class Html(str):
    """Markup that is safe to show as it is."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """For `st.html`, which would take any other text for the name of a file first, and dedent it."""
        return self


def esc(value: object) -> Html:
    """Any value as text; markup stays markup."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def plain(sentence: str) -> str:
    """A sentence for Streamlit's own messages, which read markdown: somebody's reason in it stays what they typed."""
    return re.sub(r"[\\`*\[\]<$~]", r"\\\g<0>", sentence)


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element; `class_` for class, `data_at` for data-at, None leaves an attribute out."""
    written = "".join(
        f' {_attribute(key)}="{escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{name}{written}>{join(*content)}</{name}>")


@functools.cache  # the names that our own code writes: a few dozen
def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def join(*content: object) -> Html:
    """Several pieces, one after another."""
    return Html("".join([item if isinstance(item, Html) else escape(str(item)) for item in content]))


def url(page: str, **query: object) -> str:
    """The address of a page of ours: `url("run", id=12)` is "/run?id=12"; None leaves a parameter out."""
    given = {key: value for key, value in query.items() if value is not None}
    # What urlencode makes of it, in a quarter of the time: a strip of runs has hundreds.
    written = "&".join([f"{key}={quote_plus(str(value))}" for key, value in given.items()])
    return f"/{page}?{written}" if given else f"/{page}"


def link(label: object, address: str, **attributes: object) -> Html:
    """A link to a page of ours, by `url()`."""
    if not address.startswith("/") or address.startswith("//"):
        raise ValueError("links in pages lead to pages of ours; use st.link_button for others")
    return tag("a", label, href=address, **{"class_": "nx-link", **attributes})


def show(*content: object) -> None:
    """Puts markup on the page."""
    st.html(join(*content))
