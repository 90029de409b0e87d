"""The whole product as a user starts it, and a real browser in front of it.

One demo and one browser serve all tests of a process; tests that need them share the group `desk`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from jobs.core.db import Database, open_database
from jobs.core.settings import Settings

NEW_PASSWORD = "correct horse battery"
PATIENCE_MS = 30_000  # for a machine that does much besides; how fast it is stands in the README, not here
expect.set_options(timeout=PATIENCE_MS)
READY = "[data-testid=stApp][data-test-script-state=notRunning]"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Desk:
    """A running `nexaops up --demo`."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    lines: list[str] = field(default_factory=list)
    password: str = ""
    started_s: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "NEXAOPS_HOME": str(self.home), "NEXAOPS_DEMO": "true"}

    def nexaops(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """One command beside the running desk, as an operator would type it."""
        return subprocess.run(
            [sys.executable, "-m", "jobs", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def database(self) -> AbstractContextManager[Database]:
        """The database that the desk works on, to look into it and to prepare what a test needs."""
        return open_database(
            Settings.model_validate({"NEXAOPS_HOME": self.home, "NEXAOPS_DEMO": True, "DB_NAME": "nexaops_demo"})
        )

    def family(self) -> list[psutil.Process]:
        """Every process of this desk: the children, and the PostgreSQL that keeps its files in the same folder."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return children + [
            one
            for one in psutil.process_iter(["name", "cmdline"])
            if one.info["name"] == "postgres" and str(self.home) in " ".join(one.info["cmdline"] or [])
        ]


@contextmanager
def running_desk(home: Path, *, port: int | None = None) -> Iterator[Desk]:
    """Starts `nexaops up --demo` and waits until it says that it is ready."""
    port = port or free_port()
    environment = {**os.environ, "NEXAOPS_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs", "up", "--demo", "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    desk = Desk(process, home, f"http://127.0.0.1:{port}")

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            desk.lines.append(line.rstrip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_until(lambda: any("Ctrl-C" in line for line in desk.lines) or process.poll() is not None, 180, "the desk")
        assert process.poll() is None, "\n".join(desk.lines)
        desk.started_s = time.monotonic() - begin
        found = re.search(r"one-time password (\S+)", "\n".join(desk.lines))
        desk.password = found.group(1) if found else ""
        yield desk
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        reader.join(5)


def wait_until(ready: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.2)


@contextmanager
def fresh_home() -> Iterator[Path]:
    """A new home folder; not below pytest's own, whose parents every other pytest on the machine closes again."""
    with tempfile.TemporaryDirectory(prefix="nexaops-desk-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def desk() -> Iterator[Desk]:
    with fresh_home() as home, running_desk(home) as running:
        yield running


@pytest.fixture(scope="session")
def demo(desk: Desk) -> Iterator[Database]:
    """The database that the desk works on."""
    with desk.database() as db:
        yield db


def browser_path() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    message = "no Chromium on this machine: the browser tests cannot run (Debian: apt-get install chromium)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=browser_path(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield chromium
        chromium.close()


def settle(page: Page) -> None:
    """Waits until Streamlit has drawn the page."""
    page.wait_for_selector(READY, timeout=30_000)
    page.wait_for_timeout(150)
    page.wait_for_selector(READY, timeout=30_000)


def sign_in(page: Page, desk: Desk) -> None:
    """Signs the administrator in, with the one-time password the first time."""
    page.goto(f"{desk.url}/login")
    page.get_by_label("E-mail address").fill("admin@nexafx.local")
    page.get_by_label("Password", exact=True).fill(desk.password)
    page.get_by_role("button", name="Sign in").click()
    if desk.password != NEW_PASSWORD:
        page.get_by_label("Present password").fill(desk.password)
        page.get_by_label(re.compile("New password, ")).fill(NEW_PASSWORD)
        page.get_by_label("New password again").fill(NEW_PASSWORD)
        page.get_by_role("button", name="Use this password").click()
        desk.password = NEW_PASSWORD
    settle(page)


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    """A page of a signed-in administrator."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    fresh = context.new_page()
    sign_in(fresh, desk)
    yield fresh
    context.close()
