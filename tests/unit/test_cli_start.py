"""Whoever asks for one command does not wait for the modules of the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys
from typer.main import get_command
from jobs.cli import app
get_command(app).commands[sys.argv[1]]
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"stellar_sdk", "alembic", "streamlit", "procrastinate"}))
"""


@pytest.mark.parametrize("command", ["flags", "checklists", "dashboard"])
def test_a_command_imports_only_what_it_needs(command: str) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_who_has_configured_no_traces_and_no_sentry_imports_neither() -> None:
    program = (
        "import sys, jobs.worker, jobs.run.child, dashboard.api.app\n"
        "print(*{name.partition('.')[0] for name in sys.modules} & {'opentelemetry', 'sentry_sdk'})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
