"""One release, two people, two browsers: from the start to the last signature, with what goes wrong between people.

The list is the demo's rehearsal, in which every kind of line stands once.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import Connection, text

from checklists.demo_list import REHEARSAL
from checklists.lines import leaves
from checklists.reads import RunState, load_run
from checklists.store import start_run, tick, untick
from dashboard.doors import COOKIE
from jobs.core.db import Database
from jobs.core.people import Person, person_from
from jobs.core.sessions import open_session
from tests.e2e.conftest import PATIENCE_MS, Desk
from tests.ui import seed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]
PNG = b"\x89PNG\r\n\x1a\n and what a camera saw"


def person(db: Database, name: str) -> Person:
    """One of the demo's people, with seed.PASSWORD."""
    with db.begin() as conn:
        row = conn.execute(
            text("UPDATE ops.people SET must_change = false, password_hash = :hash WHERE email = :email RETURNING *"),
            {"email": f"{name}@nexafx.com", "hash": seed.password_hash()},
        ).one()
    return person_from(row)


@contextmanager
def seat(browser: Browser, desk: Desk, db: Database, who: Person) -> Iterator[Page]:
    """A browser in which somebody has signed in."""
    with db.begin() as conn:
        token = open_session(conn, who.id, origin="test", hours=1)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies([{"name": COOKIE, "value": token, "url": desk.url}])
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def look(page: Page, address: str) -> None:
    """Opens a run of a checklist."""
    page.goto(address, wait_until="commit")
    expect(page.get_by_role("checkbox").first).to_be_attached(timeout=2 * PATIENCE_MS)


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=name, exact=True)


def click(page: Page, name: str) -> None:
    """Ticks a line as a person does: its unseen box covers the line."""
    page.locator("label").filter(has=box(page, name)).first.click(position={"x": 8, "y": 8})


def test_two_people_bring_a_release_to_its_last_signature(browser: Browser, desk: Desk, demo: Database) -> None:
    grace, tomas = person(demo, "grace"), person(demo, "tomas")
    with demo.begin() as conn:
        run_id = start_run(conn, REHEARSAL, {"version": "2.5.0", "network": "TESTNET"}, grace, origin="test")
    address = f"{desk.url}/checklist?id={run_id}"
    with seat(browser, desk, demo, grace) as hers, seat(browser, desk, demo, tomas) as his:
        for page in (hers, his):
            look(page, f"{address}&phase=before")

        # The checks tick what they prove, in both browsers.
        expect(box(hers, "The database answers")).to_be_disabled()
        hers.get_by_role("button", name=re.compile("Run all checks")).click()
        expect(box(hers, "The database answers")).to_be_checked()
        expect(box(his, "Migrations are up to date")).to_be_checked()

        # A comment is half written while the other ticks; it is still there, at the same place of the page.
        look(his, f"{address}&phase=before&item=before/keys")
        draft = his.get_by_label("Comment", exact=True)
        draft.fill("@gra")
        his.get_by_role("option", name=re.compile("Grace")).click()
        draft.press_sequentially("the key ends in")
        click(hers, "Compare the signing keys aloud")
        expect(his.get_by_text("a second person must verify it").first).to_be_visible()
        expect(draft).to_have_value("@grace the key ends in")
        expect(draft).to_be_focused()
        draft.press_sequentially(" 7f")
        his.locator("[data-testid=stFormSubmitButton]").filter(has_text="Comment").first.get_by_role("button").click()
        expect(hers.get_by_text("the key ends in 7f").first).to_be_visible()

        # The second person verifies; whoever ticked is not offered it.
        expect(hers.get_by_role("button", name="Verify", exact=True)).to_have_count(0)
        his.get_by_role("button", name="Verify", exact=True).click()
        expect(hers.get_by_text("verified by Tomas").first).to_be_visible()

        # A file that is none is refused, an honest one is kept and opens the line.
        look(hers, f"{address}&phase=before&item=before/screenshot")
        expect(box(hers, "Photograph the balances before the release")).to_be_disabled()
        leave(hers, "photo.png", b"MZ this is no picture")
        expect(hers.get_by_text("photo.png is not what its ending says")).to_be_visible()
        leave(hers, "balances.png", PNG)
        expect(box(hers, "Photograph the balances before the release")).to_be_enabled()
        with hers.expect_download() as kept:
            hers.get_by_role("button", name="Download").click()
        assert kept.value.path().read_bytes() == PNG

        # Both tick the same line: she was faster, and he is told so instead of undoing it.
        look(his, f"{address}&phase=before")
        expect(box(his, "Photograph the balances before the release")).to_be_enabled()
        with demo.begin() as conn:
            tick(conn, run_id, "before/screenshot", 1, grace, origin="test")
            # Hers is committed only when his has arrived: else his page could show hers before he clicks.
            click(his, "Photograph the balances before the release")
            until_somebody_waits_for(conn, demo)
        expect(his.get_by_text("after you saw it: look again first")).to_contain_text("Grace Okafor ticked")
        for page in (hers, his):
            expect(box(page, "Photograph the balances before the release")).to_be_checked()

        decide(hers, his, demo, run_id, address, tomas)
        finish(demo, run_id, grace)
        for page in (hers, his):
            look(page, address)
            expect(page.get_by_text("required still open")).to_have_count(0)
        sign_off(hers, his, desk, demo, run_id)
    says_who_and_from_where(demo, run_id)


