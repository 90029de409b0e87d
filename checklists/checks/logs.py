"""What the logs say: of the deployed application where NEXAOPS_APP_LOG names its file, and of the jobs' runs.

Without the application's file only the runs' own logs are looked at, and the sentence says so. A log that is silent,
too old or unreadable has not shown that there was no error.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import Field
from sqlalchemy import text

from checklists.checks.database import NoParams
from checklists.checks.log_lines import LogLine, read_line
from checklists.checks.model import (
    CheckContext,
    CheckParams,
    CheckResult,
    Unable,
    check,
    failed,
    gathered,
    judged,
    passed,
)
from checklists.checks.reach import age, plural, reading, some, window
from checklists.grammar import Duration
from jobs.core.logs import get_logger, redact
from jobs.probes.units import size

log = get_logger(__name__)
MOST_READ = 32 << 20
"""Bytes from the end of the application's log that a check reads."""
_SEED = re.compile(r"\bS[A-Z2-7]{55}\b")
_SENSITIVE = (
    ("a Stellar secret key", _SEED),
    ("a bearer token", re.compile(r"(?i)\bbearer\s+(?!\[)[A-Za-z0-9._~+/=-]{16,}")),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.")),
    ("credentials in an address", re.compile(r"://[^/\s:@\[\]]+:[^/\s@\[\]]+@")),
    ("a password", re.compile(r"(?i)\bpass(?:word|wd)[\"']?\s*[:=]\s*[\"']?(?![\[*\"'\s])[^\s,;\"'}]{4,}")),
    ("an e-mail address", re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}\b")),
)


class LogParams(CheckParams):
    """Over how long."""

    within: Duration | None = Field(None, description="over how long; empty: since this checklist's run began")


class ErrorParams(LogParams):
    """How many errors are accepted."""

    most: int = Field(0, ge=0, description="errors at most")


@check("logs.errors", title="The logs show no error", params=ErrorParams)
def errors(context: CheckContext, params: ErrorParams) -> CheckResult:
    """Lines at the level error, of the application and of the runs."""
    seen = _look(context, window(context, params.within))
    if not seen.lines:
        raise Unable(
            f"{seen.where} has no line since {seen.since:%Y-%m-%d %H:%M} UTC: silence is not the absence of errors.",
            "See that the application and the jobs run and log, then look again.",
        )
    count = seen.levels["error"]
    return judged(
        count <= params.most,
        f"{plural(count, 'error')} in {plural(seen.lines, 'line')} of {seen.where} since {seen.since:%Y-%m-%d %H:%M} UTC"
        f"{seen.short}.",
        "Read them, and decide with the developer before going on.",
        errors=_most_common(seen.errors),
        warnings=seen.levels["warning"],
        unreadable_lines=seen.unreadable,
    )


@check("logs.digest", title="What the logs say", params=LogParams)
def digest(context: CheckContext, params: LogParams) -> CheckResult:
    """Errors and warnings, the most frequent first, for a person to read."""
    seen = _look(context, window(context, params.within))
    if not seen.lines:
        raise Unable(
            f"{seen.where} has no line since {seen.since:%Y-%m-%d %H:%M} UTC.", "See that the jobs run and log."
        )
    return gathered(
        f"{plural(seen.levels['error'], 'error')} and {plural(seen.levels['warning'], 'warning')} in "
        f"{plural(seen.lines, 'line')} of {seen.where} since {seen.since:%Y-%m-%d %H:%M} UTC{seen.short}.",
        errors=_most_common(seen.errors),
        warnings=_most_common(seen.warnings),
        levels=dict(seen.levels),
        unreadable_lines=seen.unreadable,
    )


@check("logs.format", title="Every run logs its beginning, lines and outcome", params=NoParams)
def log_format(context: CheckContext, params: NoParams) -> CheckResult:
    """The last ended run of each job: times, outcome, lines; and whether the application's lines can be read."""
    with reading(context) as conn:
        rows = conn.execute(
            text(
                "SELECT DISTINCT ON (job) job, id, state, started_at IS NOT NULL AND finished_at IS NOT NULL AS timed,"
                " error, (SELECT count(*) FROM ops.run_logs l WHERE l.run_id = r.id) AS lines FROM ops.runs r"
                " WHERE finished_at IS NOT NULL AND state NOT IN ('missed', 'skipped') ORDER BY job, id DESC"
            )
        ).all()
    if not rows:
        raise Unable("No run has ended yet: there is no log to look at.", "Let the jobs run, then look again.")
    wrong = [row.job for row in rows if not row.timed or (row.state != "succeeded" and not row.error)]
    runs = {row.job: f"run {row.id} {row.state}, {plural(row.lines, 'line')}" for row in rows}
    words = f"The last run of {plural(len(rows), 'job')} has times and outcome"
    words = f"{words}." if not wrong else f"{words}, but not of {some(wrong)}."
    if context.settings.app_log is None:
        return gathered(f"{words} The application's log is not known (NEXAOPS_APP_LOG).", runs=runs)
    seen = _read_file(context.settings.app_log, context.now - timedelta(days=1))
    return gathered(
        f"{words} Of the application's lines of a day, {plural(seen.lines, 'line')} could be read, "
        f"{seen.unreadable} not, and {seen.incomplete} lack time, level or words.",
        runs=runs,
        examples=seen.examples,
    )


