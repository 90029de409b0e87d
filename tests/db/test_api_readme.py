"""The README's examples of the API work as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from jobs.core.db import Database
from jobs.core.settings import Settings
from tests.db.api import served

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_of_the_readme_do_what_they_say(db: Database, settings: Settings, tmp_path: Path) -> None:
    found = re.search(r"^## API$.*?^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    if missing := [program for program in ("bash", "curl") if shutil.which(program) is None]:
        message = (
            f"no {missing[0]} on this machine: the README's examples cannot run (Debian: apt-get install {missing[0]})"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with served(db, settings) as site:
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DESK": site.base,
            "DB_HOST": str(db.url.query["host"]),
            "DB_NAME": str(db.url.database),
            "STELLAR_HORIZON_URL": "http://127.0.0.1:9",
            "STELLAR_NETWORK": "TESTNET",
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", re.sub(r"^(call|curl) ", r"echo; \1 ", found[1], flags=re.MULTILINE)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    run, runs, flag, job, started, shown, ticked, link, file = (
        orjson.loads(line) for line in done.stdout.split(b"\n") if line
    )
    assert (run["state"], run["dry_run"]) == ("queued", True)
    assert runs["runs"] == [run]
    assert (flag["name"], flag["value"]) == ("enableRetry", False)
    assert (job["name"], job["paused"]) == ("retry-failed", True)
    assert shown == started
    assert (ticked["state"], ticked["changed_by"]) == ("done", "token:ci")
    assert (link["kind"], file["name"], file["size"]) == ("link", "report.json", 14)
