"""The keys of a run's page, as `checklist.js` reads them; `?` opens and closes this list."""

from __future__ import annotations

from dashboard.components.markup import Html, join, tag

_KEYS = (
    ("j or ↓", "the next open line"),
    ("k or ↑", "the open line before"),
    ("x or space", "tick it, or take the tick back"),
    ("Enter", "its details"),
    ("c", "comment on it"),
    ("/", "find lines"),
    ("?", "show or hide these keys"),
)


def keys_help() -> Html:
    """Folded away until it is asked for."""
    rows = (join(tag("dt", tag("kbd", key)), tag("dd", does)) for key, does in _KEYS)
    return tag("details", tag("summary", "Keys on this page"), tag("dl", *rows, class_="nx-facts"), class_="nx-cl-keys")
