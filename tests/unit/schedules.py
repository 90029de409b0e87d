"""A plain schedule, to be varied."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from jobs.schedule.model import Schedule

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def schedule(kind: str, expression: str, **changes: object) -> Schedule:
    """Of that kind and expression, otherwise as the table's defaults say, made on NOON."""
    plain = Schedule(
        name="job",
        kind="interval",
        expression="60",
        zone="UTC",
        anchor=None,
        overlap="skip",
        misfire="once",
        grace_s=30,
        timeout_s=60,
        retries=0,
        retry_first_s=15,
        retry_most_s=600,
        jitter_s=0,
        params={},
        enabled=True,
        paused_at=None,
        paused_until=None,
        paused_by=None,
        paused_reason=None,
        version=1,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(plain, kind=kind, expression=expression, **changes)  # type: ignore[arg-type]  # a table of cases
