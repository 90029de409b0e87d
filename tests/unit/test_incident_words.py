"""An incident as Markdown: whoever reads it sees the words that people wrote, whatever signs are in them."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dashboard.components.incident_words import as_markdown
from jobs.alerts.incident_timeline import Kind, Moment
from jobs.alerts.incidents import Incident

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
SIGNS = st.text(st.sampled_from("#>-+*_=~`|:.)(0192[]!<&\\$ \tax;\n"), max_size=24)


@given(SIGNS, SIGNS)
@example("It hangs #", "first\n# second\n> third\n- fourth\n12. fifth\n---")
@example("__x__ &lt;", "a | b\n:-- | --\n1 | 2")
def test_what_people_wrote_is_read_as_they_wrote_it(title: str, note: str) -> None:
    one = Incident(7, title, "critical", NOW, NOW, "ada", "ada", NOW, "ada", "mended", None, 1)
    tokens = (
        MarkdownIt("commonmark")
        .enable("table")
        .parse(as_markdown(one, [Moment(NOW, Kind.NOTE, "ada", "noted", said=note)], {}))
    )
    kinds = [token.type for token in tokens]
    assert (kinds.count("heading_open"), kinds.count("bullet_list_open")) == (2, 2)
    assert not {"ordered_list_open", "hr", "table_open", "fence", "code_block", "html_block"} & set(kinds)
    heading, *others = [shown(token) for token in tokens if token.type == "inline"]
    assert heading.split() == ["Incident", "7:", *title.split()]
    inside = (
        tokens[kinds.index("blockquote_open") : kinds.index("blockquote_close")] if "blockquote_open" in kinds else []
    )
    said = " ".join(shown(token) for token in inside if token.type == "inline")
    assert said.split() == note.split()
    assert others[-1].split()[-1] in {"noted", *note.split()}


def shown(inline: Token) -> str:
    """The text that is seen; anything but plain text would be missing in it."""
    return "".join(
        " " if part.type in ("softbreak", "hardbreak") else part.content
        for part in inline.children or ()
        if part.type in ("text", "text_special", "softbreak", "hardbreak")
    )
