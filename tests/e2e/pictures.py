"""Makes the README's pictures: `make pictures` starts a demo, waits until it has lived a little, and photographs it.

Every page of `PAGES` in both themes, and those that matter most at night also as a phone shows them; then the README's
table of them is written anew. What is on them is made up, and as much the same each time as a living demo allows.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from dashboard.navigation import PAGES, Entry
from tests.e2e.conftest import browser_path, running_desk, sign_in
from tests.e2e.everybody import turn_to
from tests.e2e.places import addresses, prepare

REPOSITORY = Path(__file__).parents[2]
PICTURES = REPOSITORY / "dashboard" / "pictures"
README = REPOSITORY / "README.md"
BEGIN, END = "<!-- pictures: written by `make pictures` -->\n", "<!-- end of the pictures -->\n"
THEMES = ("light", "dark")
LAPTOP, PHONE = (1440, 900), (390, 844)
# The pages that somebody on call opens in bed.
ON_A_PHONE = ("overview", "jobs", "checklist")
LIVE_S = 180  # the first alerts fire by then: their rules wait two minutes
DRAWN_MS = 800


def names() -> Iterator[str]:
    """The files' names, without folder."""
    for theme in THEMES:
        yield from (f"{entry.name}-{theme}.webp" for entry in PAGES)
        yield from (f"{name}-phone-{theme}.webp" for name in ON_A_PHONE)


def table() -> str:
    """The README's table: each page in the theme that the reader has, two a row, and at last the phone's."""
    rows = [PAGES[at : at + 2] for at in range(0, len(PAGES), 2)]
    cells = ["".join(f"<td>{entry.title}<br>{_picture(entry, '')}</td>" for entry in row) for row in rows]
    phones = "".join(f"<td>{_picture(entry, '-phone')}</td>" for entry in PAGES if entry.name in ON_A_PHONE)
    lines = ["<table>", *(f"<tr>{row}</tr>" for row in cells), "</table>", "", "On a phone:", ""]
    return "\n".join([*lines, f"<table><tr>{phones}</tr></table>", ""])


def _picture(entry: Entry, form: str) -> str:
    light, dark = (f"dashboard/pictures/{entry.name}{form}-{theme}.webp" for theme in THEMES)
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<picture>{source}<img src="{light}" alt="{entry.title}{" on a phone" if form else ""}"></picture>'


def photograph(page: Page, file: Path) -> None:
    """What the browser shows when all of it is drawn, without loss, in a third of the size that it would have as PNG."""
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=20_000)
    page.wait_for_timeout(DRAWN_MS)
    shown = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    shown.save(file, "WEBP", lossless=True, quality=80)


def main() -> None:
    # A folder that is called the same each time: some pages name it.
    home = Path(tempfile.gettempdir()) / "nexaops-pictures"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o755)
    begin = time.monotonic()
    with sync_playwright() as playwright, running_desk(home) as desk:
        with desk.database() as db:
            prepare(db)
            time.sleep(max(0.0, LIVE_S - (time.monotonic() - begin)))
            where = addresses(db)
        chromium = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox", "--disable-gpu"])
        for theme in THEMES:
            for (width, height), form, shown in ((LAPTOP, "", where), (PHONE, "-phone", ON_A_PHONE)):
                size = {"width": width, "height": height}
                page = chromium.new_page(viewport=size, color_scheme=theme)  # type: ignore[arg-type]  # Playwright's own
                sign_in(page, desk)
                for name in shown:
                    turn_to(page, where[name])
                    photograph(page, PICTURES / f"{name}{form}-{theme}.webp")
                page.close()
        chromium.close()
    shutil.rmtree(home, ignore_errors=True)
    for file in PICTURES.iterdir():
        if file.name not in set(names()):
            file.unlink()
    readme = README.read_text(encoding="utf-8")
    pattern = f"(?s)(?<={re.escape(BEGIN)}).*(?={re.escape(END)})"
    README.write_text(re.sub(pattern, table().replace("\\", r"\\"), readme), encoding="utf-8")


if __name__ == "__main__":
    main()
