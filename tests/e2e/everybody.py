"""What a page must be for everybody who reads it: with a screen reader, by keys, on a phone, in either theme.

The rules are axe-core's, all of them, and what axe does not measure. Whoever walks through pages asks here what is
wrong with the one in front of them.
"""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.e2e.conftest import settle

# Off in axe unless asked for: what a finger must hit is 24 px high and wide, or has that much room.
_RULES = {"target-size": {"enabled": True}}
SMALLEST_TEXT_PX = 12

_MEASURED = """smallest => {
  const wrong = [];
  const sideways = document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth;
  if (sideways > 0) wrong.push(`scrolls sideways by ${sideways} px`);
  const heads = [...document.querySelectorAll("main :is(h1, h2, h3, h4, h5, h6)")].map((head) => head.tagName);
  if (heads[0] !== "H1" || heads.lastIndexOf("H1") > 0) wrong.push(`begins with ${heads[0]}, not with its one h1`);
  if (document.querySelector("[data-testid=stException]")) wrong.push("shows an exception");
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), element = texts.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("script, style, [aria-hidden=true]")) continue;
    const px = parseFloat(getComputedStyle(element).fontSize);
    if (px < smallest - 0.05) wrong.push(`writes “${text.slice(0, 30)}” in ${px.toFixed(1)} px`);
  }
  return wrong;
}"""


def turn_to(page: Page, address: str) -> None:
    """Goes to another page of ours as a link does, without a reload, and waits until it stands there."""
    page.evaluate("for (const head of document.querySelectorAll('h1')) head.dataset.before = ''")
    page.evaluate(
        "address => { history.pushState({}, '', address); dispatchEvent(new PopStateEvent('popstate', {state: {}})) }",
        address,
    )
    page.wait_for_selector("h1:not([data-before])")
    settle(page)


def complaints(page: Page, *rules: str) -> list[str]:
    """What is wrong with the page in front of us, a line each; by these rules of axe, or by all."""
    measured: list[str] = page.evaluate(_MEASURED, SMALLEST_TEXT_PX)
    return measured + against_the_rules(page, *rules)


def against_the_rules(page: Page, *rules: str) -> list[str]:
    """What axe finds, by all of its rules or by some of them."""
    # Streamlit's navigation is made a list of lists within a second (assets/desk.js).
    page.wait_for_function("(document.querySelector('[data-testid=stSidebarNavItems]')?.role ?? 'none') === 'none'")
    chosen = {"runOnly": list(rules)} if rules else {"rules": _RULES}
    found = Axe().run(page, options={"resultTypes": ["violations"], **chosen})
    return [
        f"{broken['id']}: {broken['help']}: {broken['nodes'][0]['html'][:120]} and {len(broken['nodes']) - 1} more"
        for broken in found.response["violations"]
    ]


def pale_in(page: Page, scheme: str) -> list[str]:
    """What cannot be read in the other theme, to which the page is changed and from which it comes back."""
    own = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # Playwright's own literals
    page.wait_for_function("scheme => document.documentElement.style.colorScheme === scheme", arg=scheme)
    settle(page)
    found = against_the_rules(page, "color-contrast")
    page.emulate_media(color_scheme=own)
    page.wait_for_function("scheme => document.documentElement.style.colorScheme === scheme", arg=own)
    return [f"in {scheme}, {line}" for line in found]
