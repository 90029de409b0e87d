"""Every page, whoever reads it: both themes, laptop and phone, with keys alone; and its dialogs, errors and doors.

A new page is walked through because it is in `PAGES`; one that only links lead to has to say in `places.py` where it
shows something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.navigation import PAGES
from jobs.core.db import Database
from tests.e2e.conftest import Desk, settle, sign_in
from tests.e2e.everybody import against_the_rules, complaints, pale_in, turn_to
from tests.e2e.places import FACES, addresses, prepare

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("desk")]

SEEN = ("color-contrast", "target-size")
FORMS = [pytest.param(1440, "light", id="laptop"), pytest.param(390, "dark", id="phone")]


@pytest.fixture(scope="module")
def places(demo: Database) -> Mapping[str, str]:
    """Every page by its name, and where it shows something."""
    prepare(demo)
    return addresses(demo)


@contextmanager
def reading(browser: Browser, width: int, scheme: str) -> Iterator[Page]:
    """A browser of somebody who is not signed in."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]  # Playwright's own
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(("width", "scheme"), FORMS)
def test_every_page_can_be_read_by_everybody(
    browser: Browser, desk: Desk, places: Mapping[str, str], width: int, scheme: str
) -> None:
    wrong: list[str] = []
    # The same page is made of the same elements: on a phone, in the dark, only what can be seen and hit differs. And one
    # that has nothing to show is a sentence or two.
    rules = () if scheme == "light" else SEEN
    nothing = {f"{entry.name} of nothing": f"/{entry.name}" for entry in PAGES if entry.hidden and scheme == "light"}
    with reading(browser, width, scheme) as page:
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        sign_in(page, desk)
        titles = set()
        for name, address in {**places, **FACES, **nothing}.items():
            turn_to(page, address)
            titles.add(page.title())
            wrong += [f"{name}: {line}" for line in [*said, *complaints(page, *rules)]]
            said.clear()
    assert wrong == []
    assert len(titles) >= len(PAGES)
    assert all(title.endswith(" · NexaFX operations") for title in titles)


@pytest.mark.parametrize(("width", "scheme"), FORMS)
def test_the_doors_are_open_to_everybody(browser: Browser, desk: Desk, width: int, scheme: str) -> None:
    with reading(browser, width, scheme) as page:
        page.goto(f"{desk.url}/login")
        assert against_the_rules(page) == []
        page.get_by_label("E-mail address").fill("nobody@nexafx.local")
        page.get_by_label("Password", exact=True).fill("not the password")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert against_the_rules(page) == []
        sign_in(page, desk)
        page.goto(f"{desk.url}/password")
        assert against_the_rules(page) == []


# What hangs over a page: its address and the button that opens it.
HANGING = [
    ("/jobs", "Run now"),
    ("/people", "Add a person"),
    ("/jobs", "Pause"),
    ("/flags", "Switch off"),
    ("/contacts", "Change"),
]


def test_a_dialog_is_for_everybody_and_escape_leads_back_to_where_one_was(browser: Browser, desk: Desk) -> None:
    wrong: list[str] = []
    with reading(browser, 1440, "light") as page:
        sign_in(page, desk)
        turn_to(page, "/people")
        somebody = str(page.locator('a[href^="/people?person="]').first.get_attribute("href"))
        for address, name in [*HANGING, (somebody, "Change roles")]:
            turn_to(page, address)
            button = page.get_by_role("button", name=name).first
            button.focus()
            page.keyboard.press("Enter")
            page.get_by_role("dialog").wait_for()
            settle(page)
            assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null"), f"{name} takes no focus"
            found = [*against_the_rules(page), *pale_in(page, "dark")]
            wrong += [f"{address}, {name}: {line}" for line in found]
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(button).to_be_focused()
    assert wrong == []


class Keys:
    """Somebody without a mouse: only Tab, Enter and letters."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def open(self, address: str) -> None:
        """Opens a page and skips its navigation."""
        self._page.goto(address)
        settle(self._page)
        self.to("Skip to main content")
        self.press()

    def to(self, name: str, most: int = 40) -> None:
        """Tabs on until what has the focus is called like this."""
        seen = []
        for _ in range(most):
            self._page.keyboard.press("Tab")
            seen.append(self._page.evaluate(_NAME_OF_FOCUSED))
            if re.search(name, seen[-1]):
                return
        raise AssertionError(f"{most} times Tab led to {seen}, not to {name}")

    def press(self) -> None:
        self._page.keyboard.press("Enter")

    def ask(self, name: str) -> None:
        """Presses what opens a dialog and waits until its last button, called like this, stands there."""
        self.press()
        expect(self._page.get_by_role("dialog").get_by_role("button", name=name, exact=True)).to_be_visible()

    def say(self, name: str, words: str) -> None:
        """Writes into a field."""
        self.to(name)
        self._page.keyboard.type(words)


_NAME_OF_FOCUSED = """() => {
  const here = document.activeElement;
  return (here.getAttribute("aria-label") ?? here.labels?.[0]?.innerText ?? here.innerText).trim();
}"""


def test_a_job_is_run_paused_and_resumed_with_keys_alone(page: Page, desk: Desk) -> None:
    # By its name, for the list has what is wrong on top, and that changes.
    job, keys = "cleanup-notifications", Keys(page)
    row = page.locator(".nx-jobrow").filter(has=page.get_by_role("link", name=job, exact=True))
    keys.open(f"{desk.url}/jobs")
    keys.to(f"^{job}$", most=200)
    keys.to("Run now$")
    keys.ask(f"Run {job}")
    keys.to(f"^Run {job}$")
    keys.press()
    expect(page.get_by_text(re.compile(r"Run \d+ is queued"))).to_be_visible()
    keys.to(r"^Follow run \d+$")
    keys.press()
    expect(page).to_have_url(re.compile(r"/run\?"))

    for verb, lasting in (("Pause", "paused"), ("Resume", "ok")):
        keys.open(f"{desk.url}/jobs")
        keys.to(f"^{job}$", most=200)
        keys.to(f"{verb}$")
        keys.ask(f"{verb} {job}")
        keys.say("^Why", "the night's work")
        keys.to(f"^{verb} {job}$")
        keys.press()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(row.get_by_text(lasting, exact=True)).to_be_visible()


def test_a_case_is_decided_with_keys_alone(page: Page, desk: Desk) -> None:
    keys = Keys(page)
    keys.open(f"{desk.url}/cases")
    keys.to(r"^Case \d+$")
    keys.press()
    expect(page.get_by_role("button", name="Keep waiting")).to_be_visible()
    number = re.findall(r"Case (\d+)", page.locator("h1").inner_text())[0]
    keys.to("Keep waiting$")
    keys.ask("Close until then")
    keys.say("^Why", "The customer sends the rest tomorrow.")
    keys.to("^Close until then$")
    keys.press()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", name=f"Case {number}")).to_be_visible()
    expect(page.get_by_text("Waits").first).to_be_visible(timeout=30_000)
