"""What people type stays what they typed, wherever a page repeats it."""

import pytest

from dashboard.components.markup import esc, plain, tag


@pytest.mark.parametrize(
    "typed", ["[a link](https://evil.example)", "**bold**", "`code`", "<b>x</b>", ":red[x]", "$x$"]
)
def test_a_message_shows_markdown_as_text(typed: str) -> None:
    shown = plain(f"Paused by ada: {typed}.")
    assert all(f"\\{mark}" in shown for mark in typed if mark in "[]*`<$")
    assert "".join(part for part in shown.split("\\")) == f"Paused by ada: {typed}."


def test_values_in_our_own_markup_are_escaped() -> None:
    assert tag("p", "<script>", title='"x') == '<p title="&quot;x">&lt;script&gt;</p>'
    assert esc("<b>") == "&lt;b&gt;"
