"""One run of a checklist: who ticks sees it at once, who may not is refused, and nothing anybody did is lost."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy import event, text
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Checkbox, TextArea

from checklists.lines import State
from checklists.reads import RunState, load_run
from checklists.store import close_run, comment, mark_na, tick, untick
from jobs.core.db import Database
from jobs.core.permissions import Right, Role, allowed
from jobs.core.settings import Settings
from tests.ui import seed
from tests.ui.checklist_runs import deployment, line, signed, started, who
from tests.ui.desk import run_page, seen

BACKUP = "Back up with `pg_dump` <now>"


def box(page: AppTest, label: str) -> Checkbox:
    return next(found for found in page.checkbox if found.label == label)


@pytest.mark.parametrize("role", list(Role))
def test_the_page_opens_for_every_role_with_the_boxes_of_one_phase(
    db: Database, settings: Settings, role: Role
) -> None:
    run_id = deployment(db)
    person = seed.person(db, role) if role is not Role.RELEASE_MANAGER else _starter(db)
    page = run_page(db, settings, "checklist", person, id=str(run_id), phase="code-review")
    assert not page.exception
    assert not page.error
    assert len(page.checkbox) == 6
    mine = role in {Role.DEVELOPER, Role.RELEASE_MANAGER, Role.ADMINISTRATOR}
    assert [found.disabled for found in page.checkbox] == [not mine] * 6
    ends = allowed([role], Right.START_CHECKLIST)
    assert ("End this run" in seen(page)) is ends


def test_without_a_phase_in_the_address_the_first_with_work_for_this_person_opens(
    db: Database, settings: Settings
) -> None:
    run_id = deployment(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.QA_LEAD), id=str(run_id))
    assert "Test manually with test transactions" in [found.label for found in page.checkbox]


def test_a_tick_is_kept_and_says_who(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.DEVOPS), id=str(run_id))
    assert not box(page, BACKUP).value
    box(page, BACKUP).check().run()
    assert box(page, BACKUP).value
    assert "Devops Person" in seen(page)
    mark = line(db, run_id, "first/backup").mark
    assert (mark.state, mark.by, mark.version) == (State.DONE, "devops@nexafx.test", 2)


def test_a_tick_can_be_taken_back_and_set_again(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.DEVOPS), id=str(run_id))
    for _ in range(2):
        box(page, BACKUP).check().run()
        box(page, BACKUP).uncheck().run()
    assert line(db, run_id, "first/backup").mark.version == 5
    assert "reopened by" in seen(page)


def test_what_others_tick_shows_and_is_not_undone_by_a_page_that_is_behind(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    behind = box(page, BACKUP)
    with db.begin() as conn:
        tick(conn, run_id, "first/backup", 1, who(db, _starter(db)), origin="test")
    fresh = run_page(db, settings, "checklist", person, id=str(run_id))
    assert box(fresh, BACKUP).value
    assert "Release Manager Person" in seen(fresh)
    # The other page still has the open box; its click is a conflict and changes nothing.
    behind.check().run()
    assert "Release Manager Person ticked" in seen(page)
    assert "after you saw it" in seen(page)
    assert box(page, BACKUP).value
    mark = line(db, run_id, "first/backup").mark
    assert (mark.state, mark.by) == (State.DONE, "release_manager@nexafx.test")


def test_a_right_that_was_taken_meanwhile_is_refused_on_the_server(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    with db.begin() as conn:
        conn.execute(text("UPDATE ops.people SET roles = '{viewer}' WHERE id = :id"), {"id": person})
    box(page, BACKUP).check().run()
    assert "You may not tick checklist items" in seen(page)
    assert not box(page, BACKUP).value
    assert box(page, BACKUP).disabled
    assert line(db, run_id, "first/backup").mark.state is State.OPEN


def test_a_phase_that_waits_names_what_for_and_takes_no_tick(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.DEVOPS), id=str(run_id), phase="second")
    said = seen(page)
    assert "Then this waits" in said
    assert f'href="/checklist?id={run_id}&amp;phase=first"' in said
    assert all(found.disabled for found in page.checkbox)
    assert [found.label for found in page.checkbox][1:] == [f"Watch ({n} of 3)" for n in (1, 2, 3)]


def test_in_a_phase_that_goes_in_order_only_the_next_line_is_open(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    with db.begin() as conn:
        for item in ("backup", "index", "group/failures", "group/slow"):
            tick(conn, run_id, f"first/{item}", 1, who(db, person), origin="test")
    page = run_page(db, settings, "checklist", person, id=str(run_id), phase="second")
    assert [found.disabled for found in page.checkbox] == [False, True, True, True]
    box(page, "Deploy").check().run()
    assert not box(page, "Watch (1 of 3)").disabled


def test_texts_are_shown_to_the_letter_and_code_as_code(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.VIEWER), id=str(run_id))
    said = seen(page)
    assert "Back up with <code>pg_dump</code> &lt;now&gt;" in said
    assert "Look **hard** at [it](http://x)" in said
    assert "The job retries by itself." in said
    assert "Both eyes." in said
    assert [code.value for code in page.code] == ["CREATE INDEX one;"]
    for part in ("not signed", "Database Team", "Disk space"):
        assert part in said


def test_a_line_that_does_not_apply_needs_a_reason_and_can_be_reopened(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    page = run_page(db, settings, "checklist", person, id=str(run_id), item="first/index")
    _press(page, "Does not apply")
    assert "only be marked N/A with a reason" in seen(page)
    _area(page, "Why it does not apply").input("There is one already.")
    _press(page, "Does not apply")
    assert line(db, run_id, "first/index").mark.reason == "There is one already."
    assert "<q>There is one already.</q>" in seen(page)
    _press(page, "Reopen")
    assert line(db, run_id, "first/index").mark.state is State.OPEN
    assert "marked as not applying" in seen(page)


def test_comments_stay_with_their_line_and_with_the_run(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.QA_LEAD), id=str(run_id), item="first/backup")
    _area(page, "Comment").input("<b>Took</b> 4 minutes")
    _press(page, "Comment")
    _area(page, "Comment on the whole run").input("All quiet")
    next(button for button in page.button if button.label == "Comment" and "first" not in str(button.key)).click().run()
    said = seen(page)
    assert "&lt;b&gt;Took&lt;/b&gt; 4 minutes" in said
    assert "All quiet" in said
    assert line(db, run_id, "first/backup").mark.comments == 1
    assert _area(page, "Comment").value == ""
    assert ">1 comment<" in seen(run_page(db, settings, "checklist", _starter(db), id=str(run_id)))


def test_a_viewer_finds_nothing_to_change(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.VIEWER), id=str(run_id), item="first/backup")
    assert not page.text_area
    assert not page.button
    assert "You may look at checklists, not tick them." in seen(page)


def test_a_run_closes_as_done_only_when_it_is_complete_and_signed(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    assert "8 required lines" in seen(page)
    assert not [button for button in page.button if button.label == "Close it as done"]
    _complete(db, run_id, person)
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    assert "when it is signed by DevOps" in seen(page)
    assert "Devops Person, Oda can sign" in seen(page)
    assert not [button for button in page.button if button.label == "Close it as done"]
    signed(db, run_id, Role.DEVOPS, person)
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    assert "1 optional" in seen(page)
    _press(page, "Close it as done")
    with db.read() as conn:
        assert load_run(conn, run_id).state is RunState.DONE
    assert all(found.disabled for found in page.checkbox)
    assert not page.text_area
    assert "End this run" not in seen(page)


def test_a_closed_run_takes_nothing_from_a_page_that_is_behind(db: Database, settings: Settings) -> None:
    run_id = started(db)
    person = seed.person(db, Role.DEVOPS)
    page = run_page(db, settings, "checklist", person, id=str(run_id))
    with db.begin() as conn:
        close_run(conn, run_id, who(db, person), outcome=RunState.ABANDONED, origin="test", reason="Not today")
    box(page, BACKUP).check().run()
    assert "abandoned by Devops Person" in seen(page)
    assert not box(page, BACKUP).value


@pytest.mark.parametrize("wrong", ["999", "0", "-1", "x", "9" * 40, "1; DROP TABLE"])
def test_a_wrong_number_in_the_address_is_told_in_a_sentence(db: Database, settings: Settings, wrong: str) -> None:
    page = run_page(db, settings, "checklist", seed.person(db, Role.VIEWER), id=wrong)
    assert not page.exception
    assert "There is no such checklist run" in seen(page)


def test_an_unknown_phase_or_line_in_the_address_opens_the_run_all_the_same(db: Database, settings: Settings) -> None:
    run_id = started(db)
    page = run_page(db, settings, "checklist", seed.person(db, Role.VIEWER), id=str(run_id), phase="no", item="no/such")
    assert not page.error
    assert len(page.checkbox) == 5


def test_the_number_of_questions_to_the_database_does_not_grow_with_the_run(db: Database, settings: Settings) -> None:
    run_id = deployment(db)
    person = who(db, seed.person(db, Role.ADMINISTRATOR))
    asked: list[str] = []
    # The least of some: on a slow machine what is remembered for a second is read again within one page.
    few = min(_count(db, settings, person.id, run_id, asked) for _ in range(2))
    with db.begin() as conn:
        for item in ("service", "module", "app-module"):
            tick(conn, run_id, f"code-review/{item}", 1, person, origin="test")
            untick(conn, run_id, f"code-review/{item}", 2, person, origin="test")
            comment(conn, run_id, f"code-review/{item}", "Looked at", person, origin="test")
        mark_na(conn, run_id, "code-review/lint", 1, person, "Done elsewhere", origin="test")
    assert min(_count(db, settings, person.id, run_id, asked) for _ in range(3)) <= few
    assert few < 20


def _count(db: Database, settings: Settings, person: UUID, run_id: int, asked: list[str]) -> int:
    asked.clear()

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        run_page(db, settings, "checklist", person, id=str(run_id), phase="code-review")
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(asked)


def _starter(db: Database) -> UUID:
    with db.read() as conn:
        found: UUID = conn.execute(text("SELECT id FROM ops.people WHERE email LIKE 'release_manager@%'")).scalar_one()
    return found


def _complete(db: Database, run_id: int, person: UUID) -> None:
    actor = who(db, person)
    with db.begin() as conn:
        for item in ("first/backup", "first/index", "first/group/failures", "first/group/slow", "second/deploy",
                     "second/hours/1", "second/hours/2", "second/hours/3"):  # fmt: skip
            tick(conn, run_id, item, 1, actor, origin="test", note="Ahead of its hour")


def _press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()


def _area(page: AppTest, label: str) -> TextArea:
    return next(area for area in page.text_area if area.label == label)
