"""Commands of the application: linters, tests, builds. Only what NEXAOPS_COMMANDS names is ever run.

A definition chooses among the names and can give no arguments, so that whoever edits a checklist cannot run anything.
"""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from checklists.checks.model import (
    JSON,
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    check,
    failed,
    gathered,
    passed,
)
from checklists.checks.process import Ended, plain, run_program
from checklists.checks.reach import folder_of, plural, seconds_left
from jobs.core.logs import redact
from jobs.core.settings import Command
from jobs.probes.units import size

LONGEST_S = 7_300.0
_SHOWN = 3_000


class CommandParams(CheckParams):
    """Which command."""

    command: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$", description="its name in NEXAOPS_COMMANDS")


class RunParams(CommandParams):
    """Which command, and whether its tests count."""

    tests: int = Field(0, ge=0, description="tests that its JUnit report must show at least; 0: no report is asked for")


@check("commands.run", title="The command ends well", params=RunParams, timeout_s=LONGEST_S)
def run(context: CheckContext, params: RunParams) -> CheckResult:
    """Exit code 0 and, where tests are asked for, a report of this run in which enough of them passed and none failed."""
    entry = _entry(context, params.command)
    began = datetime.now(UTC)
    ended = _run(context, params.command, entry)
    output = _shown(ended)
    if ended.exit_code is None:
        return failed(
            f"{params.command} was ended after {ended.took_s:g} s: its time was up.",
            "Find out what it waits for, or raise its timeout_s in NEXAOPS_COMMANDS.",
            **output,
        )
    if ended.exit_code != 0:
        return failed(f"{params.command} ended with exit code {ended.exit_code}.", "Mend what it says.", **output)
    if not params.tests:
        return passed(f"{params.command} ended well after {ended.took_s:g} s.", **output)
    tests = _count_tests(_folder(context, entry), params.command, entry, began)
    output["tests"] = dict(tests)
    if tests["failed"]:
        return failed(f"{plural(tests['failed'], 'test')} failed.", "Mend what the report says.", **output)
    if tests["passed"] < params.tests:
        return failed(
            f"Only {plural(tests['passed'], 'test')} ran, not {params.tests}: nothing is proved.",
            "See why the others did not run.",
            **output,
        )
    return passed(f"{plural(tests['passed'], 'test')} passed, {tests['skipped']} skipped.", **output)


@check("commands.gather", title="What the command says", params=CommandParams, timeout_s=LONGEST_S)
def gather(context: CheckContext, params: CommandParams) -> CheckResult:
    """The output and exit code, for a person to judge."""
    ended = _run(context, params.command, _entry(context, params.command))
    if ended.exit_code is None:
        raise Unable(
            f"{params.command} was ended after {ended.took_s:g} s: its time was up.",
            "Raise its timeout_s in NEXAOPS_COMMANDS, or see what it waits for.",
        )
    return gathered(
        f"{params.command} ended with exit code {ended.exit_code} after {ended.took_s:g} s.", **_shown(ended)
    )


@check("commands.artifact", title="The build left its artifact", params=CommandParams, timeout_s=900)
def artifact(context: CheckContext, params: CommandParams) -> CheckResult:
    """The files that the command builds: there, not empty, made since the run began; with their checksums."""
    entry = _entry(context, params.command)
    if entry.artifact is None:
        raise Unable(
            f"What {params.command} builds is not known.", f"Give {params.command} an `artifact` in NEXAOPS_COMMANDS."
        )
    folder = _folder(context, entry)
    files = sorted(file for file in folder.glob(entry.artifact) if file.is_file())
    if not files:
        return failed(f"There is no {entry.artifact} in {folder}.", f"Run {params.command} and read what it says.")
    old = [file for file in files if datetime.fromtimestamp(file.stat().st_mtime, UTC) < context.started_at]
    empty = [file for file in files if not file.stat().st_size]
    if len(old) == len(files) or empty:
        what = "empty" if empty else "older than this checklist's run"
        return failed(f"{(empty or old)[0].name} is {what}.", f"Run {params.command} again and read what it says.")
    sums = {}
    for file in files[:50]:
        with file.open("rb") as stream:
            sums[str(file.relative_to(folder))] = hashlib.file_digest(stream, "sha256").hexdigest()
    total = size(sum(file.stat().st_size for file in files))
    return passed(f"{plural(len(files), 'file')} of {entry.artifact}, {total}.", sha256=sums)


def _entry(context: CheckContext, name: str) -> Command:
    entry = context.settings.commands.get(name)
    if entry is None:
        raise Unable(f"The command {name} is not allowed here.", f"Add {name} to NEXAOPS_COMMANDS with its argv.")
    return entry


def _folder(context: CheckContext, entry: Command) -> Path:
    if entry.cwd is not None:
        return folder_of(entry.cwd, "NEXAOPS_COMMANDS", "a command")
    return folder_of(context.settings.repository, "NEXAOPS_REPOSITORY", "the application's repository")


def _run(context: CheckContext, name: str, entry: Command) -> Ended:
    return run_program(entry.argv, cwd=_folder(context, entry), timeout_s=seconds_left(context, entry.timeout_s))


def _shown(ended: Ended) -> dict[str, JSON]:
    # Redacted before it is cut: half a secret is not known as one.
    return {"exit_code": ended.exit_code, "took_s": ended.took_s, "says": redact(plain(ended.output))[-_SHOWN:]}


def _count_tests(folder: Path, name: str, entry: Command, began: datetime) -> dict[str, int]:
    if entry.junit is None:
        raise Unable(f"{name} has no report of its tests.", f"Give {name} a `junit` in NEXAOPS_COMMANDS.")
    report = folder / entry.junit
    try:
        written = datetime.fromtimestamp(report.stat().st_mtime, UTC)
        root = ET.fromstring(report.read_bytes())  # noqa: S314 - written by a command that the settings trust to run
    except (OSError, ET.ParseError) as error:
        raise Unable(f"The report {entry.junit} cannot be read.", f"See that {name} writes it.") from error
    if written.timestamp() < began.timestamp() - 2:
        raise Unable(f"The report {entry.junit} is an old one.", f"See that {name} writes it anew.")
    cases = list(root.iter("testcase"))
    broken = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {"passed": len(cases) - broken - skipped, "failed": broken, "skipped": skipped}
