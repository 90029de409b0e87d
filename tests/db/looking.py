"""What a check is given in a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from checklists.checks.model import CheckContext, CheckResult, Verdict
from checklists.checks.registry import run_check
from jobs.core.db import Database
from jobs.core.settings import Settings

PASSED, FAILED, UNABLE, GATHERED = Verdict.PASSED, Verdict.FAILED, Verdict.UNABLE, Verdict.GATHERED


def look(
    db: Database,
    settings: Settings,
    name: str,
    /,
    *,
    fields: Mapping[str, str] | None = None,
    given: Sequence[str] = (),
    started: timedelta = timedelta(hours=2),
    timeout_s: float | None = None,
    **with_: object,
) -> CheckResult:
    """Runs a check now, on a checklist that was started so long ago."""
    now = datetime.now(UTC)
    context = CheckContext(db, settings, fields or {}, now - started, now, given)
    return run_check(name, {key.rstrip("_"): value for key, value in with_.items()}, context, timeout_s=timeout_s)
