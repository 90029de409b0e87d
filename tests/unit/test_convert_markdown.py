"""Checklists from Markdown and back: no word is lost on the way in, nothing at all on the way out and in again."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checklists.convert.comments import words
from checklists.convert.importing import import_file
from checklists.convert.markdown_in import Imported, read_markdown
from checklists.convert.markdown_out import run_markdown, template_markdown
from checklists.convert.record import CommentRecord
from checklists.convert.yaml_out import definition_yaml
from checklists.grammar import Snippet, odd_character
from checklists.load import LARGEST_FILE, find_template, load_templates, read_definition
from checklists.schema import Item, Mode, Phase, Template
from jobs.core.errors import NexaError, NotFound, UsageError
from tests.unit.runs import record_of, ticked

SHIPPED = [template for template in load_templates() if isinstance(template, Template)]
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def phase(found: Imported, number: int = 0) -> Phase:
    return found.template.phases[number]


def said(items: tuple[Item, ...]) -> list[Any]:
    """Texts, with those under them as lists behind."""
    lines: list[Any] = []
    for item in items:
        lines += [item.text, said(item.items)] if item.items else [item.text]
    return lines


def remarks(found: Imported) -> list[tuple[int, str]]:
    return [(remark.line, str(remark)) for remark in found.remarks]


# In ------------------------------------------------------------------------------------------------------------------


def test_headings_become_title_section_and_phase_and_bold_lines_procedures() -> None:
    found = read_markdown(
        "# Release\n\n## Before\n\n### Tests\n- [ ] Run `make test`\n\n## Security\n- [ ] No secrets in logs\n\n"
        "## If it fails\n\n**Stop**\n1. [ ] Flip the flag\n\n1. **Restore**\n   - [ ] Load the backup\n",
        "file",
    )
    assert found.template.title == "Release"
    assert [(one.section, one.title, one.mode.value) for one in found.template.phases] == [
        ("Before", "Tests", "do-confirm"),
        (None, "Security", "do-confirm"),
        ("If it fails", "Stop", "read-do"),
        ("If it fails", "Restore", "do-confirm"),
    ]
    assert found.remarks == ()


def test_boxes_are_taken_as_people_write_them() -> None:
    found = read_markdown(
        "Release\n=======\n\n* [ ] star\n\n+ [] plus\n\n- [X] upper\n- ☑ ballot\n- [ ] [ ] double\n"
        "- Alerts for:\n  - [ ] one\n    - [ ] deeper\n\n> - [ ] quoted\n\n## Steps\n1) [ ] first\n2) [ ] second\n",
        "file",
    )
    assert said(phase(found).items) == [
        *("star", "plus", "upper", "ballot", "double", "Alerts for:", ["one", ["deeper"]], "quoted")
    ]
    assert (phase(found, 1).mode, said(phase(found, 1).items)) == (Mode.READ_DO, ["first", "second"])
    assert remarks(found) == [(8, "ticked there, open here: upper"), (9, "ticked there, open here: ballot")]


def test_a_double_box_asks_for_a_second_person_only_on_request() -> None:
    source = "# L\n- [ ] [ ] Set the URL\n- [ ] Look\n"
    assert [item.verify_by for item in phase(read_markdown(source, "l")).items] == [None, None]
    asked = read_markdown(source, "l", second_person=True)
    assert [item.verify_by for item in phase(asked).items] == ["second-person", None]


def test_numbers_are_kept_as_order_and_boxes_beside_them_as_a_phase_of_their_own() -> None:
    found = read_markdown("# L\n## Go\n- [ ] any\n- [ ] order\n\n1. [ ] then\n2. [ ] this\n", "l")
    assert [(one.id, one.title, one.mode.value, said(one.items)) for one in found.template.phases] == [
        ("go", "Go", "do-confirm", ["any", "order"]),
        ("go-2", "Go", "read-do", ["then", "this"]),
    ]


def test_code_stands_on_the_item_before_it_and_text_beside_an_item_explains_it() -> None:
    found = read_markdown(
        "# L\n- [ ] Indexes:\n  ```SQL\n  CREATE INDEX\n\n    x;\n  ```\n- [ ] Variables\n\n  Ask Ben.\n"
        "  - for the host\n\n```\nA_B=1\n```\n\n    indented\n\nA closing word.\n",
        "l",
    )
    first, second, *notes = phase(found).items
    assert first.snippet == Snippet(lang="sql", text="CREATE INDEX\n\n  x;")
    assert (second.snippet, second.help) == (Snippet(lang="env", text="A_B=1"), "Ask Ben.\n\n- for the host")
    assert [(note.note, note.snippet and note.snippet.text) for note in notes] == [
        ("text", "indented"),
        ("A closing word.", None),
    ]


def test_what_is_filled_in_becomes_summary_contacts_sign_off_and_review() -> None:
    found = read_markdown(
        "# L\n- [ ] do it\n\n## Sign-Off\n- **QA Lead**: ____ Date: ____\n- **Wizard**: ____\n\n"
        "## Summary\n**Deployment Date**: ____\n**Deployed By**: ____\n**Notes**: ____\n**Version**: [e.g. 1.2]\n\n"
        "## Emergency Contacts\n- **On-Call Engineer**: ____\n- Database Team\n\n"
        "**Last Updated**: 2026-01-01\n**Next Review**: 2026-04-01\n",
        "l",
    ).template
    assert [(field.id, field.type.value) for field in found.fields] == [
        *(("deployment-date", "date"), ("deployed-by", "user"), ("notes", "markdown"), ("version", "text"))
    ]
    assert [contact.role for contact in found.contacts] == ["On-Call Engineer", "Database Team"]
    assert [(line.role.value, line.title, line.meaning.value) for line in found.signoff] == [
        ("qa_lead", "QA Lead", "verified")
    ]
    assert found.review is not None
    assert found.review.next.isoformat() == "2026-04-01"


def test_a_table_with_a_status_column_is_a_list_and_any_other_is_kept_as_it_is() -> None:
    found = read_markdown(
        "# L\n\n| # | Task | Owner | Status |\n|---|---|---|---|\n| 1 | Freeze | Ana | ✅ |\n| 2 | Ship \\| it | | ❌ |\n\n"
        "## Sizes\n\n| a | b |\n|---|---|\n| one | two |\n",
        "l",
    )
    assert phase(found).mode is Mode.READ_DO
    assert [(item.text, item.help) for item in phase(found).items] == [("Freeze", "Owner: Ana"), ("Ship | it", None)]
    assert "its state there is not kept, it is open here: Freeze: ✅" in dict(remarks(found)).values()
    (sizes,) = found.template.reference
    assert sizes.snippet is not None
    assert sizes.snippet.text == "| a | b |\n|---|---|\n| one | two |"


def test_plain_bullets_are_points_to_know_and_boxes_on_request() -> None:
    source = "# L\n## Do\n- [ ] it\n- and know this\n\n## Watch\n- errors\n- disk\n"
    found = read_markdown(source, "l")
    assert [(item.do, item.note) for item in phase(found).items] == [("it", None), (None, "and know this")]
    assert [(one.title, one.points) for one in found.template.reference] == [("Watch", ("errors", "disk"))]
    asked = read_markdown(source, "l", bullets=True).template
    assert [said(one.items) for one in asked.phases] == [["it", "and know this"], ["errors", "disk"]]


def test_ids_come_from_the_text_alone_and_are_never_the_same_twice() -> None:
    found = phase(read_markdown("# L\n- [ ] Look\n- [ ] Look\n- [ ] 確認\n- [ ] Look 2\n", "l"))
    moved = phase(read_markdown("# L\n- [ ] 確認\n- [ ] Look\n- [ ] Look\n- [ ] Look 2\n", "l"))
    assert len({item.id for item in found.items}) == 4
    assert {(item.id, item.text) for item in found.items} == {(item.id, item.text) for item in moved.items}


def test_what_has_no_place_is_listed_with_its_line() -> None:
    found = read_markdown(
        "---\nname: Ship it\nlabels: release\n---\n\n## Alone\n\n## Do\n- [ ] it\n\n<!-- for the author -->\n\n"
        "| Task | Done |\n|--|--|\n| a | [ ] | more than the head |\n",
        "file",
    )
    assert found.template.title == "Ship it"
    assert remarks(found) == [
        (1, "the file's own header is not part of a list: name: Ship it labels: release"),
        (6, "a heading with nothing to keep under it: Alone"),
        (11, "a comment that nobody sees: <!-- for the author -->"),
        (13, "not all of this has a place: | Task | Done |"),
        (15, "not all of this has a place: | a | [ ] | more than the head |"),
    ]


def test_markup_and_terminal_codes_stay_text_that_shows_as_itself() -> None:
    found = read_markdown('# L\n- [ ] <script>alert("x")</script> \x1b[31mred \u202eback\n\n<b>bold\n</b>\n', "l")
    assert [item.text for item in phase(found).items] == [
        '<script>alert("x")</script> \\u001b[31mred \\u202eback',
        "<b>bold\n</b>",
    ]


def test_a_text_that_is_longer_than_a_line_is_kept_whole_beside_it() -> None:
    long = "word " * 100 + "end"
    (item,) = phase(read_markdown(f"# L\n- [ ] {long}\n", "l")).items
    assert item.do is not None
    assert len(item.do) <= 300
    assert item.help == long


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"# Nothing\n\ntext\n", "There is nothing to tick in it: write `- [ ] what to do`"),
        (b"", "There is nothing to tick"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "It is not a text in UTF-8 (line 1): save it as UTF-8."),
        (b"- [ ] a\0b\n", "It is not a text, it holds zero bytes"),
        (b"- [ ] a\n" * LARGEST_FILE, f"It is larger than {LARGEST_FILE // 1024} KiB: split the list."),
        ((b"- [ ] " + b"word " * 1_990 + b"\n") * 26, f"As a definition it is larger than {LARGEST_FILE // 1024} KiB"),
        (b'- [ ] a <!-- nexaops: item {"id": "a", "nede": "x"} -->\n', "It does not make a checklist: "),
        (
            b'- [ ] a <!-- nexaops: item {"id": "a", "assignee": "\\u001b"} -->\n',
            "A comment in it holds the character U+001B",
        ),
    ],
)
def test_a_file_that_is_no_checklist_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "list.md"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        import_file(path)
    assert str(error.value).startswith(f"{path} cannot be imported. {sentence}")
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=re.escape("There is no such file")):
        import_file(tmp_path / "no.md")


WORD = st.sampled_from(
    [
        "alpha",
        "Gamma",
        "déjà",
        "日本語",
        "x1",
        "`code`",
        "**bold**",
        "&amp;",
        "done",
        "<i>it</i>",
        "[link](https://a.b/c)",
    ]
)
WORDS = st.lists(WORD, min_size=1, max_size=6).map(" ".join)
BOX = st.sampled_from(["- [ ] ", "* [x] ", "+ [ ] ", "1. [ ] ", "2) [ ] ", "- [ ] [ ] ", "- ", "3. ", "- ☐ ", ""])
LINE = st.one_of(
    st.tuples(st.sampled_from(["", "", "  ", "    ", "> "]), BOX, WORDS).map("".join),
    st.tuples(st.sampled_from(["# ", "## ", "### ", "#### "]), WORDS).map("".join),
    WORDS.map(lambda text: f"**{text}**"),
    WORDS.map(lambda text: f"- **{text}**: ____"),
    WORDS.map(lambda text: f"{text}\n==="),
    st.tuples(WORDS, WORDS, WORDS).map(
        lambda cells: f"\n| {cells[0]} | Status |\n|--|--|\n| {cells[1]} | ✅ | {cells[2]} |\n"
    ),
    st.tuples(WORDS, WORDS).map(lambda texts: f"```{texts[0]}\n{texts[1]}\n```"),
    WORDS.map(lambda text: f"<!-- {text} -->"),
    WORDS.map(lambda text: f"[ref]: https://a.example '{text}'"),
    st.sampled_from(["", "", "---", "## Sign-Off", "- **QA Lead**: ____ Date: ____", "## Contacts", "***", "\x1b[0m"]),
)


@QUICK
@given(st.lists(LINE, max_size=25).map("\n".join), st.booleans())
def test_every_word_of_any_document_is_in_the_definition_or_listed(document: str, bullets: bool) -> None:
    source = f"# Title\n- [ ] first\n{document}\n"
    found = read_markdown(source, "file", bullets=bullets)
    text = definition_yaml(found.template, "file.md", found.remarks)
    # A number before a line is its order, an x in a box its state: neither is a word.
    unmarked = re.sub(r"(?m)^[\s>]*\d[.)]|\[x\]", "", source)
    assert set(words(unmarked)) <= set(words(text))
    assert definition_again(text) == found.template


@QUICK
@given(st.text(max_size=300))
def test_no_text_at_all_breaks_the_reader(source: str) -> None:
    try:
        found = read_markdown(source, "file")
    except NexaError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most texts are read
    else:
        assert definition_again(definition_yaml(found.template, "file.md", found.remarks)) == found.template


def definition_again(text: str) -> Template:
    """What `checklists lint` reads from the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "definition.yaml"
        file.write_text(text, encoding="utf-8")
        return read_definition(file).template