@check("logs.sensitive", title="No sensitive data in the logs", params=LogParams)
def sensitive(context: CheckContext, params: LogParams) -> CheckResult:
    """Secret keys, tokens, passwords, credentials and e-mail addresses, by their shape; what is found is not repeated."""
    since = window(context, params.within)
    found: Counter[str] = Counter()
    lines = 0
    with reading(context) as conn:
        for row in conn.execute(
            text(
                "SELECT event || ' ' || fields::text AS line FROM ops.run_logs WHERE at >= :since ORDER BY id DESC LIMIT 200000"
            ),
            {"since": since},
        ):
            lines += 1
            found.update(_shapes("the runs' logs", row.line))
    file = context.settings.app_log
    if file is not None:
        for raw in _tail(file)[0]:
            lines += 1
            found.update(_shapes("the application's log", raw.decode("utf-8", "replace")))
    where = "the runs' logs" + (" and the application's log" if file else "; the application's own is not known")
    if not lines:
        raise Unable("There is no line to look at.", "Set NEXAOPS_APP_LOG, let the jobs run, then look again.")
    if found:
        return failed(
            f"{some([f'{count} × {what}' for what, count in found.most_common()])}.",
            "Take it out of what is logged, delete the lines, and replace every secret that was in them.",
            found=dict(found),
        )
    if file is None:
        raise Unable(
            f"Nothing sensitive in {plural(lines, 'line')} of {where}.",
            "Set NEXAOPS_APP_LOG to the application's log file.",
        )
    return passed(f"Nothing sensitive in {plural(lines, 'line')} of {where}.", lines=lines)


@check("logs.canary", title="A line to find in the log aggregation", params=NoParams)
def canary(context: CheckContext, params: NoParams) -> CheckResult:
    """Writes one line with a number of its own to this process's log, for a person to find where all logs arrive."""
    number = f"canary-{uuid.uuid4().hex[:12]}"
    log.warning("a line to find in the log aggregation", canary=number)
    return gathered(
        f"The line {number} was logged at {context.now:%Y-%m-%d %H:%M:%S} UTC: find it in the log aggregation.",
        canary=number,
        format=context.settings.log_format,
        level=context.settings.log_level,
    )


@dataclass(slots=True)
class _Seen:
    """What was read: levels counted, errors and warnings by their words."""

    where: str
    since: datetime
    lines: int = 0
    unreadable: int = 0
    incomplete: int = 0
    levels: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    short: str = ""

    def add(self, line: LogLine) -> None:
        self.lines += 1
        self.levels[line.level or "unknown"] += 1
        if line.level in ("error", "warning"):
            (self.errors if line.level == "error" else self.warnings)[redact(line.words)[:200]] += 1


def _look(context: CheckContext, since: datetime) -> _Seen:
    file = context.settings.app_log
    seen = _Seen("the runs' logs (NEXAOPS_APP_LOG is not set)", since) if file is None else _read_file(file, since)
    with reading(context) as conn:
        rows = conn.execute(
            text("SELECT at, level, event FROM ops.run_logs WHERE at >= :since AND at <= :now"),
            {"since": since, "now": context.now},
        )
        for row in rows:
            seen.add(LogLine(row.at, row.level, row.event))
    return seen


def _read_file(file: Path, since: datetime) -> _Seen:
    """The lines of the application since then; Unable if most are no JSON, or the newest is older than that."""
    seen = _Seen(f"{file.name} and the runs' logs", since)
    raws, whole = _tail(file)
    newest: datetime | None = None
    first: datetime | None = None
    for raw in raws:
        line = read_line(raw)
        if line is None:
            seen.unreadable += 1
            continue
        if line.at is not None:
            newest = line.at if newest is None else max(newest, line.at)
            first = line.at if first is None else min(first, line.at)
        if line.at is None or line.at >= since:
            seen.add(line)
            seen.incomplete += not line.complete
            if not line.complete and len(seen.examples) < 3:
                seen.examples.append(redact(raw.decode("utf-8", "replace"))[:300])
    if seen.unreadable > max(10, len(raws) // 2):
        raise Unable(
            f"Most lines of {file.name} are not JSON: their levels cannot be told.",
            "Let the application log one JSON object a line, or name the right file in NEXAOPS_APP_LOG.",
        )
    if newest is None or newest < since:
        last = f"its newest line is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "it has no line with a time"
        raise Unable(
            f"{file.name} says nothing about this time: {last}.", "See that the application runs and logs there."
        )
    if not whole and first is not None and first > since:
        seen.short = f", of which only {age(newest - first)} fit into the {size(MOST_READ)} that were read"
    return seen


def _tail(file: Path) -> tuple[list[bytes], bool]:
    """The last lines of a file, and whether that is all of it."""
    try:
        with file.open("rb") as stream:
            length = stream.seek(0, 2)
            stream.seek(max(0, length - MOST_READ))
            raws = stream.read(MOST_READ).splitlines()
    except OSError as error:
        raise Unable(
            f"{file} cannot be read ({error.strerror}).", "Correct NEXAOPS_APP_LOG, or the file's permissions."
        ) from error
    whole = length <= MOST_READ
    return ([raw for raw in (raws if whole else raws[1:]) if raw.strip()], whole)


def _shapes(where: str, line: str) -> Iterator[str]:
    for what, pattern in _SENSITIVE:
        if pattern.search(line):
            yield f"{what} in {where}"


def _most_common(counts: Counter[str]) -> list[str]:
    return [f"{count} × {words}" for words, count in counts.most_common(20)]
