"""Makes the README's pictures: `make pictures` starts a demo, waits until it has lived a little, and photographs it.

Every page in light at laptop width into dashboard/pictures, and with `--all FOLDER` also dark and at phone width, to be
looked at.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from dashboard.navigation import PAGES
from tests.e2e.conftest import browser_path, running_desk, settle, sign_in

PICTURES = Path(__file__).parents[2] / "dashboard" / "pictures"
LIVE_S = 75
# Where a page that has no entry in the navigation is reached from: the first link of that kind.
FROM = {
    "transaction": "transactions",
    "run": "runs",
    "schedule": "jobs",
    "compare": "run",
    "checklist": "checklists",
    "signing": "checklist",
}


def go_to(page: Page, base: str, name: str) -> None:
    """Opens a page, by way of those that lead to it."""
    if name not in FROM:
        page.goto(f"{base}/{'' if name == 'overview' else name}")
        settle(page)
        return
    go_to(page, base, FROM[name])
    link = page.locator(f'a[href*="{name}?"]').first
    page.goto(f"{base}/{re.sub('^.*/', '', link.get_attribute('href') or '')}")
    settle(page)


def photograph(page: Page, base: str, folder: Path, suffix: str = "") -> None:
    """One picture of every page into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in PAGES:
        go_to(page, base, entry.name)
        page.wait_for_timeout(1200)
        page.screenshot(path=folder / f"{entry.name}{suffix}.png")


def main() -> None:
    everything = Path(sys.argv[sys.argv.index("--all") + 1]) if "--all" in sys.argv else None
    with tempfile.TemporaryDirectory(prefix="nexaops-pictures-") as home, sync_playwright() as playwright:
        Path(home).chmod(0o755)
        chromium = playwright.chromium.launch(
            executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        with running_desk(Path(home)) as desk:
            time.sleep(LIVE_S)
            for scheme, width in (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)):
                context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
                page = context.new_page()
                sign_in(page, desk)
                if everything:
                    photograph(page, desk.url, everything, f"-{scheme}-{width}")
                elif (scheme, width) == ("light", 1440):
                    photograph(page, desk.url, PICTURES)
                context.close()
        chromium.close()


if __name__ == "__main__":
    main()
