"""The engine's benchmark runs real workers, and its JSON says what the README promises."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from jobs.bench.jobs import TARGETS
from jobs.core.jobs import load_jobs
from tests.db.test_cli import nexaops


@pytest.mark.slow
def test_the_command_prints_one_object_with_what_it_measured(tmp_path: Path) -> None:
    arguments = ("--workers", "1", "--runs", "20", "--minutes", "0.05")
    done = nexaops("bench", "jobs", *arguments, "--json", cwd=tmp_path, timeout=110)
    assert done.returncode == 0, done.stderr
    printed = orjson.loads(done.stdout)
    (one,) = printed["workers"]
    assert one["workers"] == 1
    assert one["runs_per_s"] > 0
    assert 0 < one["start_ms"]["p50"] <= one["start_ms"]["p95"] <= one["start_ms"]["most"]
    assert 20 < one["idle_mb"] < 1000
    slots = printed["slots"]
    assert (slots["schedules"], slots["missing"]) == (200, 0)
    assert slots["slots"] > 0
    assert slots["claimed_ms"]["p50"] <= slots["started_ms"]["p50"]
    assert printed["targets"] == TARGETS


def test_nobody_else_knows_its_jobs() -> None:
    assert not any(name.startswith("bench-") for name in load_jobs())
