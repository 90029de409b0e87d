"""Tells Sentry of a run that did not end well: once for each attempt, by whoever wrote its end."""

from __future__ import annotations

from jobs.core.sentry import report_failure
from jobs.run.failures import without_particulars
from jobs.run.store import RunRow

ILL_ENDS = frozenset({"failed", "timed_out", "lost"})


def report_run(row: RunRow) -> None:
    """Reports the run if its end is one to look into; failures that differ in numbers and ids alone are one issue."""
    if row.state not in ILL_ENDS:
        return
    kind, message = row.error_class or row.state, row.error or "no message"
    group = (row.job, kind, without_particulars(message))
    report_failure(kind, message, trace=row.trace, group=group, tags={**row.named, "state": row.state})