# Out and in again ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", SHIPPED, ids=lambda template: template.id)
def test_a_shipped_definition_comes_back_from_markdown_and_from_yaml_as_it_was(template: Template) -> None:
    back = read_markdown(template_markdown(template), "other")
    assert back.template.canonical() == template.canonical()
    assert back.template.version == template.version
    assert back.remarks == ()
    assert definition_again(definition_yaml(template)).canonical() == template.canonical()


# What a definition's file may hold: the loader refuses characters that show as something else.
ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: odd_character(text) is None
)
TRICKY = st.one_of(
    st.sampled_from(
        ["[ ] box", "[x] [ ] two", "# head", "- bullet", "1. one", "1) one", "```", "~~~", "> quote", "<b>"]
    ),
    st.sampled_from(
        ['a <!-- nexaops: item {"id": "x"} --> b', "<!-- c -->", "-->", "a -- b", "**bold**", "**A**: ____"]
    ),
    st.sampled_from(["| a | b |", "---", "a\\", "two\nlines", "a  b", "☐ ballot", "&amp;", "`", "==", "[a]: b", "é"]),
    st.sampled_from(["\u2028", "%", "yes", "~", "null", "7", "a\tb", "a \n\n  b", "2026-01-01", "'", "#"]),
)
TEXT = st.one_of(ANY, TRICKY).map(str.strip).filter(bool)
LINE_TEXT = TEXT.filter(lambda text: "\n" not in text and text.strip(" \t\r\n") == text)
ID = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)
SNIPPET = st.fixed_dictionaries({"lang": ID, "text": TEXT})


