"""What a person sees first, and when: every page in a Chromium that has never been here.

Playwright is among the tools of development, and a browser is not on every machine: without either nothing is measured.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib.util import find_spec

from dashboard.bench.results import Paint, Painted
from dashboard.bench.visitor import Place
from dashboard.doors import COOKIE

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_STANDS = "[data-testid=stApp][data-test-script-state=notRunning]"
_FIRST = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def paint(address: str, cookie: str, places: Sequence[Place]) -> Painted:
    """Each page in a new context, so that nothing of the page before is in its cache."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None or find_spec("playwright") is None:
        return Painted(())
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - not everywhere

    found = []
    # Chromium has no sandbox for root.
    args = ["--disable-gpu", *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=args)
        for place in places:
            context = chromium.new_context(viewport={"width": 1440, "height": 900})
            context.add_cookies([{"name": COOKIE, "value": cookie, "url": address}])
            page = context.new_page()
            page.goto(f"{address}/{place.name}?{place.query}")
            page.wait_for_selector(_STANDS, timeout=30_000)
            drawn = page.evaluate("performance.now()")
            found.append(Paint(place.page, round(page.evaluate(_FIRST)), round(drawn)))
            context.close()
        chromium.close()
    return Painted(tuple(found))
