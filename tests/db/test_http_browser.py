"""The frame in a real browser: it works under its own security policy, without reloads, on a phone, for everybody."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import text

from checklists.store import start_run
from dashboard.doors import COOKIE
from dashboard.navigation import PAGES
from jobs.alerts.walls import add_link
from jobs.core.db import Database
from jobs.core.permissions import Role
from tests.db.conftest import Site, free_port, start_dashboard
from tests.e2e.conftest import browser_path, settle
from tests.e2e.everybody import complaints, turn_to
from tests.ui import seed
from tests.ui.checklist_runs import SMALL, who

# One process: its dashboard takes seconds to start.
pytestmark = pytest.mark.xdist_group("site-browser")

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=browser_path(),
            args=["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        started.close()


def signed_in(site: Site, chromium: Browser, role: Role = Role.ADMINISTRATOR, **how: object) -> BrowserContext:
    context = chromium.new_context(timezone_id="Europe/Berlin", **how)  # type: ignore[arg-type]  # Playwright's own
    context.add_cookies([{"name": COOKIE, "value": site.sign_in(role), "url": site.base, "httpOnly": True}])
    return context


def visit(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".nx-head")
    settle(page)


def test_signing_in_leads_to_the_page_that_was_asked_for(site: Site, chromium: Browser) -> None:
    page = chromium.new_context(viewport=PHONE).new_page()  # type: ignore[arg-type]  # Playwright's own
    page.goto(f"{site.base}/horizon")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    page.get_by_label("E-mail address").fill("administrator@nexafx.test")
    page.get_by_label("Password").fill(seed.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("text=Servers side by side")
    assert page.url == f"{site.base}/horizon"
    page.context.close()


@pytest.mark.slow
def test_a_server_whose_first_visitor_follows_a_deep_link_shows_it_in_the_frame(
    site: Site, chromium: Browser, server_socket: Path
) -> None:
    port = free_port()
    fresh = start_dashboard(site.db, server_socket, port)
    try:
        context = signed_in(site, chromium)
        page = context.new_page()
        visit(page, f"http://127.0.0.1:{port}/jobs")  # cookies do not mind the port
        assert page.locator("[data-worst]").count() == 1
        expect(page).to_have_title(re.compile("Jobs · NexaFX operations$"))  # behind how things stand by now
        assert "Transactions" in page.get_by_test_id("stSidebarNav").inner_text()
        assert page.get_by_test_id("stSidebarNav").get_by_role("link").count() == sum(
            not entry.hidden for entry in PAGES
        )
        context.close()
    finally:
        fresh.send_signal(signal.SIGTERM)
        fresh.wait(timeout=15)


def test_what_hangs_outside_of_the_application_has_its_theme(site: Site, chromium: Browser) -> None:
    context = signed_in(site, chromium, color_scheme="dark")
    page = context.new_page()
    visit(page, f"{site.base}/jobs")
    page.get_by_role("button", name="Run now").first.click()
    quiet = page.get_by_role("dialog").locator(".nx-quiet").first
    quiet.wait_for()
    assert quiet.evaluate("element => getComputedStyle(element).colorScheme") == "dark"
    context.close()


def test_nothing_breaks_the_security_policy_and_figures_are_drawn(site: Site, chromium: Browser) -> None:
    context = signed_in(site, chromium)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in ("", "horizon"):
        visit(page, f"{site.base}/{path}")
    page.wait_for_selector(".js-plotly-plot .scatterlayer path", state="attached")
    assert not [text for text in said if "Content Security Policy" in text or "Error:" in text]
    expect(page).to_have_title(re.compile("Horizon · NexaFX operations$"))
    context.close()


def test_the_tab_follows_what_the_line_on_top_says(site: Site, chromium: Browser) -> None:
    context = signed_in(site, chromium)
    page = context.new_page()
    visit(page, f"{site.base}/jobs")
    # As the line renews itself every ten seconds; read before the browser can do anything else.
    renewed = """async found => {
        Object.assign(document.querySelector("[data-worst]").dataset, found);
        await null;
        return [document.title, document.querySelector("link[rel~=icon]").getAttribute("href")];
    }"""
    for worst, tab in (("critical", "(2) critical"), ("warn", "(1) attention"), ("ok", "")):
        title, icon = page.evaluate(renewed, {"worst": worst, "tab": tab, "read": tab})
        assert title == (f"{tab} · " if tab else "") + "Jobs · NexaFX operations"
        assert icon == f"/assets/icon-{worst}.svg"
        assert page.request.get(f"{site.base}{icon}").status == 200
    context.close()


def test_links_of_ours_do_not_reload_and_the_way_back_works(site: Site, chromium: Browser) -> None:
    context = signed_in(site, chromium)
    page = context.new_page()
    visit(page, site.base)
    page.evaluate("window.kept = 1")
    page.click(".nx-tile a[href='/horizon'] >> nth=0")
    page.wait_for_selector("text=Servers side by side")
    assert page.url == f"{site.base}/horizon"
    page.go_back()
    page.wait_for_selector("text=Open releases and checklists")
    assert page.evaluate("window.kept") == 1
    context.close()


def test_ages_go_on_counting_and_turn_grey_when_the_server_is_silent(site: Site, chromium: Browser) -> None:
    context = signed_in(site, chromium)
    page = context.new_page()
    visit(page, f"{site.base}/horizon")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<time id=t data-age=43 data-limit=45"
                  " data-since=\"no data since 02:14:05 UTC\">43 s ago</time>')")  # fmt: skip
    page.wait_for_selector("#t:has-text('44 s ago')")
    page.wait_for_selector("#t.nx-stale:has-text('no data since 02:14:05 UTC')")
    context.close()


def test_signing_out_in_one_tab_leads_the_other_to_the_login(site: Site, chromium: Browser) -> None:
    context = signed_in(site, chromium, Role.DEVOPS)
    reading, leaving = context.new_page(), context.new_page()
    visit(reading, f"{site.base}/horizon")
    visit(leaving, site.base)
    leaving.get_by_role("button", name="DP").click()
    leaving.get_by_role("button", name="Sign out").click()
    leaving.wait_for_url("**/login")
    reading.wait_for_url("**/login?next=%2Fhorizon", timeout=20_000)
    context.close()


def test_a_checklist_is_worked_off_by_keys_alone(site: Site, chromium: Browser) -> None:
    with site.db.begin() as conn:
        run_id = start_run(conn, SMALL, {}, who(site.db, site.people[Role.RELEASE_MANAGER]), origin="test")
    context = signed_in(site, chromium, Role.ADMINISTRATOR, viewport=DESK)
    page = context.new_page()
    visit(page, f"{site.base}/checklist?id={run_id}")
    focused = "document.activeElement.closest('[class*=st-key-nx-cl-line]')?.innerText ?? ''"
    box = page.get_by_role("checkbox", name="Back up with")
    expect(box).to_be_enabled()  # a cold browser loads the boxes after the lines
    page.keyboard.press("j")
    assert "Back up with" in page.evaluate(focused)
    page.keyboard.press("x")
    expect(box).to_be_checked()
    settle(page)
    page.keyboard.press("j")
    assert "Look **hard**" in page.evaluate(focused), "the next open line"
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert "Look **hard**" in page.evaluate(focused)
    page.keyboard.press("c")
    draft = page.get_by_label("Comment", exact=True)
    expect(draft).to_be_focused()
    page.keyboard.type("xj?/")  # in a field, keys are letters
    expect(draft).to_have_value("xj?/")
    page.get_by_role("checkbox", name="Back up with").focus()
    page.keyboard.press("?")
    expect(page.get_by_text("the next open line", exact=True)).to_be_visible()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.closest('.st-key-nx-cl-find') !== null")
    with site.db.read() as conn:
        rows = conn.execute(text("SELECT origin FROM ops.audit WHERE entity = 'checklist_run' AND actor LIKE 'admin%'"))
        assert set(rows.scalars()) == {"dashboard 127.0.0.1"}
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_wall_can_be_read_by_everybody_and_turns_grey_when_its_data_is_old(
    site: Site, chromium: Browser, theme: str
) -> None:
    with site.db.begin() as conn:
        secret = add_link(conn, f"A {theme} room", actor="ada@nexafx.test", origin="test")
    # Nobody has signed in; axe as above.
    context = chromium.new_context(viewport=PHONE, color_scheme=theme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    # Links are remembered for five seconds: a new one is known at the latest then.
    for _ in range(12):
        if page.goto(f"{site.base}/wall/{secret}").status == 200:  # type: ignore[union-attr]  # it answers
            break
        page.wait_for_timeout(500)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    expect(page.locator("body")).not_to_have_class("away")
    page.evaluate("document.querySelector('#data time').dataset.limit = -1")
    expect(page.locator("body")).to_have_class("away")
    assert said == []
    context.close()


@pytest.mark.slow
def test_a_desk_without_any_data_is_for_everybody_too(db: Database, chromium: Browser, server_socket: Path) -> None:
    fresh = Site(f"http://127.0.0.1:{free_port()}", db, seed.people(db))
    process = start_dashboard(db, server_socket, fresh.port)
    wrong: list[str] = []
    try:
        context = signed_in(fresh, chromium, viewport=PHONE, color_scheme="dark")
        page = context.new_page()
        visit(page, fresh.base)
        for entry in PAGES[1:]:
            if not entry.hidden:
                turn_to(page, f"/{entry.name}")
                wrong += [f"{entry.name}: {line}" for line in complaints(page)]
        context.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
    assert wrong == []
