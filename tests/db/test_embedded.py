"""The embedded PostgreSQL: for its owner alone, wherever it lies, and gone with the last who used it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from jobs.core.db import open_database
from jobs.core.embedded import embedded_server
from jobs.core.settings import Settings

HOLD = """
import sys, time
from pathlib import Path
from jobs.core.embedded import embedded_server
with embedded_server(Path(sys.argv[1])):
    print("ready", flush=True)
    time.sleep(60)
"""


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]))


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that its owner has closed to everybody, with a name that neither shells nor sockets like."""
    with tempfile.TemporaryDirectory(prefix="nexaops test-") as private:
        yield Path(private) / ("long " * 20).strip()


def test_nobody_else_can_reach_it_wherever_its_folder_lies(home: Path) -> None:
    settings = Settings.model_validate({"NEXAOPS_HOME": home, "NEXAOPS_DEMO": True})
    with embedded_server(home) as folder:
        assert not folder.stat().st_mode & 0o077
        assert not (folder / ".s.PGSQL.5432").stat().st_mode & 0o077
        assert not (home / "postgres").stat().st_mode & 0o077
        assert not home.parent.stat().st_mode & 0o066
        with open_database(settings) as db, db.read() as conn:
            assert conn.execute(text("SHOW listen_addresses")).scalar() == ""
    assert not folder.exists() or folder == home / "postgres"


def test_whoever_leaves_last_stops_it_also_when_the_first_was_killed(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        server = postmaster(home)
        with embedded_server(home):
            with embedded_server(home):
                pass
            assert server.is_running(), "two others still use it"
            first.kill()
            first.wait()
            assert postmaster(home) == server
        psutil.wait_procs([server], timeout=5)
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_a_number_of_a_stranger_in_its_lock_file_is_no_obstacle(home: Path) -> None:
    with embedded_server(home):
        left_behind = (home / "postgres" / "postmaster.pid").read_text()
        postmaster(home).kill()
    forged = left_behind.replace(left_behind.split("\n", 1)[0], str(os.getpid()), 1)
    (home / "postgres" / "postmaster.pid").write_text(forged)
    with embedded_server(home):
        assert postmaster(home).pid != os.getpid()


def test_a_server_that_died_is_back_for_everybody_as_soon_as_somebody_comes(home: Path) -> None:
    settings = Settings.model_validate({"NEXAOPS_HOME": home, "NEXAOPS_DEMO": True})
    with open_database(settings) as db:
        dead = postmaster(home)
        for process in (*dead.children(), dead):
            with suppress(psutil.NoSuchProcess):  # the first that dies may take others along
                process.kill()
        psutil.wait_procs([dead], timeout=5)
        with embedded_server(home):
            pass
        with db.read() as conn:
            assert conn.execute(text("SELECT 1")).scalar() == 1