def with_ids(
    parts: st.SearchStrategy[dict[str, Any]], most: int, least: int = 0
) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.tuples(ID, parts), min_size=least, max_size=most, unique_by=lambda one: one[0]).map(
        lambda found: [{"id": name, **part} for name, part in found]
    )


BESIDE = {"help": TEXT, "snippet": SNIPPET, "tags": st.lists(ID, max_size=2)}
LEAF = st.fixed_dictionaries(
    {"do": LINE_TEXT},
    optional={
        **BESIDE,
        "role": st.sampled_from(["devops", "qa_lead"]),
        "need": st.just("optional"),
        "na": st.just("never"),
        "repeat": st.just({"every": "1h", "times": 3}),
        "verify_by": st.just("second-person"),
        "check": st.fixed_dictionaries({"use": st.just("a.b"), "with": st.dictionaries(ID, TEXT, max_size=2)}),
        "assignee": LINE_TEXT,
    },
)
NOTE = st.fixed_dictionaries({"note": TEXT}, optional=BESIDE)
GROUP = st.tuples(st.fixed_dictionaries({"do": LINE_TEXT}, optional=BESIDE), with_ids(st.one_of(LEAF, NOTE), 3, 1)).map(
    lambda parts: {**parts[0], "items": parts[1]}
)
PHASE = st.tuples(
    st.fixed_dictionaries(
        {"title": LINE_TEXT},
        optional={
            "section": LINE_TEXT,
            "mode": st.just("read-do"),
            "role": st.just("devops"),
            "gate": st.just({"checks": "green"}),
        },
    ),
    with_ids(st.one_of(LEAF, NOTE, GROUP), 4, 1),
).map(lambda parts: {**parts[0], "items": parts[1]})
REFERENCE = st.one_of(
    st.fixed_dictionaries({"title": LINE_TEXT, "points": st.lists(LINE_TEXT, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"title": LINE_TEXT, "snippet": SNIPPET}),
)
TEMPLATE = st.fixed_dictionaries(
    {"schema": st.just(1), "id": ID, "title": LINE_TEXT, "kind": st.just("recovery"), "phases": with_ids(PHASE, 4, 1)},
    optional={
        "retain": st.just("90d"),
        "review": st.just({"last": "2026-01-01", "every": "30d", "owner": "devops"}),
        "fields": with_ids(st.fixed_dictionaries({"title": LINE_TEXT}, optional={"required": st.just(True)}), 3),
        "contacts": st.lists(
            st.fixed_dictionaries({"role": LINE_TEXT}, optional={"verify": st.just("30d")}), max_size=2
        ),
        "signoff": st.just(
            [{"role": "devops", "title": "Dev -- Ops", "meaning": "executed", "says": "I <b>did</b> it."}]
        ),
        "reference": st.lists(REFERENCE, max_size=2),
    },
).map(Template.model_validate)


@QUICK
@given(TEMPLATE)
def test_any_definition_comes_back_from_markdown_and_from_yaml_as_it_was(template: Template) -> None:
    assert read_markdown(template_markdown(template), "other").template.canonical() == template.canonical()
    assert definition_again(definition_yaml(template)).canonical() == template.canonical()


def test_an_edited_export_keeps_the_edit_and_the_ids() -> None:
    markdown = template_markdown(find_template("rollback-critical"))
    edited = markdown.replace("Fix issue", "Fix the issue").replace("3. [ ]", "3. [ ] Tell support\n4. [ ]")
    items = phase(read_markdown(edited, "other")).items
    assert [item.text for item in items][2:5] == ["Tell support", "Investigate root cause", "Fix the issue"]
    old = {item.id for item in find_template("rollback-critical").phases[0].items}
    assert {item.id for item in items} == old | {"tell-support"}


def test_what_somebody_writes_behind_a_comment_is_listed() -> None:
    markdown = template_markdown(find_template("rollback-critical"))
    markdown = re.sub(r"(Fix issue <!-- .*? -->).*", r"\1 and ring Ben", markdown)
    (behind,) = [remark.text for remark in read_markdown(markdown, "other").remarks]
    assert behind == "and ring Ben"


def test_a_run_shows_who_did_what_and_comes_back_as_its_definition() -> None:
    at = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
    template = find_template("deployment")
    record = record_of(
        template, ticked(template, 3, name="Ana [x](y) <!-- nexaops: item {} -->", at=at, reason="# not\n- [ ] a box")
    )
    record = record.model_copy(
        update={
            "comments": (
                CommentRecord(item="testing/unit", at=at, by="b@x", name="Ben", text="- [ ] sneaky\n## Heading"),
                CommentRecord(item=None, at=at, by="b@x", name="Ben", text="for all"),
            )
        }
    )
    markdown = run_markdown(record)
    assert "- [x] Review `scheduled-jobs.service.ts` for business logic" in markdown
    assert "– done by Ana [x](y) <\\!-- nexaops: item {} -->, 2026-11-25 08:30:00 UTC: # not - [ ] a box" in markdown
    assert "- Comment <!-- nexaops: record {} --> by Ben, 2026-11-25 08:30:00 UTC: - [ ] sneaky ## Heading" in markdown
    assert "24 of 24" in markdown
    back = read_markdown(markdown, "other")
    assert back.template == template
    assert {remark.why for remark in back.remarks} == {"the record of a run is not part of its list"}
