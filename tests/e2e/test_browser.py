"""What people do all day, in a real browser: sign in, run a job now, tick an item."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Desk, settle, sign_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("desk")]


def test_a_wrong_password_is_refused_in_words_and_shows_nothing(browser: Browser, desk: Desk) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{desk.url}/jobs")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.get_by_label("E-mail address").fill("nobody@nexafx.local")
    page.get_by_label("Password", exact=True).fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("is wrong")).to_be_visible()
    assert "reconcile" not in page.content()
    context.close()


def test_signing_in_leads_to_what_is_wrong_now(page: Page, desk: Desk) -> None:
    expect(page).to_have_title(re.compile("Overview"))
    expect(page.get_by_text("DEMO", exact=True).first).to_be_visible()
    expect(page.get_by_text("reconcile-pending").first).to_be_visible()


def test_run_now_starts_a_run_and_leads_to_it(page: Page, desk: Desk) -> None:
    page.goto(f"{desk.url}/jobs")
    settle(page)
    page.locator(".st-key-run-reconcile-pending").get_by_role("button", name="Run now").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("money may move", exact=False)).to_be_visible()
    dialog.get_by_label(re.compile("^Why")).fill("a test of the desk")
    dialog.get_by_role("button", name="Run reconcile-pending", exact=True).click()
    dialog.get_by_role("link", name=re.compile(r"Follow run \d+")).click()
    expect(page).to_have_url(re.compile(r"/run\?"), timeout=15_000)
    expect(page.get_by_text(re.compile("succeeded", re.IGNORECASE)).first).to_be_visible(timeout=30_000)


def test_a_tick_is_there_after_reloading_with_who_and_when(page: Page, desk: Desk) -> None:
    page.goto(f"{desk.url}/checklists")
    settle(page)
    page.get_by_role("link", name=re.compile("Scheduled Jobs Module", re.IGNORECASE)).first.click()
    expect(page).to_have_url(re.compile(r"/checklist\?"), timeout=15_000)
    settle(page)
    box = page.get_by_role("checkbox", checked=False, disabled=False).first
    name = box.get_attribute("aria-label") or ""
    assert name
    page.locator("label").filter(has=box).first.click()
    expect(page.get_by_role("checkbox", name=name, exact=True)).to_be_checked(timeout=5_000)
    page.reload()
    settle(page)
    expect(page.get_by_role("checkbox", name=name, exact=True)).to_be_checked()
    expect(page.get_by_text("Administrator").first).to_be_visible()


def test_signing_out_ends_the_session(browser: Browser, desk: Desk) -> None:
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, desk)
    page.goto(f"{desk.url}/logout")
    if page.get_by_role("button", name="Sign out").count():
        page.get_by_role("button", name="Sign out").click()
    page.goto(f"{desk.url}/jobs")
    expect(page).to_have_url(re.compile("/login"))
    context.close()