def until_somebody_waits_for(holder: Connection, db: Database) -> None:
    """Returns when another session waits for what the holder has locked."""
    pid = holder.execute(text("SELECT pg_backend_pid()")).scalar_one()
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE CAST(:pid AS integer) = ANY (pg_blocking_pids(pid))")
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        with db.read() as conn:
            if conn.execute(waiting, {"pid": pid}).scalar_one():
                return
        time.sleep(0.05)
    raise AssertionError("nobody waited for the line")


def says_who_and_from_where(demo: Database, run_id: int) -> None:
    with demo.read() as conn:
        done = load_run(conn, run_id)
        origins = conn.execute(
            text("SELECT DISTINCT origin FROM ops.audit WHERE entity = 'checklist_run' AND entity_id = :id"),
            {"id": str(run_id)},
        )
        assert set(origins.scalars()) == {"test", "dashboard 127.0.0.1"}
    assert done.state is RunState.DONE
    assert [one.name for one in done.signatures if one.holds] == ["Tomas Lindqvist", "Grace Okafor"]


def leave(page: Page, name: str, content: bytes) -> None:
    field = page.locator("[data-testid=stForm]").filter(has=page.get_by_test_id("stFileUploader")).first
    field.locator("input[type=file]").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})
    expect(field.get_by_text(name).first).to_be_visible()
    field.get_by_role("button", name="Leave it here").click()


def decide(hers: Page, his: Page, demo: Database, run_id: int, address: str, tomas: Person) -> None:
    """A decision leads to the list for critical issues, and its run is linked from here."""
    with demo.begin() as conn:
        tick(conn, run_id, "steps/deploy-to-staging", 1, tomas, origin="test")
    look(his, f"{address}&phase=steps")
    expect(his.get_by_text(re.compile(r"in \d+ min \d\d s"))).to_be_visible()
    his.get_by_role("button", name=re.compile("Rollback: starts “Rollback Procedures - Critical Issue")).click()
    onward = his.get_by_role("link", name=re.compile(r"Critical Issue.*run \d+"))
    expect(onward).to_be_visible()
    look(hers, f"{address}&phase=steps")
    expect(hers.get_by_text("it was decided to rollback").first).to_be_visible()
    onward.click()
    expect(his.get_by_text("You have it").first).to_be_visible()
    expect(his.get_by_role("link", name=f"run {run_id}", exact=True).first).to_be_visible()


def finish(demo: Database, run_id: int, grace: Person) -> None:
    """What is left, as fast as the store takes it: the decision anew, and the hours and days of the watch."""
    with demo.begin() as conn:
        untick(conn, run_id, "steps/go", 2, grace, origin="test", note="It was the test's own load.")
        tick(conn, run_id, "steps/go", 3, grace, origin="test", choice="continue")
    with demo.begin() as conn:
        for line in leaves(load_run(conn, run_id).phases):
            if line.id.startswith("after/"):
                tick(conn, run_id, line.id, line.mark.version, grace, origin="test")


def sign_off(hers: Page, his: Page, desk: Desk, demo: Database, run_id: int) -> None:
    """The first signature, the one that waits for it, and the end: each with a password, and seen by the other."""
    page_of_signing = f"{desk.url}/signing?id={run_id}"
    hers.goto(f"{page_of_signing}&role=release_manager", wait_until="commit")
    expect(hers.get_by_text("the signature of DevOps").first).to_be_visible()
    expect(hers.get_by_role("button", name="Sign: approved")).to_have_count(0)
    his.goto(f"{page_of_signing}&role=devops", wait_until="commit")
    sign(his, "tomas", "Sign: executed")
    expect(his.get_by_text("It is signed.").first).to_be_visible()
    with demo.read() as conn:
        assert [one.name for one in load_run(conn, run_id).signatures] == ["Tomas Lindqvist"]
    hers.reload(wait_until="commit")
    sign(hers, "grace", "Sign: approved")
    expect(hers.get_by_text("It is signed.").first).to_be_visible()
    look(hers, f"{desk.url}/checklist?id={run_id}")
    hers.get_by_role("button", name="Close as done").click()
    hers.get_by_role("button", name="Close it as done").click()
    expect(hers.get_by_text("done by Grace Okafor").first).to_be_visible()


def sign(page: Page, name: str, verb: str) -> None:
    button = page.get_by_role("button", name=verb)
    expect(button).to_be_visible()
    email = page.get_by_label("Your e-mail address").first
    if email.count():
        email.fill(f"{name}@nexafx.com")
    page.get_by_label("Your password").first.fill(seed.PASSWORD)
    button.click()
